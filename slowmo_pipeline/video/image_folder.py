"""A folder of images as a video: one lossless file, FFV1 in RGB, the same bytes for the same images."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from slowmo_pipeline.errors import StorageError, UnreadableVideoError
from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline.progress import RunProgress
from slowmo_pipeline.video.info import info_of_frames
from slowmo_pipeline.video.still import Still, read_still
from slowmo_pipeline.video.writer import encode

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dpx")
"""Of what counts as an image; other files in the folder are left alone."""

_THREADS = 2
_FORMAT = b"1"
"""Raised when the same images become another video."""


def images_in(folder: Path) -> list[Path]:
    """The images of a folder in their order, where 2 comes before 10. Raises StorageError unless there are two."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}. Let this user read it.") from error
    images = sorted((path for path in found if not path.name.startswith(".")), key=_natural)
    if not images:
        raise StorageError(
            f"{folder} is a folder without images ({', '.join(SUFFIXES)}). Of videos give each, {folder / '*.mp4'} say."
        )
    if len(images) == 1:
        raise StorageError(f"{folder} holds one image only: there is nothing to put new frames between.")
    return images


def _natural(path: Path) -> tuple[list[int | str], str]:
    # Text and numbers take turns, so that like is compared with like.
    parts = re.split("([0-9]+)", path.name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name


def images_sha256(images: Sequence[Path], rate: Fraction, progress: RunProgress) -> str:
    """What names the video of images before it is made: their contents in this order, and the rate."""
    digest = hashlib.sha256(_FORMAT + str(rate).encode())
    for number, path in enumerate(images, start=1):
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}. Let this user read it.") from error
        progress("read", number, len(images), "images")
    return digest.hexdigest()


def write_images(images: Sequence[Path], path: Path, *, rate: Fraction, progress: RunProgress) -> None:
    """Write the video, Matroska, at so many images a second.

    Raises UnreadableVideoError that names the first image which cannot be read, or is not like the first one.
    """
    first = read_still(images[0])
    shape = FrameShape.of(first.frame)
    info = info_of_frames(shape, rate=rate, count=len(images), source_bits=first.bits, colour=first.colour)
    encode(path, _frames(images, first, progress), info=info, frame_rate=rate, codec="ffv1", crf=None, threads=_THREADS)


def _frames(images: Sequence[Path], first: Still, progress: RunProgress) -> Iterator[Frame]:
    shape = FrameShape.of(first.frame)
    has_alpha = first.has_alpha
    for number, path in enumerate(images, start=1):
        still = read_still(path)
        if (found := FrameShape.of(still.frame)) != shape:
            raise UnreadableVideoError(
                f"{path} is {found}, unlike {images[0].name}, {shape}: give images of one size and depth."
            )
        has_alpha = has_alpha or still.has_alpha
        yield still.frame
        progress("images", number, len(images), "images")
    if has_alpha:
        progress.note("The images' alpha channel is dropped.")
