"""What the errors of a local disk mean for people: one sentence, with the next step."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.filesize import decimal

from slowmo_pipeline.errors import DiskFullError, StorageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""How looking for a file fails that is not there: the last three say that it cannot be."""

_NO_RENAME = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


_GIVE = "Give the path of a video."
_WILDCARD = "A shell puts in what a pattern matches: it found nothing. Give the path of a video."


@contextmanager
def disk_errors(root: Path, *, setting: str) -> Iterator[None]:
    """Raise StorageError or DiskFullError for an OSError met below a folder that this environment variable names.

    A StorageError passes as it is, and so does FileNotFoundError while the folder itself is there: it is an answer.
    """
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        if os.path.isdir(root):  # unlike Path's own, it never raises
            raise
        raise gone(root, setting) from error
    except OSError as error:
        raise _meant(error, root, setting) from error


def file_size(path: Path) -> int:
    """Bytes of a local file that shall become an upload. Raises StorageError when there is no file."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in ABSENT:
            raise StorageError(f"{path} is not a file. {_WILDCARD if _is_pattern(path) else _GIVE}") from error
        raise StorageError(f"{path} cannot be looked at: {error.strerror}. Let this user read its folder.") from error
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path} is not a file. {_GIVE}")
    return found.st_size


def _is_pattern(path: Path) -> bool:
    return bool(set("*?[") & set(path.name))


def require_readable(path: Path) -> None:
    """Raise StorageError for a local file that cannot be read, before anything else could be blamed for it."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}. Give the path of a file.") from error


def require_replaceable(path: Path) -> bool:
    """Whether there is a file at a path. Raises StorageError for what is there and no file: it would be destroyed."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path} is there and no regular file: it is left alone. Choose another place.")
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside a path, which it replaces at the end of the block; raises StorageError when that cannot be.

    What a link points to is replaced, not the link.
    """
    require_replaceable(path)
    path = path.resolve()
    aside = _aside_of(path)
    try:
        yield aside
        aside.replace(path)
    except StorageError:
        raise
    except OSError as error:
        kind = DiskFullError if error.errno in FULL else StorageError
        raise kind(f"{path} cannot be written: {error.strerror}. Choose another place: nothing is lost.") from error
    finally:
        with suppress(OSError):  # replaced, or never there
            aside.unlink()


def _aside_of(path: Path) -> Path:
    """Where a file is written before it replaces a path: beside it, and always the same. A name's length has a limit,
    which that of the path may have reached."""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{name}.part")


def gone(root: Path, setting: str) -> StorageError:
    """The error for a folder that was there."""
    return StorageError(
        f"The folder {root} is not there any more: it was deleted, or its disk was unmounted. Put it back, or set "
        f"{setting} to another one."
    )


def full(root: Path, setting: str, *, needed: int | None = None) -> DiskFullError:
    """The error for a disk without room, with what is free, and what is needed where that is known."""
    try:
        free = decimal(shutil.disk_usage(root).free)
    except OSError:
        free = "nothing"
    wanted = "" if needed is None else f", {decimal(needed)} are needed"
    return DiskFullError(
        f"The disk of {root} is full: {free} free{wanted}. Free some, run `slowmo clean`, or set {setting} to a folder "
        "on a larger disk; then run again: nothing done is lost."
    )


def _meant(error: OSError, root: Path, setting: str) -> StorageError:
    path, reason = error.filename2 or error.filename or root, error.strerror or str(error)
    place = repr(os.fsdecode(path))[1:-1]  # a name may hold anything
    writable = f"Set {setting} to a folder that you may write to"
    if error.errno in FULL:
        return full(root, setting)
    if error.errno == errno.EROFS:
        return StorageError(f"{root} is on a read-only file system, {place} cannot be written. {writable}.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return StorageError(f"{place}: {reason}. {writable}, or let this user read and write it.")
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
        return StorageError(f"{place}: {reason}. Something else stands where the pipeline keeps its own: move it away.")
    if error.errno == errno.ENAMETOOLONG:
        return StorageError(f"{place}: {reason}. Give it a shorter name.")
    if error.errno in _NO_RENAME:
        return StorageError(
            f"The file system of {root} cannot do what keeps files whole ({place}: {reason}). {writable} on another "
            "one; a bucket is better named as s3://bucket/prefix than mounted."
        )
    return StorageError(f"{place}: {reason}. Look at the disk, then run again: nothing done is lost.")
