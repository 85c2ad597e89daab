"""Locks that processes hold on files: flock(2), which the kernel drops with their holder, SIGKILL included."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slowmo_pipeline.errors import HomeError


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file to lock, made when missing; closing it drops its locks. Raises HomeError when it cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Python opens descriptors close-on-exec: a lock does not outlive its holder in a program it started.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise HomeError(
            f"{path} cannot be used: {error.strerror}. Set SLOWMO_HOME to a folder you may write to."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Take the lock, alone or with others who share it; waits for it."""
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


_NONE = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
"""What file systems without locks say."""


def try_lock_where_possible(descriptor: int) -> bool | None:
    """The same as `try_lock`; None on a file system that has no locks, where nobody knows who works."""
    try:
        return try_lock(descriptor)
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock if that needs no waiting; whether it was taken."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
