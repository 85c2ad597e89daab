"""The time line: which moment of the source each output frame shows. Exact arithmetic, nothing else.

    source frames   0       1       2       3            N = 4 at a constant rate
    source time     |-------|-------|-------|-------|    the last frame lasts as long as the others
    output frames   0 1 2 3 4 5 6 7 8 9 ...      15      slowdown 4 at the source's rate: 4 * N of them
                    ^       ^       ^       ^ ^ ^ ^      originals; after the last one nothing follows: it is held

Source times are seconds after the first frame, so frame 0 is shown at 0.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

STANDARD_RATES = tuple(
    sorted(
        [Fraction(rate) for rate in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 200, 240)]
        + [Fraction(rate, 1001) for rate in (12000, 15000, 24000, 30000, 48000, 60000, 120000, 240000)]
        + [Fraction(25, 2)]
    )
)
"""Frame rates that cameras, broadcast and screens use, per second."""


class Position(NamedTuple):
    """A point of the source: `t` of the way through gap `gap`; t = 0 is frame `gap` itself."""

    gap: int
    t: Fraction
    """0 <= t < 1."""


@dataclass(frozen=True)
class ConstantRate:
    """Frame times i / rate."""

    rate: Fraction
    """Frames per second."""
    count: int
    """Number of frames, at least 1."""

    tolerance = Fraction(0)

    @property
    def duration(self) -> Fraction:
        """Seconds, the last frame's own time included."""
        return self.count / self.rate

    @property
    def nominal_rate(self) -> Fraction:
        """The rate that people would name."""
        return self.rate

    def time(self, frame: int) -> Fraction:
        """Presentation time of a frame, in seconds after frame 0."""
        return frame / self.rate


@dataclass(frozen=True)
class VariableRate:
    """Frame times as the container tells them."""

    ticks: tuple[int, ...]
    """Presentation times in units of `time_base`, strictly ascending, the first one 0."""
    time_base: Fraction
    """Seconds per tick."""
    last_duration: int
    """Ticks for which the last frame is shown, at least 1."""

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.ticks)

    @property
    def tolerance(self) -> Fraction:
        """Seconds by which the container may have rounded a time: one tick."""
        return self.time_base

    @property
    def duration(self) -> Fraction:
        """Seconds, the last frame's own time included."""
        return (self.ticks[-1] + self.last_duration) * self.time_base

    @property
    def nominal_rate(self) -> Fraction:
        """The standard rate nearest to the mean rate."""
        mean = self.count / self.duration
        return min(STANDARD_RATES, key=lambda rate: abs(rate - mean))

    def time(self, frame: int) -> Fraction:
        """Presentation time of a frame, in seconds after frame 0."""
        return self.ticks[frame] * self.time_base


FrameTimes = ConstantRate | VariableRate


def frame_times(
    ticks: Sequence[int], time_base: Fraction, *, last_duration: int | None, declared_rate: Fraction | None
) -> FrameTimes:
    """Recognise a constant rate behind a container's rounded times.

    Matroska and WebM keep milliseconds, MPEG-TS cannot express 24000/1001. The source counts as constant when a rate
    exists whose times differ from the container's by at most one tick each. Of all such rates the declared one is
    taken if it is standard, else the standard one nearest to the middle, else the declared one, else the simplest.

    `ticks` are the strictly ascending presentation times of two frames or more; `last_duration` of None or 0 means the
    median gap.
    """
    ticks = tuple(tick - ticks[0] for tick in ticks)
    # |ticks[i] - i * period| <= 1 for every i bounds the period (in ticks) from both sides; frames that were rounded
    # to different ticks are at least half a tick apart.
    shortest = max(Fraction(1, 2), *(Fraction(tick - 1, i) for i, tick in enumerate(ticks) if i))
    longest = min(Fraction(tick + 1, i) for i, tick in enumerate(ticks) if i)
    if shortest <= longest:
        rate = _likely_rate(1 / (longest * time_base), 1 / (shortest * time_base), declared_rate)
        return ConstantRate(rate, len(ticks))
    gaps = sorted(after - before for before, after in pairwise(ticks))
    return VariableRate(ticks, time_base, last_duration or gaps[len(gaps) // 2])


def _likely_rate(low: Fraction, high: Fraction, declared: Fraction | None) -> Fraction:
    fits = [rate for rate in STANDARD_RATES if low <= rate <= high]
    if declared is not None and low <= declared <= high and (declared in fits or not fits):
        return declared
    if fits:
        return min(fits, key=lambda rate: abs(rate - (low + high) / 2))
    return _simplest_between(low, high)


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator in [low, high], 0 < low <= high (Stern-Brocot descent)."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    below = math.floor(low)
    return below + 1 / _simplest_between(1 / (high - below), 1 / (low - below))


@dataclass(frozen=True)
class TimeLine:
    """Output frame j shows source time j / frame_rate / slowdown.

    In a source of variable rate, a source time within one tick of a frame (half an output step, if that is less)
    *is* that frame: the container's rounding must not cost an original.
    """

    source: FrameTimes
    slowdown: Fraction
    """How many times longer the result plays, at least 1."""
    frame_rate: Fraction
    """Frames per second of the result."""

    @cached_property
    def output_count(self) -> int:
        """Number of frames of the result."""
        return math.ceil(self.source.duration / self._step)

    @property
    def duration(self) -> Fraction:
        """Seconds of the result."""
        return self.output_count / self.frame_rate

    @cached_property
    def _step(self) -> Fraction:
        return 1 / (self.frame_rate * self.slowdown)

    @cached_property
    def _tolerance(self) -> Fraction:
        return min(self.source.tolerance, self._step / 2)

    def outputs_of_gap(self, gap: int) -> range:
        """The output frames whose position lies in a gap; the last "gap" is the held last frame."""
        begin = self._first_output(gap)
        end = self._first_output(gap + 1) if gap + 1 < self.source.count else self.output_count
        return range(begin, end)

    def _first_output(self, gap: int) -> int:
        output = math.ceil((self.source.time(gap) - self._tolerance) / self._step)
        return min(max(output, 0), self.output_count)

    def new_outputs_of_gap(self, gap: int) -> range:
        """Those of `outputs_of_gap` that lie strictly between two frames."""
        outputs = self.outputs_of_gap(gap)
        if gap + 1 >= self.source.count:
            return range(outputs.stop, outputs.stop)
        # At most the first one is the frame itself: two outputs are at least two tolerances apart.
        return outputs[1:] if outputs and self.t(gap, outputs[0]) == 0 else outputs

    @cached_property
    def new_count(self) -> int:
        """Number of outputs that lie strictly between two frames. In a source of variable rate, counted gap by gap."""
        gaps = self.source.count - 1
        if isinstance(self.source, ConstantRate):
            # Frame i is output i * per_gap, if that is whole: the shown ones are the multiples of its denominator.
            per_gap = self.frame_rate * self.slowdown / self.source.rate
            return self._first_output(gaps) - math.ceil(Fraction(gaps, per_gap.denominator))
        return sum(len(self.new_outputs_of_gap(gap)) for gap in range(gaps))

    def t(self, gap: int, output: int) -> Fraction:
        """How far through the gap an output of that gap lies, 0 <= t < 1."""
        begin = self.source.time(gap)
        moment = output * self._step
        if gap + 1 >= self.source.count or moment < begin + self._tolerance:
            return Fraction(0)
        return (moment - begin) / (self.source.time(gap + 1) - begin)

    def position(self, output: int) -> Position:
        """Where an output frame lies on the source's time line."""
        moment = output * self._step + self._tolerance
        gap = bisect_right(range(self.source.count), moment, key=self.source.time) - 1
        return Position(gap, self.t(gap, output))
