"""Where everything lives: objects below one root, a folder or `s3://bucket/prefix`."""

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, S3Store

from slowmo_pipeline.bucket import Bucket, part_bytes, told_as_storage_error
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.keys import UPLOADS

# obstore stages a file that it writes as `name#1` beside it; a killed process leaves it behind.
_STAGED = re.compile(r"#\d+$")


@dataclass(frozen=True)
class Entry:
    """A stored object as a listing shows it."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    version: str
    """Changes when the object is written again; says nothing about its content."""


class Storage:
    """Objects below one root.

    `url` is a folder (a path or `file://…`, made when missing) or `s3://bucket/prefix`. Objects appear whole or not
    at all, on both. S3 honours `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL`, and takes its credentials from boto3's
    usual chain. A missing key is a `FileNotFoundError` on reading; deleting it is no error. What S3 refuses, or still
    fails at after half a minute, is a StorageError.
    """

    def __init__(self, url: str) -> None:
        self.root: Path | None = None
        """The folder, or None on S3."""
        self._store: LocalStore | S3Store
        parts = urlsplit(url)
        if parts.scheme == "s3" and parts.netloc:
            self.url = url.rstrip("/")
            self._bucket = Bucket(self.url)
            self._store = self._bucket.store
        elif parts.scheme in ("", "file"):
            self.root = Path(unquote(parts.path) if parts.scheme else url).absolute()
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(
                    f"The storage folder {self.root} cannot be made: {error.strerror}. Set SLOWMO_STORAGE to a folder "
                    "you may write to."
                ) from error
            self.url = self.root.as_uri()
            self._store = LocalStore(self.root)
        else:
            raise StorageError(f"SLOWMO_STORAGE = {url} is neither a folder nor s3://bucket/prefix.")

    def location(self, key: str) -> str:
        """The address of a key as it travels to an endpoint: `file://…` or `s3://…`."""
        return f"{self.url}/{key}"

    def shown(self, key: str) -> str:
        """The address of a key as people want it: a path in a folder, `s3://…` elsewhere."""
        return self.location(key) if self.root is None else str(self.root / key)

    def key_of(self, location: str) -> str:
        """The key of an address below the root; anything outside raises StorageError."""
        key = location.removeprefix(self.url + "/")
        if key == location or {"", ".", ".."} & set(key.split("/")):
            raise StorageError(f"{location} does not lie below the storage root {self.url}.")
        return key

    def read(self, key: str) -> bytes:
        """The whole object."""
        with self._told():
            return bytes(obstore.get(self._store, key).bytes())

    def read_json(self, key: str) -> Any:
        """The object parsed as JSON, or None when there is none."""
        try:
            return json.loads(self.read(key))
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes | memoryview) -> None:
        """Write the object, replacing what was there."""
        with self._told():
            obstore.put(self._store, key, data)

    def write_json(self, key: str, value: Any) -> None:
        """Write a value as readable JSON."""
        self.write(key, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode())

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one; False when there was.

        On S3 it can be this very write: one whose answer was lost is tried again.
        """
        try:
            with self._told():
                obstore.put(self._store, key, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def upload(self, path: Path, key: str) -> None:
        """Stream a local file into an object."""
        with self._told():
            obstore.put(self._store, key, path, chunk_size=part_bytes(path.stat().st_size), max_concurrency=4)

    def stat(self, key: str) -> Entry | None:
        """The object without its content, or None when there is none."""
        try:
            with self._told():
                return _entry(obstore.head(self._store, key))
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below a prefix that ends in a slash, in no order."""
        with self._told():
            for batch in obstore.list(self._store, prefix):
                yield from (_entry(meta) for meta in batch)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Names of the folders right below a prefix that ends in a slash, sorted."""
        with self._told():
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
        return tuple(sorted(PurePosixPath(name).name for name in found))

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object to a local path, whole or not at all."""
        aside = path.with_name(f".{path.name}.part")
        if self.root is None:
            self._download(key, aside)
        else:
            shutil.copyfile(self.root / key, aside)
        aside.replace(path)

    def uploads(self) -> Iterator[Entry]:
        """All objects that people dropped, whatever they are called.

        Not by obstore, whose listing fails as a whole when one name has a newline, or an S3 key two slashes in a row.
        """
        if self.root is None:
            with self._told():
                for key, found in self._bucket.objects(UPLOADS):
                    if {"", ".", ".."}.isdisjoint(key.split("/")):  # obstore cannot address these, and nobody means to
                        yield Entry(key, found["Size"], found["LastModified"], found["ETag"].strip('"'))
            return
        for folder, _, names in os.walk(self.root / UPLOADS):
            for name in names:
                entry = _file_entry(self.root, Path(folder, name))
                if entry is not None:  # else moved away since the walk saw it
                    yield entry

    def upload_entry(self, key: str) -> Entry | None:
        """One entry of `uploads`, with the same version; None when there is none."""
        return self.stat(key) if self.root is None else _file_entry(self.root, self.root / key)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are no error."""
        if self.root is None:
            with self._told():
                obstore.delete(self._store, list(keys))  # a request for each thousand
            return
        for key in keys:
            with suppress(FileNotFoundError):
                obstore.delete(self._store, key)

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty folder for one user at a time: on the disk of the storage, which is the one made for large files.

        What a killed process left in it goes at its next use.
        """
        parent = self.root / "scratch" if self.root is not None else Path(tempfile.gettempdir(), "slowmo-scratch")
        folder = parent / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        """The object as a file: itself in a folder, a temporary copy of an S3 object."""
        if self.root is not None:
            path = self.root / key
            if not path.is_file():
                raise FileNotFoundError(f"{path} does not exist.")
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="slowmo-") as folder:
            path = Path(folder, PurePosixPath(key).name)
            self._download(key, path)
            yield path

    def _download(self, key: str, path: Path) -> None:
        with self._told():
            pieces = obstore.get(self._store, key).stream()
            with path.open("wb") as file:
                for piece in pieces:
                    file.write(piece)

    def _told(self) -> AbstractContextManager[None]:
        return told_as_storage_error(self.url) if self.root is None else nullcontext()


def is_staged(key: str) -> bool:
    """Whether a name is what a killed writer left behind."""
    return _STAGED.search(key) is not None


def _entry(meta: Any) -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"], (meta["e_tag"] or "").strip('"'))


def _file_entry(root: Path, path: Path) -> Entry | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself: nothing is there
            return None
        raise
    return Entry(
        key=path.relative_to(root).as_posix(),
        size=found.st_size,
        modified=datetime.fromtimestamp(found.st_mtime, timezone.utc),
        version=f"{found.st_mtime_ns:x}-{found.st_size:x}",
    )
