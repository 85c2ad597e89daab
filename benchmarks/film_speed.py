"""Our build of FILM against the SavedModel's own graph, with the same weights.

The SavedModel is driven as it usually is: recursive halving, one call for each new frame, frames padded by repeating
their edge to the multiple that the network needs, nothing kept. Both make the new frames of a gap in turns, in one
process, and each is warm. Frames have 16 bits, so that a difference of 1/65535 shows.

What is judged is core seconds (user and system), as they hardly depend on what else the machine does; seconds are
those of each one's quickest gap.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from rich.table import Table

from benchmarks.film_cost import drawn_cost, frames_prepared, own_cost
from benchmarks.film_setup import read_frames
from benchmarks.fresh_process import forget_peak_memory, in_fresh_process, memory, peak_memory
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.film import FilmInterpolator, load_film
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm

HEIGHT, WIDTH = 256, 448
GAPS = 4
SLOWDOWNS = (2, 4, 8)
LEAST_RATIO = {4: 1.15, 8: 1.18}
AIM = 1.35

T = TypeVar("T")
Picture = npt.NDArray[np.float32]
"""Shape (1, height, width, 3), in [0, 1]; not clipped if rendered."""


@dataclass(frozen=True)
class Spent:
    """On the new frames of one gap."""

    seconds: float
    core_seconds: float

    @classmethod
    def on(cls, work: Callable[[], T]) -> "tuple[Spent, T]":
        """Do the work; return what it cost, and its result."""
        started, core_started = time.perf_counter(), time.process_time()
        result = work()
        return cls(time.perf_counter() - started, time.process_time() - core_started), result


@dataclass(frozen=True)
class Race:
    """One slowdown, made by both."""

    slowdown: int
    own: tuple[Spent, ...]
    """On each gap's new frames. The first gap's include the features of the clip's first frame."""
    saved: tuple[Spent, ...]
    difference: float
    """The largest between their results, on values in [0, 1], after rounding to 16 bits."""
    counted: float
    """By how much less arithmetic ours should be faster, in a long clip."""

    @property
    def ratio(self) -> float:
        """How many times the core seconds of ours the SavedModel takes, over the whole clip."""
        return sum(spent.core_seconds for spent in self.saved) / sum(spent.core_seconds for spent in self.own)


@dataclass(frozen=True)
class Memory:
    """Of a process, in GB."""

    loaded: float
    """Before its first frame."""
    peak: float
    """While it makes one gap's new frames."""


class SavedDriver:
    """A SavedModel as it is usually driven."""

    def __init__(self, saved: SavedFilm) -> None:
        self._saved = saved

    def new_frames(self, before: Frame, after: Frame, count: int) -> list[Frame]:
        """Return 1, 3, 7, … new frames of one gap."""
        height, width = before.shape[:2]
        made = (
            picture[0, :height, :width] for picture in self._halved(self._padded(before), self._padded(after), count)
        )
        largest = np.iinfo(before.dtype).max
        return [np.rint(np.clip(picture, 0, 1) * np.float32(largest)).astype(before.dtype) for picture in made]

    def _padded(self, frame: Frame) -> Picture:
        scaled = np.divide(frame, np.iinfo(frame.dtype).max, dtype=np.float32)
        multiple = self._saved.options.multiple
        down, right = (-side % multiple for side in frame.shape[:2])
        return np.pad(scaled[np.newaxis], [(0, 0), (0, down), (0, right), (0, 0)], mode="edge")

    def _halved(self, before: Picture, after: Picture, count: int) -> Iterator[Picture]:
        middle = self._saved.render(before, after)
        if count > 1:
            yield from self._halved(before, middle, count // 2)
        yield middle
        if count > 1:
            yield from self._halved(middle, after, count // 2)


def race_all(model: Path) -> list[Race]:
    """Make a short clip at each slowdown, by both in turns."""
    interpolator, driver = load_film(model), SavedDriver(SavedFilm.load(model))
    frames = read_frames(GAPS + 1, HEIGHT, WIDTH)
    # What is allocated and chosen for a size at its first use is no part of the work.
    list(interpolator.render(frames[:2], [_times(2)]))
    driver.new_frames(frames[0], frames[1], 1)
    return [race(interpolator, driver, frames, slowdown) for slowdown in SLOWDOWNS]


def race(interpolator: FilmInterpolator, driver: SavedDriver, frames: Sequence[Frame], slowdown: int) -> Race:
    count = slowdown - 1
    stream = interpolator.render(frames, [_times(slowdown)] * GAPS)
    own, saved, difference = [], [], 0
    for before, after in pairwise(frames):
        spent, ours = Spent.on(partial(_taken, stream, count))
        own.append(spent)
        spent, theirs = Spent.on(partial(driver.new_frames, before, after, count))
        saved.append(spent)
        difference = max(difference, _difference(ours, theirs))
    drawn = drawn_cost(interpolator.options, HEIGHT, WIDTH).new_frame(2)
    done = own_cost(interpolator.options, HEIGHT, WIDTH).new_frame(frames_prepared(count))
    return Race(slowdown, tuple(own), tuple(saved), difference / 65535, drawn / done)


def _taken(stream: Iterator[Frame], count: int) -> list[Frame]:
    return list(islice(stream, count))


def own_memory(model: Path) -> Memory:
    """Of a process that holds nothing but our build, at 4x."""
    interpolator, frames = load_film(model), read_frames(2, HEIGHT, WIDTH)
    loaded = memory()
    forget_peak_memory()
    list(interpolator.render(frames, [_times(4)]))
    return Memory(loaded, peak_memory())


def saved_memory(model: Path) -> Memory:
    """Of a process that holds nothing but the SavedModel, at 4x."""
    driver, frames = SavedDriver(SavedFilm.load(model)), read_frames(2, HEIGHT, WIDTH)
    loaded = memory()
    forget_peak_memory()
    driver.new_frames(frames[0], frames[1], 3)
    return Memory(loaded, peak_memory())


def _times(slowdown: int) -> list[Fraction]:
    return [Fraction(step, slowdown) for step in range(1, slowdown)]


def _difference(ours: Sequence[Frame], theirs: Sequence[Frame]) -> int:
    pairs = zip(ours, theirs, strict=True)
    return max(int(np.abs(one.astype(np.int32) - other).max()) for one, other in pairs)


def speed_table(races: Sequence[Race]) -> Table:
    title = f"Our build (o) against the SavedModel's own graph (s), {WIDTH}x{HEIGHT}, {GAPS} gaps; for a new frame"
    shown = Table("slowdown", title=title)
    for heading in ("seconds o / s", "ratio", "core seconds o / s", "ratio", "by arithmetic", "difference"):
        shown.add_column(heading, justify="right")
    for race in races:
        made = race.slowdown - 1
        quickest = [min(spent.seconds for spent in each) / made for each in (race.own, race.saved)]
        core = [sum(spent.core_seconds for spent in each) / (made * GAPS) for each in (race.own, race.saved)]
        shown.add_row(
            f"{race.slowdown}x",
            f"{quickest[0]:.2f} / {quickest[1]:.2f}",
            f"{quickest[1] / quickest[0]:.2f}",
            f"{core[0]:.2f} / {core[1]:.2f}",
            f"{race.ratio:.2f}",
            f"{race.counted:.2f}",
            f"{race.difference:.1e}",
        )
    return shown


def memory_table(model: Path) -> Table:
    """Measure each in a process of its own."""
    shown = Table("a process at 4x", title=f"Memory, {WIDTH}x{HEIGHT}")
    for heading in ("loaded GB", "peak GB"):
        shown.add_column(heading, justify="right")
    for name, measure in (("ours", own_memory), ("saved", saved_memory)):
        found = in_fresh_process(measure, model)
        shown.add_row(name, f"{found.loaded:.2f}", f"{found.peak:.2f}")
    return shown


def shortcomings(races: Sequence[Race]) -> list[str]:
    """What our build fails to reach, in words."""
    return [
        f"{race.slowdown}x: {race.ratio:.2f} times as few core seconds, less than {LEAST_RATIO[race.slowdown]}"
        for race in races
        if race.ratio < LEAST_RATIO.get(race.slowdown, 0)
    ]
