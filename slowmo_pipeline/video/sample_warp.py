"""The warp in samples: which place in the source's sound each sample of the result's belongs to."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Protocol

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.float64]


class WarpSegment(Protocol):
    """A part of the result in which the speed is constant, or changes evenly: planning's `Segment`."""

    @property
    def output(self) -> Fraction:
        """Seconds of the result at which it begins."""

    @property
    def source(self) -> Fraction:
        """Seconds of the source at which it begins."""

    @property
    def duration(self) -> Fraction:
        """Seconds of the result, above 0."""

    @property
    def begin_speed(self) -> Fraction:
        """Seconds of the source in a second of the result, above 0."""

    @property
    def end_speed(self) -> Fraction:
        """Seconds of the source in a second of the result, above 0."""


@dataclass(frozen=True)
class Run:
    """A part of the result that is all at the source's own speed, or nowhere."""

    begin: int
    """Sample of the result."""
    end: int
    source: int
    """Sample of the source at `begin`."""
    is_unchanged: bool
    """Whether it has the source's own speed."""


class SampleWarp:
    """Segments in samples; the first and the last go on beyond their ends, at their last speeds there."""

    def __init__(self, segments: Sequence[WarpSegment], *, rate: int, duration: Fraction) -> None:
        self._segments = segments
        self._rate = rate
        self.total = round(duration * rate)
        """Samples of the result."""
        self._outputs = np.array([float(each.output * rate) for each in segments])
        self._sources = np.array([float(each.source * rate) for each in segments])
        self._lengths = np.array([float(each.duration * rate) for each in segments])
        self._speeds = np.array([float(each.begin_speed) for each in segments])
        self._end_speeds = np.array([float(each.end_speed) for each in segments])
        self._growths = (self._end_speeds - self._speeds) / self._lengths

    def places(self, outputs: Places) -> Places:
        """The places in the source of some samples of the result."""
        number = np.clip(np.searchsorted(self._outputs, outputs, side="right") - 1, 0, None)
        passed = outputs - self._outputs[number]
        inside = np.clip(passed, 0, self._lengths[number])
        speed, growth = self._speeds[number], self._growths[number]
        moved = speed * inside + growth / 2 * inside * inside
        # Before the first and after the last.
        outside = np.minimum(passed, 0) * speed + np.maximum(passed - inside, 0) * self._end_speeds[number]
        found: Places = self._sources[number] + moved + outside
        return found

    def output_of(self, place: int) -> float:
        """The sample of the result that belongs to a place in the source."""
        number = max(0, int(np.searchsorted(self._sources, place, side="right")) - 1)
        left, speed, growth = place - self._sources[number], self._speeds[number], self._growths[number]
        moved = (speed + self._end_speeds[number]) / 2 * self._lengths[number]
        if left > moved:
            passed = self._lengths[number] + (left - moved) / self._end_speeds[number]
        elif left < 0:
            passed = left / speed
        else:
            passed = 2 * left / (speed + math.sqrt(max(0, speed * speed + 2 * growth * left)))
        return float(self._outputs[number] + passed)

    def runs(self) -> Iterator[Run]:
        """Yield the parts of the result, one after the other."""
        grouped = [(is_unchanged, list(group)) for is_unchanged, group in groupby(self._segments, key=_is_unchanged)]
        begins = [round(group[0].output * self._rate) for _, group in grouped]
        for (is_unchanged, group), begin, end in zip(grouped, begins, [*begins[1:], self.total], strict=True):
            # Not rounded twice: at one sample's distance from the stretched sound beside it.
            source = begin + round((group[0].source - group[0].output) * self._rate)
            if end > begin:
                yield Run(begin, end, source, is_unchanged)


def _is_unchanged(segment: WarpSegment) -> bool:
    return segment.begin_speed == segment.end_speed == 1
