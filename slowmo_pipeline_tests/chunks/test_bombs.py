"""Files of a few kilobytes that promise gigabytes: refused, in a process that may take little more than it has."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from slowmo_pipeline.chunks.files import ChunkReader
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline_tests.support.chunk_samples import chunk_bytes, tar_bytes, untar, with_checksum

READ_WITH_LITTLE_MEMORY = """
import gc, io, resource, sys
import cv2, numpy
from slowmo_pipeline.chunks.files import ChunkReader
from slowmo_pipeline.errors import ChunkFormatError
cv2.setNumThreads(1)
cv2.imdecode(cv2.imencode(".png", numpy.zeros((9, 9, 3), numpy.uint8))[1], cv2.IMREAD_COLOR)
data = open(sys.argv[1], "rb").read()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    for _ in ChunkReader(io.BytesIO(data)).frames():
        pass
except ChunkFormatError as error:
    print(error)
"""


def refusal(data: bytes, folder: Path, allowed: int = 32 << 20) -> str:
    """What the error says that reading ends in, with `allowed` bytes of memory beyond those of a process at rest."""
    (folder / "bomb.tar").write_bytes(data)
    command = [sys.executable, "-c", READ_WITH_LITTLE_MEMORY, str(folder / "bomb.tar"), str(allowed)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def chunk_with_image(suffix: str, image: bytes, **fields: object) -> bytes:
    """A chunk whose images are all this one, in a document that says so."""
    config = json.loads(untar(chunk_bytes())["config.json"])
    members = {f"frame-{entry['number']:08d}{suffix}": image for entry in config["images"]}
    for entry in config["images"]:
        entry["crc32"] = zlib.crc32(image)
    return tar_bytes({"config.json": json.dumps({**config, **fields}).encode(), **members})


def png_of(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_the_limit_lets_an_honest_chunk_pass_and_stops_a_greedy_one(tmp_path: Path) -> None:
    assert refusal(chunk_bytes(), tmp_path) == ""
    large = png_of(4096, 4096, zlib.compress(bytes(4096 * (1 + 3 * 4096))))
    with pytest.raises(subprocess.CalledProcessError) as failure:
        refusal(chunk_with_image(".png", large, width=4096, height=4096), tmp_path, allowed=16 << 20)
    assert "MemoryError" in failure.value.stderr


def test_a_png_that_inflates_to_gigabytes(tmp_path: Path) -> None:
    bomb = png_of(30000, 30000, zlib.compress(bytes(50_000_000)))
    assert "is 30000x30000, 8 bit, not 20x14" in refusal(chunk_with_image(".png", bomb), tmp_path)


def test_a_png_whose_pixels_are_more_than_its_header_says(tmp_path: Path) -> None:
    assert refusal(chunk_with_image(".png", png_of(20, 14, zlib.compress(bytes(100_000_000), 1))), tmp_path) == ""


def test_a_qoi_header_that_lies(tmp_path: Path) -> None:
    bomb = b"qoif" + struct.pack(">IIBB", 65535, 65535, 3, 0) + b"\xfd" * 1000 + bytes(7) + b"\x01"
    assert "is 65535x65535, 8 bit, not 20x14" in refusal(chunk_with_image(".qoi", bomb), tmp_path)


def test_a_jpeg_header_that_lies(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((14, 20, 3), np.uint8))[1].tobytes()
    bomb = jpeg.replace(struct.pack(">HH", 14, 20), struct.pack(">HH", 65500, 65500))
    assert "is 65500x65500, 8 bit, not 20x14" in refusal(chunk_with_image(".jpg", bomb), tmp_path)


@pytest.mark.parametrize("member", [0, 1])
def test_a_tar_size_field_of_eight_gigabytes(member: int, tmp_path: Path) -> None:
    data = chunk_bytes()
    at = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"][member]
    header = with_checksum(data[at : at + 124] + b"77777777777\0" + data[at + 136 : at + 512])
    assert "8589934591 bytes are more than" in refusal(data[:at] + header + data[at + 512 :], tmp_path)


def test_a_config_of_a_million_frames(tmp_path: Path) -> None:
    images = [{"number": number, "crc32": 0} for number in range(1_000_000)]
    assert "bytes are more than the 8388608" in refusal(chunk_with_image(".qoi", b"", images=images), tmp_path)


def test_a_config_of_more_frames_than_allowed(tmp_path: Path) -> None:
    images = [{"number": number, "crc32": 0} for number in range(200_000)]
    said = refusal(chunk_with_image(".qoi", b"", images=images), tmp_path, allowed=300 << 20)
    assert "There are 200000 images" in said


def test_a_config_that_grows_most_when_parsed(tmp_path: Path) -> None:
    config = b"[" + b"{}," * (8_388_600 // 3) + b"{}]"
    assert "must be a JSON object" in refusal(tar_bytes({"config.json": config}), tmp_path, allowed=300 << 20)


def test_a_gzip_that_unpacks_to_more_than_a_gigabyte(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    assert "unpacks to more than 1000000000 bytes" in refusal(start + again * 1000, tmp_path, allowed=200 << 20)


def test_a_gzip_of_a_bomb_of_headers(tmp_path: Path) -> None:
    folder = with_checksum(untar_header(b"./", b"5"))
    assert "more than 150000 members" in refusal(gzip.compress(folder * 200_000, 1), tmp_path, allowed=200 << 20)


def untar_header(name: bytes, kind: bytes) -> bytes:
    header = bytearray(chunk_bytes()[:512])
    header[:100] = name.ljust(100, b"\0")
    header[124:136] = b"00000000000\0"
    header[156:157] = kind
    return bytes(header)


def test_a_jpeg_of_a_thousand_scans_is_refused_before_it_costs_time() -> None:
    image = cv2.imencode(".jpg", np.zeros((14, 20, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = image.rindex(b"\xff\xda")
    bomb = image[:-2] + image[last:-2] * 1000 + image[-2:]
    with pytest.raises(ChunkFormatError, match="more than 100 scans"):
        list(ChunkReader(io.BytesIO(chunk_with_image(".jpg", bomb))).frames())
