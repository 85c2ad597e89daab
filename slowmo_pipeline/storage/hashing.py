"""The content of a file, named by its SHA-256."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.progress import Progress

_READ_BYTES = 1024**2


def file_sha256(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file as 64 hex digits; reads it in pieces and reports bytes read.

    Raises StorageError when it cannot be read to its end.
    """
    digest = hashlib.sha256()
    for piece, read, size in _pieces(path):
        digest.update(piece)
        if progress is not None:
            progress("read", read, size, "bytes")
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Each piece, with the bytes read so far and the size."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                yield piece, file.tell(), size
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror or error}. Let this user read it, or put a whole file there."
        ) from error
