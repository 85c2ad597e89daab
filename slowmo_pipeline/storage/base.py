"""The Protocol that both kinds of storage keep."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from slowmo_pipeline.errors import StorageError


@dataclass(frozen=True)
class Entry:
    """A stored object as a listing shows it."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    version: str
    """Changes when the object is written again; says nothing about its content, and may be one of before: S3 makes it
    of the content."""
    changed: int
    """When it became what it is, or came to its place, in nanoseconds since the epoch: S3's LastModified in whole
    seconds, a file's ctime, which a change of its permissions moves as well."""


@dataclass(frozen=True)
class Uploads:
    """What people dropped."""

    entries: tuple[Entry, ...]
    """All that can be read, whatever it is called."""
    unusable: Mapping[str, str]
    """Why the others cannot be, by key: a dangling link, a pipe, a folder without permission."""


class Storage(Protocol):
    """Objects below one root, each there as a whole or not at all.

    A missing key is a FileNotFoundError on reading, and no error on deleting. Whatever else goes wrong with the storage
    is a StorageError with the next step; a full disk, a DiskFullError.
    """

    url: str
    """Of the root: `file:///…` or `s3://bucket/prefix`."""

    poll_seconds: float
    """A fair pause between two looks for what somebody else writes."""

    uploads_appear_whole: bool
    """Whether an upload is listed only once all of it is there."""

    def uri(self, key: str) -> str:
        """The address of a key as it travels to an endpoint: `file://…` or `s3://…`."""

    def display_path(self, key: str) -> str:
        """The address of a key as people want it: a path in a folder, `s3://…` elsewhere."""

    def key_of(self, uri: str) -> str:
        """The key of an address below the root; anything outside raises StorageError."""

    def browser_link(self, key: str, *, method: str, content_type: str) -> str | None:
        """An address from which a browser gets the object for an hour, by GET or HEAD, as that type of content.

        None in a folder. The address is a secret: whoever has it needs nothing else.
        """

    def read(self, key: str) -> bytes:
        """The whole object."""

    def write(self, key: str, data: bytes) -> None:
        """Write the object, replacing what was there."""

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one; False when there was.

        On S3 it can be this very write: one whose answer was lost is tried again.
        """

    def stat(self, key: str) -> Entry | None:
        """The object without its content, or None when there is none."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below a prefix that ends in a slash, in no order."""

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Names of the folders right below a prefix that ends in a slash, sorted."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are no error."""

    def upload(self, path: Path, key: str) -> None:
        """Stream a local file into an object."""

    def download(self, key: str, path: Path) -> None:
        """Copy an object to a local path, whole or not at all."""

    def local_file(self, key: str) -> AbstractContextManager[Path]:
        """The object as a file: itself in a folder, elsewhere a copy that lasts as long as the block."""

    def local_upload(self, upload: Entry) -> AbstractContextManager[Path]:
        """An upload as a file: itself in a folder, elsewhere a copy that is kept for the next call, until `close`."""

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty folder of the caller's own, on a disk made for large files; it goes with the block.

        What a killed process left there goes at the next use.
        """

    def uploads(self) -> Uploads:
        """Everything that people dropped. One odd entry never hides the others."""

    def prepare_uploads(self) -> None:
        """Make the place where people drop videos; a bucket needs none."""

    def free_bytes(self) -> int | None:
        """Room for what is stored; None where there is always some."""

    def remove_leftovers(self) -> int:
        """Remove what killed processes left half written; returns the bytes freed."""

    def close(self) -> None:
        """Let go of local copies; the storage may be used on."""


def key_below(root_url: str, uri: str) -> str:
    """The key of an address below a root; StorageError for anything outside, and for what could lead there."""
    key = uri.removeprefix(root_url + "/")
    if key == uri or {"", ".", ".."} & set(key.split("/")):
        raise StorageError(f"{uri} does not lie below the storage root {root_url}.")
    return key
