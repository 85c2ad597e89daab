"""The warp: which moment of the source each moment of the result shows. Monotone, in pieces, and exact.

source                     output
0 s ------ 2 s ------ 3 s  0 s ------ 2 s ------------------------ 10 s
   speed 1    speed 1/8       the same    eight times as long

eased: between two speeds, the speed itself changes evenly with the time of the result. The moment is then a square
of it, and still a fraction; the change lasts as long as asked for and lies around the moment of the source at which
the speed was to change, so that as much of it comes before as after.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple


class Speed(NamedTuple):
    """A part of the source that plays at one speed."""

    begin: Fraction
    """Seconds of the source."""
    end: Fraction
    """Seconds of the source, after `begin`."""
    speed: Fraction
    """Seconds of the source in a second of the result, above 0."""


@dataclass(frozen=True)
class Segment:
    """A part of the result in which the speed is constant, or changes evenly."""

    output: Fraction
    """Seconds of the result at which it begins."""
    source: Fraction
    """Seconds of the source at which it begins."""
    duration: Fraction
    """Seconds of the result, above 0."""
    begin_speed: Fraction
    """Seconds of the source in a second of the result, above 0."""
    end_speed: Fraction

    @property
    def is_even(self) -> bool:
        """Whether the speed is constant."""
        return self.begin_speed == self.end_speed

    @property
    def source_end(self) -> Fraction:
        """Seconds of the source at which it ends."""
        return self.source + (self.begin_speed + self.end_speed) / 2 * self.duration

    def source_time(self, output: Fraction) -> Fraction:
        """The moment of the source that is shown at a moment of the result inside of it."""
        passed = output - self.output
        moment = self.source + self.begin_speed * passed
        if self.is_even:
            return moment
        return moment + (self.end_speed - self.begin_speed) / (2 * self.duration) * passed * passed


@dataclass(frozen=True)
class Warp:
    """Segments, one after the other: the first begins at 0 seconds of the result."""

    segments: tuple[Segment, ...]

    @cached_property
    def duration(self) -> Fraction:
        """Seconds of the result."""
        return self.segments[-1].output + self.segments[-1].duration

    @property
    def source_begin(self) -> Fraction:
        """Seconds of the source at which the result begins."""
        return self.segments[0].source

    @property
    def source_end(self) -> Fraction:
        """Seconds of the source at which the result ends."""
        return self.segments[-1].source_end

    @cached_property
    def is_even(self) -> bool:
        """Whether it has one speed throughout."""
        return len(self.segments) == 1 and self.segments[0].is_even

    def source_time(self, output: Fraction) -> Fraction:
        """The moment of the source that is shown at a moment of the result; beyond its end, at the last speed."""
        if output > self.duration:
            return self.source_end + (output - self.duration) * self.segments[-1].end_speed
        place = bisect_right(self.segments, output, key=lambda segment: segment.output) - 1
        return self.segments[place].source_time(output)

    def output_time(self, source: Fraction) -> Fraction:
        """When the result shows a moment of the source; outside, as if its first or last speed went on.

        Exact where the speed is constant, else to the microsecond.
        """
        segment = self.segment_of(source)
        distance = source - segment.source
        if segment.is_even:
            return segment.output + distance / segment.begin_speed
        growth = float((segment.end_speed - segment.begin_speed) / segment.duration)
        begin = float(segment.begin_speed)
        # The root of begin * x + growth / 2 * x^2 = distance, in the form that keeps its digits.
        passed = 2 * float(distance) / (begin + math.sqrt(begin**2 + 2 * growth * float(distance)))
        return segment.output + Fraction(round(passed * 10**6), 10**6)

    def segment_of(self, source: Fraction) -> Segment:
        """The segment that shows a moment of the source; of those outside, the first or the last."""
        if len(self.segments) == 1:
            return self.segments[0]
        place = bisect_right(self.segments, source, key=lambda segment: segment.source) - 1
        return self.segments[max(place, 0)]


def even_warp(speed: Fraction, begin: Fraction, end: Fraction) -> Warp:
    """One speed from one moment of the source to another."""
    return Warp((Segment(Fraction(0), begin, (end - begin) / speed, speed, speed),))


def ramped_warp(speeds: Sequence[Speed], *, ease: Fraction) -> Warp:
    """Parts of the source that follow each other, each at its speed.

    Between two speeds the change takes `ease` seconds of the result. Raises ValueError where a part is too short for
    the changes at its ends.
    """
    parts = _merged(speeds)
    # The mean of both speeds times `ease` is what a change takes of the source, half of it before its moment.
    halves = [Fraction(0), *((one.speed + other.speed) / 4 * ease for one, other in pairwise(parts)), Fraction(0)]
    segments: list[Segment] = []
    output = Fraction(0)

    def add(source: Fraction, duration: Fraction, begin_speed: Fraction, end_speed: Fraction) -> None:
        nonlocal output
        if duration > 0:
            segments.append(Segment(output, source, duration, begin_speed, end_speed))
            output += duration

    for place, part in enumerate(parts):
        begin, end = part.begin + halves[place], part.end - halves[place + 1]
        if begin > end:
            raise ValueError(
                f"the part from {float(part.begin):g} to {float(part.end):g} s is too short for changes of speed that "
                f"take {float(ease):g} s"
            )
        add(begin, (end - begin) / part.speed, part.speed, part.speed)
        if halves[place + 1]:
            add(end, ease, part.speed, parts[place + 1].speed)
    return Warp(tuple(segments))


def _merged(speeds: Sequence[Speed]) -> list[Speed]:
    merged = [speeds[0]]
    for part in speeds[1:]:
        if part.speed == merged[-1].speed:
            merged[-1] = merged[-1]._replace(end=part.end)
        else:
            merged.append(part)
    return merged
