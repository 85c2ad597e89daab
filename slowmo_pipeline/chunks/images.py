"""Single images as bytes: QOI, PNG and JPEG, each held against the expected size before anything is decoded.

Headers are read here because decoders believe them: a file of a hundred bytes may promise 65535x65535 pixels.
OpenCV is imported only where PNG or JPEG needs it: loading the code location must not pay for it.
"""

import struct
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import qoi

from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import Frame, FrameShape


class ImageFormat(str, Enum):
    """How frames travel."""

    LOSSLESS = "lossless"
    """QOI for 8 bit, 16-bit PNG beyond. On one core QOI takes a seventh of the time of the fastest PNG."""
    JPEG = "jpeg"
    """Quality 95 without chroma subsampling, 8 bit only: a quarter of the bytes."""


JPEG_QUALITY = 95

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Only what a frame needs and what cannot grow: 7 MB of zTXt, which libpng inflates, kept it busy for 34 s.
_PNG_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT", b"tIME"})
# A scan is a pass over the whole image and costs a dozen bytes; encoders make ten for a progressive JPEG.
_MOST_JPEG_SCANS = 100


def encode(frame: Frame, image_format: ImageFormat) -> tuple[str, bytes]:
    """Return the file suffix and the bytes of a frame.

    Raises ChunkFormatError if the frame is not (height, width, 3) of uint8 or uint16, or too deep for JPEG.
    """
    try:
        depth = FrameShape.of(frame).depth
    except ValueError as error:
        raise ChunkFormatError(str(error)) from error
    if image_format is ImageFormat.JPEG:
        if depth != 8:
            raise ChunkFormatError("JPEG holds 8 bit only: choose the lossless image format for deeper frames.")
        return ".jpg", _encode_jpeg(frame)
    if depth == 8:
        return ".qoi", qoi.encode(np.ascontiguousarray(frame, dtype=np.uint8))
    return ".png", encode_png(frame)


def decode(data: bytes, *, suffix: str, shape: FrameShape) -> Frame:
    """Return the frame in `data`; ChunkFormatError, without a name in it, unless it is whole and of this shape."""
    check_header, decode_pixels = _CODECS[suffix]
    found = check_header(data)
    if found != shape:
        raise ChunkFormatError(f"the image is {found}, not {shape}")
    frame = decode_pixels(data)
    if frame is None or FrameShape.of(frame) != shape:
        raise ChunkFormatError("the image is damaged and does not decode")
    return frame


def qoi_shape(data: bytes) -> FrameShape:
    """Read a QOI header (qoiformat.org, specification 1.0); ChunkFormatError unless it is RGB."""
    if len(data) < 14 or data[:4] != b"qoif":
        raise ChunkFormatError("the image is not QOI")
    width, height, channels = struct.unpack(">IIB", data[4:13])
    if channels != 3:
        raise ChunkFormatError(f"the QOI image has {channels} channels, not 3")
    return FrameShape(width, height, 8)


def png_shape(data: bytes) -> FrameShape:
    """Walk the chunks of a PNG (W3C specification, third edition); ChunkFormatError unless it is plain RGB."""
    if data[:8] != _PNG_SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        raise ChunkFormatError("the image is not PNG")
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\0"))
        position += 12 + length
        if kind not in _PNG_CHUNKS or position > len(data):
            raise ChunkFormatError(f"the PNG image is cut short, or has a chunk of kind {kind!r}; write it without")
    if position != len(data):
        raise ChunkFormatError("something follows the end of the PNG image")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    if depth not in (8, 16) or colour != 2 or interlace != 0:
        raise ChunkFormatError("the PNG image is not RGB of 8 or 16 bit without interlace")
    return FrameShape(width, height, depth)


def jpeg_shape(data: bytes) -> FrameShape:
    """Find the frame header of a JPEG (ITU-T T.81, annex B); ChunkFormatError unless it is 8 bit, three components."""
    if data[:2] != b"\xff\xd8":
        raise ChunkFormatError("the image is not JPEG")
    if data.count(b"\xff\xda") > _MOST_JPEG_SCANS:
        raise ChunkFormatError(f"the JPEG image has more than {_MOST_JPEG_SCANS} scans")
    position = 2
    while position + 10 <= len(data):
        prefix, marker, length = struct.unpack(">BBH", data[position : position + 4])
        # Segments with a length and no pixels in them: tables, comments, application data.
        if prefix != 0xFF or length < 2:
            break
        if marker in (0xC0, 0xC1, 0xC2):
            depth, height, width, components = struct.unpack(">BHHB", data[position + 4 : position + 10])
            if depth != 8 or components != 3:
                raise ChunkFormatError(f"the JPEG image has {components} components of {depth} bit, not 3 of 8")
            return FrameShape(width, height, 8)
        if marker not in (0xC4, 0xDB, 0xDD, 0xFE) and not 0xE0 <= marker <= 0xEF:
            break
        position += 2 + length
    raise ChunkFormatError("the JPEG image has no baseline or progressive frame header")


def _encode_jpeg(frame: Frame) -> bytes:
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode_with_opencv(".jpg", frame, quality + sampling)


def encode_png(frame: Frame) -> bytes:
    """Return a frame as PNG, of 8 or 16 bit as it is."""
    import cv2

    # On camera noise level 6 takes a third longer than 1 and saves 0.4 %.
    return _encode_with_opencv(".png", frame, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _encode_with_opencv(suffix: str, frame: Frame, options: Sequence[int]) -> bytes:
    import cv2

    encoded, data = cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    if not encoded:
        raise ChunkFormatError(f"A frame of {FrameShape.of(frame)} cannot be encoded as {suffix}.")
    return data.tobytes()


def _decode_qoi(data: bytes) -> npt.NDArray[Any] | None:
    try:
        return qoi.decode(data)
    except RuntimeError:  # what qoi raises for damage
        return None


def _decode_with_opencv(data: bytes) -> npt.NDArray[Any] | None:
    import cv2

    # Orientation tags of cameras would swap width and height.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        frame = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error  # says nothing about the image: another try may work
        return None
    return None if frame is None else cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


_Header = Callable[[bytes], FrameShape]
_Pixels = Callable[[bytes], npt.NDArray[Any] | None]
_CODECS: dict[str, tuple[_Header, _Pixels]] = {
    ".qoi": (qoi_shape, _decode_qoi),
    ".png": (png_shape, _decode_with_opencv),
    ".jpg": (jpeg_shape, _decode_with_opencv),
}
SUFFIXES = frozenset(_CODECS)
"""File suffixes that can be decoded."""
