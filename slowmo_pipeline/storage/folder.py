"""A storage in a folder: a file for each object, written aside and renamed, so that it survives a crash whole.

<root>/final/.staged-3f0c…      being written; flock(2) tells that its writer lives
<root>/final/clip-….mp4         renamed to, once its bytes are on the disk; then the folder is synced as well
"""

import errno
import os
import secrets
import shutil
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.locks import try_lock_where_possible
from slowmo_pipeline.storage.base import Entry, Uploads, key_below
from slowmo_pipeline.storage.disk_errors import ABSENT, disk_errors, gone, replacing, require_readable
from slowmo_pipeline.storage.keys import SIDECAR_SUFFIX, UPLOADS
from slowmo_pipeline.storage.scratch import Scratch

_STAGED = ".staged-"
_SCRATCH = "scratch"
_SETTING = "SLOWMO_STORAGE"

# What file systems without hard links say: FAT, exFAT, some network shares.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK})
# What those say that cannot sync a folder, which is not worth giving up for.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF})

_LATEST = 253402300799
"""Seconds since the epoch of the last moment that a datetime holds; a file may have any."""


class FolderStorage:
    """Objects in a folder, which is made when missing; see `Storage`. Raises StorageError when it cannot be made."""

    poll_seconds = 0.5
    uploads_appear_whole = False
    """A file that is copied in is listed while it grows."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = self.root.as_uri()
        self._scratch = Scratch(self.root / _SCRATCH, setting=_SETTING)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The storage folder {self.root} cannot be made: {error.strerror}. Set {_SETTING} to a folder you may "
                "write to."
            ) from error

    def uri(self, key: str) -> str:
        return f"{self.url}/{key}"

    def display_path(self, key: str) -> str:
        return str(self._path(key))

    def key_of(self, uri: str) -> str:
        return key_below(self.url, uri)

    def browser_link(self, key: str, *, method: str, content_type: str) -> str | None:
        return None

    def read(self, key: str) -> bytes:
        with self._errors(), self.local_file(key) as path:
            return path.read_bytes()

    def write(self, key: str, data: bytes) -> None:
        with self._staged(key) as (aside, path):
            aside.write_bytes(data)
            _sync(aside)
            aside.replace(path)

    def create(self, key: str, data: bytes) -> bool:
        with self._staged(key) as (aside, path):
            aside.write_bytes(data)
            _sync(aside)
            try:
                path.hardlink_to(aside)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _created_alone(path, data)
        return True

    def stat(self, key: str) -> Entry | None:
        path = self._path(key)
        try:
            found = path.stat()
        except OSError as error:
            if error.errno in ABSENT and os.path.isdir(self.root):
                return None
            with self._errors():
                raise
        return self._entry(path, found) if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str) -> Iterator[Entry]:
        yield from self._walk(self._path(prefix))

    def folders(self, prefix: str) -> tuple[str, ...]:
        with self._errors():
            found = self._scanned(self._path(prefix))
        return tuple(sorted(entry.name for entry in found if _is_folder(entry)))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._errors(), suppress(FileNotFoundError, NotADirectoryError):
                self._path(key).unlink()

    def upload(self, path: Path, key: str) -> None:
        require_readable(path)
        with self._staged(key) as (aside, target):
            shutil.copyfile(path, aside)
            _sync(aside)
            aside.replace(target)

    def download(self, key: str, path: Path) -> None:
        with self.local_file(key) as source, replacing(path) as aside:
            shutil.copyfile(source, aside)

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        # Only what is listed as well: opening a pipe would wait for ever.
        if self.stat(key) is None:
            raise FileNotFoundError(f"{self._path(key)} does not exist.")
        yield self._path(key)

    def local_upload(self, upload: Entry) -> AbstractContextManager[Path]:
        return self.local_file(upload.key)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with self._errors():
            self._make_folder(self._path(_SCRATCH))
        with self._scratch.folder() as folder:
            yield folder

    def uploads(self) -> Uploads:
        entries: list[Entry] = []
        unusable: dict[str, str] = {}
        with self._errors():
            waiting = deque(self._scanned(self._path(UPLOADS)))
        while waiting:
            each = waiting.popleft()
            path = Path(each.path)
            key = path.relative_to(self.root).as_posix()
            try:
                if _is_folder(each):
                    if each.name.endswith(SIDECAR_SUFFIX):
                        unusable[key] = "a folder where settings are expected"
                    waiting.extend(self._scanned(path))
                    continue
                status = path.stat()
            except OSError as error:
                unusable[key] = error.strerror or str(error)
                continue
            if stat.S_ISREG(status.st_mode):
                entries.append(self._entry(path, status))
            else:
                unusable[key] = "a link to a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        return Uploads(tuple(entries), unusable)

    def prepare_uploads(self) -> None:
        with self._errors():
            self._make_folder(self._path(UPLOADS))

    def free_bytes(self) -> int | None:
        with self._errors():
            return shutil.disk_usage(self.root).free

    def remove_leftovers(self) -> int:
        freed = self._scratch.remove_dead()
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder, name) for name in names if name.startswith(_STAGED)):
                with suppress(OSError):  # another user's, or something else that has such a name
                    freed += _removed_unless_written(path)
        return freed

    def close(self) -> None:
        pass  # a folder keeps no copies

    def _path(self, key: str) -> Path:
        return self.root.joinpath(*key.split("/"))

    def _errors(self) -> AbstractContextManager[None]:
        return disk_errors(self.root, setting=_SETTING)

    def _entry(self, path: Path, found: os.stat_result) -> Entry:
        return Entry(
            key=path.relative_to(self.root).as_posix(),
            size=found.st_size,
            modified=datetime.fromtimestamp(min(max(found.st_mtime, 0), _LATEST), timezone.utc),
            version=f"{found.st_mtime_ns:x}-{found.st_size:x}",
            changed=found.st_ctime_ns,
        )

    def _walk(self, folder: Path) -> Iterator[Entry]:
        with self._errors():
            found = self._scanned(folder)
        for each in found:
            path = Path(each.path)
            if _is_folder(each):
                yield from self._walk(path)
            elif (entry := self.stat(path.relative_to(self.root).as_posix())) is not None:
                yield entry

    def _scanned(self, folder: Path) -> "tuple[os.DirEntry[str], ...]":
        """What lies right in a folder, but for what is being written; nothing when there is no such folder."""
        try:
            with os.scandir(folder) as entries:
                return tuple(entry for entry in entries if _is_folder(entry) or not entry.name.startswith(_STAGED))
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            if not os.path.isdir(self.root):
                raise gone(self.root, _SETTING) from error
            return ()

    @contextmanager
    def _staged(self, key: str) -> Iterator[tuple[Path, Path]]:
        """A new file beside the one for a key; the block fills it, syncs it and renames it, and else it goes."""
        path = self._path(key)
        try:
            with self._errors():
                if not path.parent.is_dir():
                    self._make_folder(path.parent)
                aside, lock = _locked_file(path.parent)
                try:
                    yield aside, path
                    _sync(path.parent)
                finally:
                    with suppress(FileNotFoundError):  # renamed
                        aside.unlink()
                    os.close(lock)
        except FileNotFoundError as error:
            raise StorageError(f"{path.parent} was deleted while it was written to: run again.") from error

    def _make_folder(self, folder: Path) -> None:
        if folder == self.root:
            if not folder.is_dir():
                raise gone(folder, _SETTING)
            return
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync(folder.parent)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _locked_file(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / f"{_STAGED}{secrets.token_hex(8)}"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # Somebody who removes leftovers may have come in between: then once more.
        if try_lock_where_possible(lock) is not False and path.exists():
            return path, lock
        os.close(lock)


def _removed_unless_written(path: Path) -> int:
    """Remove a staged file whose writer is dead; returns the bytes freed."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not try_lock_where_possible(descriptor):
            return 0
        size = os.fstat(descriptor).st_size
        path.unlink()
        return size
    finally:
        os.close(descriptor)


def _created_alone(path: Path, data: bytes) -> bool:
    """Write a file that must not be there, where no hard link can do it: a crash here leaves it torn."""
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
