import struct
import zlib

import cv2
import numpy as np
import pytest
import qoi

from slowmo_pipeline.chunks.images import ImageFormat, decode, encode
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline_tests.support.chunk_samples import HEIGHT, WIDTH, jpeg_bytes, sample_frame

EIGHT = FrameShape(WIDTH, HEIGHT, 8)
SIXTEEN = FrameShape(WIDTH, HEIGHT, 16)
DEEP = sample_frame(3, 16)


def png(frame: Frame) -> bytes:
    return cv2.imencode(".png", frame)[1].tobytes()


def png_with_chunk(kind: bytes, body: bytes) -> bytes:
    data = png(DEEP)
    return (
        data[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) + data[33:]
    )


def jpeg_turned_by_its_orientation_tag() -> bytes:
    tiff = b"MM\0\x2a\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + bytes(4)
    body = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg_bytes(3)[2:]


@pytest.mark.parametrize(("depth", "suffix"), [(8, ".qoi"), (16, ".png")])
def test_lossless_chooses_the_codec_by_depth(depth: int, suffix: str) -> None:
    found, data = encode(sample_frame(3, depth), ImageFormat.LOSSLESS)
    assert found == suffix
    decoded = decode(data, suffix=suffix, shape=FrameShape(WIDTH, HEIGHT, depth))
    np.testing.assert_array_equal(decoded, sample_frame(3, depth), strict=True)


def test_jpeg_keeps_full_colour_resolution() -> None:
    data = encode(sample_frame(3), ImageFormat.JPEG)[1]
    frame_header = data.index(b"\xff\xc0")
    assert data[frame_header + 11] == 0x11


def test_png_of_eight_bit_is_read() -> None:
    data = png(sample_frame(3)[..., ::-1])
    np.testing.assert_array_equal(decode(data, suffix=".png", shape=EIGHT), sample_frame(3), strict=True)


def test_orientation_tags_are_ignored() -> None:
    data = jpeg_turned_by_its_orientation_tag()
    turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert turned is not None
    assert turned.shape == (WIDTH, HEIGHT, 3)
    assert decode(data, suffix=".jpg", shape=EIGHT).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("frame", [DEEP[..., 0], DEEP[..., :2], DEEP.astype(np.float32), DEEP.astype(">u2")])
def test_what_is_no_frame_is_not_encoded(frame: Frame) -> None:
    with pytest.raises(ChunkFormatError, match="must be"):
        encode(frame, ImageFormat.LOSSLESS)


@pytest.mark.parametrize(
    ("suffix", "data", "message"),
    [
        (".qoi", qoi.encode(np.zeros((HEIGHT, WIDTH, 4), np.uint8)), "4 channels"),
        (".qoi", qoi.encode(np.zeros((WIDTH, HEIGHT, 3), np.uint8)), "is 14x20, 8 bit, not 20x14"),
        (".qoi", qoi.encode(np.asarray(sample_frame(3), np.uint8))[:-9], "does not decode"),
        (".qoi", png(DEEP), "not QOI"),
        (".qoi", b"qoif", "not QOI"),
        (".png", b"", "not PNG"),
        (".png", png(DEEP)[:-1], "cut short"),
        (".png", png(DEEP)[:40], "cut short"),
        (".png", png(DEEP) + b"x", "follows the end"),
        (".png", png(DEEP)[:60] + b"\x00" + png(DEEP)[61:], "does not decode"),
        (".png", png_with_chunk(b"zTXt", b"key\0\0" + zlib.compress(b"x")), "chunk of kind b'zTXt'"),
        (".png", png_with_chunk(b"acTL", bytes(8)), "chunk of kind b'acTL'"),
        (".png", png(DEEP[..., 0]), "not RGB"),
        (".png", png(sample_frame(3)), "is 20x14, 8 bit, not 20x14, 16 bit"),
        (".jpg", b"", "not JPEG"),
        (".jpg", cv2.imencode(".jpg", sample_frame(3)[..., 0])[1].tobytes(), "1 components"),
        (".jpg", jpeg_bytes(3).replace(b"\xff\xc0", b"\xff\xc3"), "no baseline"),
        (".jpg", jpeg_bytes(3)[:20], "no baseline"),
        (".jpg", jpeg_bytes(3) + b"\xff\xda" * 100, "more than 100 scans"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(suffix: str, data: bytes, message: str) -> None:
    with pytest.raises(ChunkFormatError, match=message):
        decode(data, suffix=suffix, shape=SIXTEEN if suffix == ".png" else EIGHT)
