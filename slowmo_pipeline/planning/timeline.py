"""The time line: which moment of the source each output frame shows. Exact arithmetic, nothing else.

    source frames   0       1       2       3            N = 4 at a constant rate
    source time     |-------|-------|-------|-------|    the last frame lasts as long as the others
    output frames   0 1 2 3 4 5 6 7 8 9 ...      15      slowdown 4 at the source's rate: 4 * N of them
                    ^       ^       ^       ^ ^ ^ ^      originals; after the last one nothing follows: it is held

    no originals    0 1 2 3 4 5 6 7 8 9 ...              the same, each half an output later: eighths of the way
                     · · · · · · · · · ·

Source times are seconds after the first frame, so frame 0 is shown at 0.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from slowmo_pipeline.planning.track import Track
from slowmo_pipeline.planning.warp import Segment, Warp


class Position(NamedTuple):
    """A point of the source: `t` of the way through interval `interval`; t = 0 is the frame at its first anchor."""

    interval: int
    t: Fraction
    """0 <= t < 1."""


@dataclass(frozen=True)
class TimeLine:
    """Output frame j shows the moment of the source that the warp has for j / frame_rate.

    Where a container rounds, a moment within one tick of an anchor (half an output step, if that is less) *is* that
    anchor: its rounding must not cost an original.

    Without originals everything is shown half an output later. An output that would still fall on an anchor is moved
    on, half-way to the next output or to the next anchor. Frames that are held stay: those of repeated intervals, and
    the last one.
    """

    track: Track
    warp: Warp
    frame_rate: Fraction
    """Frames per second of the result."""
    shows_originals: bool = True

    @cached_property
    def output_count(self) -> int:
        """Number of frames of the result."""
        return math.ceil(self.warp.duration * self.frame_rate)

    @property
    def duration(self) -> Fraction:
        """Seconds of the result."""
        return self.output_count / self.frame_rate

    @property
    def slowdown(self) -> Fraction:
        """How many times longer the result plays than what it shows of the source; the mean where that varies."""
        return self.warp.duration / (self.warp.source_end - self.warp.source_begin)

    @cached_property
    def _shift(self) -> Fraction:
        return Fraction(0) if self.shows_originals else Fraction(1, 2)

    def moment(self, output: int) -> Fraction:
        """The moment of the source that an output frame shows, in seconds."""
        if self.warp.is_even:
            return self._first_moment + output * self._step
        return self.warp.source_time((output + self._shift) / self.frame_rate)

    @cached_property
    def _first_moment(self) -> Fraction:
        return self.warp.source_begin + self._shift * self._step

    @cached_property
    def _step(self) -> Fraction:
        """Seconds of the source from one output to the next, of an even warp."""
        return self.warp.segments[0].begin_speed / self.frame_rate

    def outputs_of(self, anchor: int) -> range:
        """The output frames from one anchor up to the next; the last anchor's frame is held to the end."""
        end = self._first_output(anchor + 1) if anchor + 1 < self.track.count else self.output_count
        return range(self._first_output(anchor), end)

    def _first_output(self, anchor: int) -> int:
        time = self.track.time(anchor)
        segment = self.warp.segment_of(time)
        output = self._first_from(time - self._tolerance(segment), segment)
        return min(max(output, 0), self.output_count)

    def _first_from(self, time: Fraction, segment: Segment) -> int:
        """The first output whose moment is not before `time`, which lies in the segment or close before it."""
        if time < segment.source and segment.output > 0:
            segment = self.warp.segment_of(time)
        if self.warp.is_even:
            return math.ceil((time - self._first_moment) / self._step)
        if segment.is_even:
            return math.ceil(self._output_in(segment, time))
        first = math.floor(segment.output * self.frame_rate - self._shift)
        last = math.ceil((segment.output + segment.duration) * self.frame_rate)
        return first + bisect_left(range(first, last), time, key=self.moment)

    def _output_in(self, segment: Segment, time: Fraction) -> Fraction:
        return (segment.output + (time - segment.source) / segment.begin_speed) * self.frame_rate - self._shift

    def output_at(self, time: Fraction) -> Fraction | None:
        """At which output a moment of the source lies, exactly; None outside, and where the speed changes."""
        segment = self.warp.segment_of(time)
        if not segment.is_even or not self.warp.source_begin <= time <= self.warp.source_end:
            return None
        return self._output_in(segment, time)

    def _tolerance(self, segment: Segment) -> Fraction:
        if not (self.track.times.rounding and self.shows_originals):
            return Fraction(0)
        return min(self.track.tolerance, min(segment.begin_speed, segment.end_speed) / self.frame_rate / 2)

    def new_outputs_of(self, anchor: int) -> range:
        """Those of `outputs_of` that lie strictly between two anchors, in an interval that is interpolated."""
        outputs = self.outputs_of(anchor)
        if anchor + 1 >= self.track.count or anchor in self.track.repeats:
            return outputs[len(outputs) :]
        while outputs and self.t(anchor, outputs[0]) == 0:
            outputs = outputs[1:]
        return outputs

    @cached_property
    def new_count(self) -> int:
        """Number of new frames. Counted interval by interval, unless the source is plain and its speed even."""
        last = self.track.count - 1
        times = self.track.times
        if self.track.is_plain and isinstance(times.ticks, range) and self.warp.is_even and self.shows_originals:
            # Frame i is output i * per_frame, if that is whole: the shown ones are the multiples of its denominator.
            per_frame = self.frame_rate * times.time_base / self.warp.segments[0].begin_speed
            if self.warp.source_begin == 0:
                frames = min(Fraction(last), self.output_count / per_frame)
                return self._first_output(last) - math.ceil(frames / per_frame.denominator)
        return sum(len(self.new_outputs_of(anchor)) for anchor in range(last))

    def t(self, anchor: int, output: int) -> Fraction:
        """How far an output lies from the anchor before it to the next, 0 <= t < 1; 0 where the frame is repeated."""
        if anchor + 1 >= self.track.count or anchor in self.track.repeats:
            return Fraction(0)
        begin, end = self.track.time(anchor), self.track.time(anchor + 1)
        moment = self.moment(output)
        if moment <= begin or moment < begin + self._tolerance(self.warp.segment_of(begin)):
            if self.shows_originals:
                return Fraction(0)
            moment = (begin + min(end, self.moment(output + 1))) / 2
        return (moment - begin) / (end - begin)

    def position(self, output: int) -> Position:
        """Where an output frame lies on the track."""
        anchor = bisect_right(range(self.track.count), output, key=self._first_output) - 1
        return Position(anchor, self.t(anchor, output))
