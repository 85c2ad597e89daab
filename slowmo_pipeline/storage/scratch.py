"""Folders for large files that last as long as their process, also when that is killed.

    <parent>/<random>/.lock      held with flock(2) by whoever works there: the kernel drops it with its process

A folder whose lock nobody holds is a leftover.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slowmo_pipeline.locks import try_lock_where_possible
from slowmo_pipeline.storage.disk_errors import disk_errors

_LOCK = ".lock"


class Scratch:
    """Folders of their users' own below one parent; `setting` is the environment variable that moves it."""

    def __init__(self, parent: Path, *, setting: str) -> None:
        self._parent = parent
        self._setting = setting

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder, which goes with the block. Those of dead processes go first."""
        with disk_errors(self._parent, setting=self._setting):
            self._parent.mkdir(parents=True, exist_ok=True)
            self.remove_dead()
            path, lock = self._made()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def remove_dead(self) -> int:
        """Remove the folders that nobody works in; returns the bytes freed."""
        try:
            found = [path for path in self._parent.iterdir() if path.is_dir() and not path.is_symlink()]
        except OSError:  # never used, or somebody else's
            return 0
        return sum(map(_removed_unless_used, found))

    def _made(self) -> tuple[Path, int]:
        while True:
            path = self._parent / secrets.token_hex(8)
            path.mkdir(mode=0o700)
            # Somebody who removes leftovers may have come between any two of these steps: then once more.
            with suppress(FileNotFoundError):
                lock = _opened_lock(path)
                if try_lock_where_possible(lock) is not False and (path / _LOCK).exists():
                    return path, lock
                os.close(lock)


def _opened_lock(folder: Path) -> int:
    return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)


def _removed_unless_used(path: Path) -> int:
    """Remove a folder, holding its lock meanwhile; returns the bytes freed."""
    try:
        lock = _opened_lock(path)
    except OSError:  # gone, or another user's: nobody knows that it is dead
        return 0
    try:
        if not try_lock_where_possible(lock):
            return 0
        freed = _size(path)
        shutil.rmtree(path, ignore_errors=True)
        return freed
    finally:
        os.close(lock)


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):  # gone meanwhile
                total += Path(folder, name).lstat().st_size
    return total
