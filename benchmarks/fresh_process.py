"""A process of one's own to measure in, and its memory."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_fresh_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns in a process of its own: what is kept of one measurement spoils the next."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def forget_peak_memory() -> None:
    """Let `peak_memory` count from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory(pid: int | str = "self") -> float:
    """The most resident memory that a process had, its weights and libraries included, in GB."""
    return _status("VmHWM", pid)


def memory() -> float:
    """What this process has now, in GB."""
    return _status("VmRSS")


def _status(name: str, pid: int | str = "self") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kilobytes) * 1024 / 1e9
