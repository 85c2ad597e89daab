"""The frames of a result as image files: a folder of PNG, whole or not at all.

They are written beside the folder and take its name when the last is there; so the same call goes on where it was.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slowmo_pipeline.chunks.images import encode_png
from slowmo_pipeline.errors import DiskFullError, StorageError
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.records import read_finished
from slowmo_pipeline.steps.verify import result_limits
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.disk_errors import FULL, replacing
from slowmo_pipeline.video.png_colour import with_colour
from slowmo_pipeline.video.reader import probe, read_frames

_NAME = re.compile(r"frame-[0-9]{7,}\.png")
_MARK = "result"
"""Holds the SHA-256 of the result whose frames lie beside it."""


def frame_name(number: int) -> str:
    """The name of a frame's file; frames count from 0."""
    return f"frame-{number:07d}.png"


def write_frames(storage: Storage, video_id: str, folder: Path, *, overwrite: bool, progress: Progress) -> int:
    """Write the frames of a final video, of 8 or 16 bit as it has them; returns how many.

    Raises UnknownVideoError for a video that is not finished, and StorageError for a folder that may not be written:
    one with something in it, unless `overwrite` is given and there is nothing but such frames.
    """
    active, final = read_finished(storage, video_id)
    folder = folder.absolute()
    with _errors_of(folder):
        before = _replaceable(folder, overwrite=overwrite)
        aside = _begun(folder, of=final.sha256)
        there = {path.name for path in aside.iterdir()}
        with storage.local_file(final.key) as result:
            # Of what is blacker than black or whiter than white, an image shows black and white.
            info = probe(result, limits=result_limits(active)).model_copy(update={"headroom": "none"})
            missing = {number for number in range(info.frame_count) if frame_name(number) not in there}
            for number, frame in read_frames(result, info, only=missing):
                with replacing(aside / frame_name(number)) as file:
                    file.write_bytes(with_colour(encode_png(frame), info.colour))
                progress("frames", number + 1, info.frame_count, "frames")
        (aside / _MARK).unlink()
        for path in before:
            path.unlink()
        aside.replace(folder)
    return info.frame_count


def _replaceable(folder: Path, *, overwrite: bool) -> list[Path]:
    """The frames in the folder that are to give way."""
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise StorageError(f"{folder} is there and no folder. Choose another --output.")
    found = sorted(folder.iterdir())
    if found and not overwrite:
        raise StorageError(f"{folder} exists. Choose another --output, or replace the frames in it with --overwrite.")
    for path in found:
        if not _NAME.fullmatch(path.name):
            raise StorageError(f"{folder} holds {path.name}, which is no such frame. Choose another --output.")
    return found


def _begun(folder: Path, *, of: str) -> Path:
    """Where frames are written first; what lies there of the same result stays."""
    aside = folder.with_name(f".{folder.name}.part")
    mark = aside / _MARK
    if aside.exists() and (not mark.exists() or mark.read_text() != of):
        shutil.rmtree(aside)
    aside.mkdir(parents=True, exist_ok=True)
    mark.write_text(of)
    return aside


@contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        kind = DiskFullError if error.errno in FULL else StorageError
        raise kind(f"{folder} cannot be written: {error.strerror}. Choose another --output.") from error
