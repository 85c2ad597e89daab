"""What the FILM benchmarks share: a model, frames, a process of one's own, and its peak memory."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import av
import numpy as np

from benchmarks.clips import clip
from slowmo_pipeline.frames import Frame
from slowmo_pipeline_tests.plain_film import PlainFilm

P = ParamSpec("P")
T = TypeVar("T")


def in_fresh_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns in a process of its own: what TensorFlow keeps of one measurement spoils the next."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def write_model(folder: Path) -> int:
    """Write a SavedModel of the published network's full size with random weights; return how many there are."""
    film = PlainFilm()
    film.export(folder)
    return sum(int(np.prod(variable.shape)) for variable in film.variables)


def read_frames(count: int, height: int, width: int) -> list[Frame]:
    """The first frames of bigbuckbunny.mp4, scaled; at 16 bits, so that results show differences of 1/65535."""
    with av.open(str(clip("bigbuckbunny.mp4"))) as container:
        pictures = islice(container.decode(video=0), count)
        return [
            picture.to_ndarray(format="rgb48le", width=width, height=height).astype(np.uint16, copy=False)
            for picture in pictures
        ]


def forget_peak_memory() -> None:
    """Let `peak_memory` count from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """The most resident memory that this process had, its weights and libraries included, in GB."""
    return _status("VmHWM")


def memory() -> float:
    """What this process has now, in GB."""
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kilobytes) * 1024 / 1e9
