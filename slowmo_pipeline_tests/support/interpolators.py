"""Interpolators for tests of whatever runs one: a cheap one, and one that misbehaves as its frames tell it."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.base import ALL

FADE = 100
"""A grey value from here on lets Scripted behave."""
STUCK, KILLED, OUT_OF_MEMORY, HELD = range(1, 5)
"""Grey values that tell Scripted what to do; HELD is at work until the gate is open."""


class Fade:
    """Cross-fades: with flat grey frames a and b, the frame at t is flat grey a + t·(b - a)."""

    model_id = "fade-1"

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        places = ((*pair, t) for pair, wanted in zip(pairwise(frames), times, strict=True) for t in wanted)
        for left, right, t in islice(places, returned.start, returned.stop):
            mixed = left + float(t) * (right.astype(np.float64) - left)
            yield mixed.round().astype(left.dtype)


class FadeNext(Fade):
    """The same, deployed after it."""

    model_id = "fade-2"


class ToldGpu(Fade):
    """Tells the GPU that its process may see."""

    def __init__(self) -> None:
        self.model_id = f"gpu-{os.environ.get('CUDA_VISIBLE_DEVICES')}"


def wait_at_the_gate() -> None:
    """Wait until the file that SLOWMO_TEST_GATE names is there."""
    while not Path(os.environ["SLOWMO_TEST_GATE"]).exists():
        time.sleep(0.01)


class Gated(Fade):
    """Is at work until the gate is open."""

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        wait_at_the_gate()
        yield from super().render(frames, times, returned=returned)


class GatedNext(Gated):
    """The same, deployed after it."""

    model_id = "fade-2"


class Verbose(Fade):
    """Fails, and says more of it than anybody reads."""

    model_id = "verbose-1"

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        raise type("Long" * 1_000_000, (Exception,), {})("ü" * 1_000_000)


class Endless(Fade):
    """Has a name that no socket was made for."""

    model_id = "endless" * 1_000_000


class Scripted(Fade):
    """Does what the grey value of the first frame says."""

    model_id = "scripted-1"

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        everything = list(frames)
        action = int(everything[0][0, 0, 0])
        if action == STUCK:
            time.sleep(3600)
        if action == HELD:
            wait_at_the_gate()
        if action == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == OUT_OF_MEMORY:
            raise MemoryError("no room for a frame")
        yield from super().render(everything, times, returned=returned)
