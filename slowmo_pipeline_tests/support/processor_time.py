"""`python -m slowmo_pipeline_tests.support.processor_time …` runs `python …`, and tells the processor time.

Detached processes count as well: what loses its parent becomes this process's child, which Linux alone can do.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: Sequence[str]) -> int:
    """Run `python …`; returns its exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = subprocess.Popen([sys.executable, *arguments])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for what was started
    ended, status = os.wait()
    while ended != started.pid:
        ended, status = os.wait()
    seconds = _used_by_the_living()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds += used.ru_utime + used.ru_stime
    print(f"Processor time: {seconds / 60:.1f} minutes ({seconds:.2f} s)", flush=True)
    return abs(os.waitstatus_to_exitcode(status))


def _used_by_the_living() -> float:
    """Processor seconds of children that still run, or end just now."""
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
