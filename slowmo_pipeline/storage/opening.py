"""Which kind of storage an address means."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage


def open_storage(url: str) -> Storage:
    """The storage at a path, `file://…` (a folder, made when missing) or `s3://bucket/prefix`.

    Raises StorageError for any other address, and for a folder that cannot be used. A bucket is first met when it is
    first asked.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StorageError(f"SLOWMO_STORAGE = {url} is no address: {error}.") from error
    if parts.scheme == "s3" and parts.netloc:
        # boto3 takes 0.3 s to import, which a folder never needs.
        from slowmo_pipeline.storage.s3 import S3Storage

        return S3Storage(url)
    if parts.scheme == "file":
        return FolderStorage(Path(unquote(parts.path, errors="surrogateescape")))
    if parts.scheme == "":
        return FolderStorage(Path(url))
    raise StorageError(f"SLOWMO_STORAGE = {url} is neither a folder nor s3://bucket/prefix.")
