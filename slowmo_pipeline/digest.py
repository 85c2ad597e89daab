"""The content of a file, named by its SHA-256."""

import hashlib
from pathlib import Path

from slowmo_pipeline.progress import Progress

_READ_BYTES = 1024**2


def file_sha256(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file as 64 hex digits; reads it in pieces and reports bytes read."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            if progress is not None:
                progress("read", file.tell(), size, "bytes")
    return digest.hexdigest()
