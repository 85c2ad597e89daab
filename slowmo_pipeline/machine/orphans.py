"""The processes of Dagster below `slowmo up`, and their end: none outlives it, not even when it is killed.

Left alone, a daemon would go on starting runs, and each would fail since the endpoint has ended with its last user.
The guard, `main` with the home and a folder as arguments, is a process that waits for the end of its standard input.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from slowmo_pipeline.child_python import running

MARK = "SLOWMO_UP"
"""Environment variable that all processes below `slowmo up` inherit; names the home."""

_GONE_SECONDS = 10


@contextmanager
def guarded(root: Path) -> Iterator[Path]:
    """End what carries the mark of this home when the block ends, and also when this process is killed inside it.

    Yields an empty folder of this user alone, for their sockets and temporary files; it goes after them.
    """
    folder = tempfile.mkdtemp(prefix="slowmo-")
    guard = subprocess.Popen(
        running("slowmo_pipeline.machine.orphans", str(root), folder),
        stdin=subprocess.PIPE,  # which the kernel closes with this process, SIGKILL included
        start_new_session=True,  # Ctrl-C is not for the guard
    )
    try:
        yield Path(folder)
    finally:
        guard.communicate()


def end_leftovers(root: Path) -> None:
    """Kill every process that carries the mark of this home, and wait until they are gone.

    All are stopped before the first is killed: a run that saw its ffmpeg die would take the video for a bad one, while
    a run that was killed is repeated.
    """
    leftovers = [process for process in psutil.process_iter() if _is_marked(process, root)]
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(leftovers, timeout=_GONE_SECONDS)


def _is_marked(process: psutil.Process, root: Path) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARK) == str(root)
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or somebody else's


def main() -> None:
    """Wait for the end of `slowmo up`, and end what it leaves, then their files."""
    root, folder = map(Path, sys.argv[1:])
    sys.stdin.read()
    end_leftovers(root)
    shutil.rmtree(folder)
