"""Small chunks and results with known content, and ways to damage them."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np

from slowmo_pipeline.chunks.documents import Want
from slowmo_pipeline.chunks.files import write_chunk, write_result
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.frames import Frame

WIDTH, HEIGHT = 20, 14
NUMBERS = (7, 8, 12)
WANTS = (Want(28, 7, Fraction(1, 4)), Want(30, 7, Fraction(3, 4)), Want(33, 8, Fraction(1, 2)))
REFERENCE_CONFIG = b'{"align": 64, "block_height": 1, "block_width": 1, "time_to_interpolate": 2}'


def sample_frame(number: int, depth: int = 8) -> Frame:
    """A ramp in red and green, and the number in blue: mirrored, swapped or misplaced, it is another image."""
    dtype = np.uint8 if depth == 8 else np.uint16
    scale = 1 if depth == 8 else 257
    frame = np.empty((HEIGHT, WIDTH, 3), dtype)
    frame[..., 0] = np.arange(WIDTH) * 12 * scale
    frame[..., 1] = np.arange(HEIGHT)[:, None] * 17 * scale
    frame[..., 2] = number * scale
    return frame


def chunk_bytes(
    depth: int = 8, image_format: ImageFormat = ImageFormat.LOSSLESS, numbers: Sequence[int] = NUMBERS
) -> bytes:
    file = io.BytesIO()
    write_chunk(file, [(number, sample_frame(number, depth)) for number in numbers], WANTS, image_format=image_format)
    return file.getvalue()


def result_bytes(depth: int = 8) -> bytes:
    file = io.BytesIO()
    frames = [(want.output, sample_frame(want.output, depth)) for want in WANTS]
    write_result(
        file, frames, count=len(WANTS), model_id="flow-1", seconds=lambda: 0.5, image_format=ImageFormat.LOSSLESS
    )
    return file.getvalue()


def jpeg_bytes(number: int) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(sample_frame(number), cv2.COLOR_RGB2BGR))[1].tobytes()


def reference_members(numbers: Sequence[int] = (3, 1, 2), prefix: str = "") -> dict[str, bytes]:
    images = {f"{prefix}frame-{number:07d}.jpg": jpeg_bytes(number) for number in numbers}
    return {**images, f"{prefix}config.json": REFERENCE_CONFIG}


def reference_bytes(members: dict[str, bytes] | None = None) -> bytes:
    return gzip.compress(tar_bytes(reference_members() if members is None else members), mtime=0)


def tar_bytes(members: dict[str, bytes], tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    """Pack with Python's own tarfile: an opinion other than ours."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1.5 if tar_format == tarfile.PAX_FORMAT else 0  # a fraction, as tar.add writes it
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def untar(data: bytes) -> dict[str, bytes]:
    """Unpack with Python's own tarfile."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]  # only files


def with_checksum(header: bytes) -> bytes:
    """A tar header of 512 bytes with its checksum set right again."""
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(blank) + header[156:]
