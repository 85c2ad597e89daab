"""What is given as a clip: a video file, or a folder of images, which becomes one lossless file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.progress import RunProgress
from slowmo_pipeline.settings.quantities import check_fineness, parse_fraction
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.disk_errors import file_size
from slowmo_pipeline.video.image_folder import images_in, write_images

IMAGE_RATE = Fraction(25)
"""Images a second of a folder, where nobody says."""


def named(path: Path) -> Path:
    """A path whose last part is a name, as `.` has none."""
    return path if path.name not in ("", "..") else Path(os.path.abspath(path))


def stem_of(clip: Path) -> str:
    """What a result is called after; a folder's name has no suffix."""
    return clip.name if os.path.isdir(clip) else clip.stem


def require_clip(clip: Path) -> None:
    """Raise StorageError unless it is a file, or a folder of at least two images."""
    if os.path.isdir(clip):
        images_in(clip)
    else:
        file_size(clip)


def parse_image_rate(value: object) -> Fraction:
    """Images a second of a folder, from 1 to 1000, such as 24 or "24000/1001". Raises SettingsError."""
    try:
        rate = parse_fraction(value)
        check_fineness(rate)
    except ValueError as error:
        raise SettingsError(f"The image rate {value} {error}.") from None
    if not 1 <= rate <= 1000:
        raise SettingsError(f"The image rate {value} must lie between 1 and 1000 images a second.")
    return rate


@contextmanager
def as_file(storage: Storage, clip: Path, rate: Fraction, progress: RunProgress) -> Iterator[Path]:
    """The file itself, or that which a folder of images becomes, for as long as the block lasts."""
    if not os.path.isdir(clip):
        yield clip
        return
    with storage.scratch() as scratch:
        made = scratch / f"{clip.name}.mkv"
        write_images(images_in(clip), made, rate=rate, progress=progress)
        yield made
