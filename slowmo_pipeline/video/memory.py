"""A ceiling on the memory of the process that looks at an upload.

libavformat builds the index that a header claims, whatever the file holds: 5 KB are enough for gigabytes. Where it is
refused memory it mostly goes on, with an empty index, and nothing tells. So a thread looks at the peak of the address
space, and ends the process once that has grown by more than is allowed. The kernel's refusal, by RLIMIT_DATA, only
stands behind: it comes 2 GiB later, more than libavutil allocates at once, so that whatever was refused has passed the
ceiling.

Only Linux holds RLIMIT_DATA against what is mapped, and tells the peak: on macOS there is no ceiling.
"""

import os
import resource
import sys
import threading
import time
from pathlib import Path

PASSED = 77
"""Exit code of a process that passed its ceiling."""

_MOST_AT_ONCE = 2**31
"""Bytes of libavutil's `max_alloc_size`."""

_PAUSE_SECONDS = 0.02
"""Between two looks. Memory is filled at some GB a second."""


class MemoryCeiling:
    """Ends this process, with the exit code PASSED, once its memory has grown by more than `growth` bytes from now."""

    def __init__(self, growth: int) -> None:
        self._before = _status("VmPeak:")
        self._data_before = _status("VmData:")
        self._growth = 0
        self.lift(growth)
        threading.Thread(target=self._watch, daemon=True).start()

    def lift(self, more: int) -> None:
        """Allow so many bytes more."""
        self._growth += more
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = self._data_before + self._growth + _MOST_AT_ONCE
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))

    def hold(self) -> None:
        """End the process if it passed the ceiling at any time until now."""
        if _status("VmPeak:") - self._before > self._growth:
            os._exit(PASSED)

    def _watch(self) -> None:
        while True:
            time.sleep(_PAUSE_SECONDS)
            self.hold()


def _status(name: str) -> int:
    """A number of this process, in bytes, as Linux tells it; 0 where it is not told."""
    if sys.platform != "linux":
        return 0
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
