"""Small sources and time lines, built in a line."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from slowmo_pipeline.planning.clock import FrameTimes, constant_rate, median_gap, nearest_standard_rate
from slowmo_pipeline.planning.timeline import Position, TimeLine
from slowmo_pipeline.planning.track import Track
from slowmo_pipeline.planning.warp import even_warp


def constant(rate: Fraction | int, count: int) -> FrameTimes:
    """Frame times at a constant rate."""
    return constant_rate(Fraction(rate), count)


def variable(ticks: Sequence[int], time_base: Fraction, last_duration: int) -> FrameTimes:
    """Frame times as they are, which the container may have rounded."""
    usual = median_gap(ticks) if len(ticks) > 1 else last_duration
    rate = nearest_standard_rate(1 / (usual * time_base))
    return FrameTimes(tuple(ticks), time_base, ticks[-1] + last_duration, 1, usual, rate)


def even_timeline(
    times: FrameTimes,
    slowdown: Fraction | int,
    frame_rate: Fraction | int | None = None,
    repeats: Mapping[int, str] | None = None,
    *,
    shows_originals: bool = True,
) -> TimeLine:
    """A time line with an anchor a frame and one speed, at the source's rate unless told otherwise."""
    track = Track(times, range(len(times.ticks)), repeats or {})
    warp = even_warp(1 / Fraction(slowdown), Fraction(0), track.duration)
    return TimeLine(track, warp, Fraction(frame_rate or times.rate), shows_originals)


def positions(timeline: TimeLine) -> Iterator[Position]:
    """The positions of all output frames, in order."""
    for anchor in range(timeline.track.count):
        for output in timeline.outputs_of(anchor):
            yield Position(anchor, timeline.t(anchor, output))
