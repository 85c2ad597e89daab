"""plan.json: the anchors of the track, the segments of the warp, and a row a chunk."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator

from slowmo_pipeline.planning.clock import FrameTimes, constant_rate, median_gap, nearest_standard_rate
from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import Track, plain_track
from slowmo_pipeline.planning.warp import Segment, Warp, even_warp
from slowmo_pipeline.record import Count, ExactFraction, Items, PositiveFraction, Record

PLAN_FORMAT: Literal[2] = 2
"""Raised whenever the same settings would lead to another time line: part of the plan hash.

Chunks may be cut by other rules from then on without it: a stored plan keeps its own.
"""

ChunkRow = tuple[int, int, int, int, int]
"""A chunk's first and last anchor, first and end output, and number of new frames."""

_Rows = Items[Annotated[tuple[Count, Count, Count, Count, Count], Strict(strict=False)]]


class _StoredSegment(Record):
    output: ExactFraction
    source: ExactFraction
    duration: PositiveFraction
    begin_speed: PositiveFraction
    end_speed: PositiveFraction


class _StoredPlan(Record):
    format: Literal[2] = PLAN_FORMAT
    anchors: Count
    """How many there are."""
    ticks: Items[Count]
    """Of the anchors; none stand for 0, 1, 2 and so on."""
    frames: Items[Count]
    """The same."""
    time_base: PositiveFraction
    end: Count
    rounding: Literal[0, 1]
    usual_gap: Annotated[int, Field(ge=1)]
    rate: PositiveFraction
    repeats: dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")], str]
    segments: Annotated[Items[_StoredSegment], Field(min_length=1)]
    frame_rate: PositiveFraction
    shows_originals: bool
    output_count: Count
    new_frame_count: Count
    chunks: _Rows

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_format(cls, values: object) -> object:
        if not isinstance(values, dict) or values.get("format") != 1:
            return values
        first = _FirstPlan.model_validate(values)
        return _fields(first.timeline, first.new_frame_count, first.chunks)

    @property
    def timeline(self) -> TimeLine:
        times = FrameTimes(
            self.ticks or range(self.anchors), self.time_base, self.end, self.rounding, self.usual_gap, self.rate
        )
        repeats = {int(anchor): reason for anchor, reason in self.repeats.items()}
        warp = Warp(tuple(Segment(**dict(segment)) for segment in self.segments))
        return TimeLine(
            Track(times, self.frames or range(self.anchors), repeats), warp, self.frame_rate, self.shows_originals
        )


class _ConstantTimes(Record):
    rate: PositiveFraction
    count: Count

    @property
    def times(self) -> FrameTimes:
        return constant_rate(self.rate, self.count)


class _VariableTimes(Record):
    ticks: Items[int]
    time_base: PositiveFraction
    last_duration: int

    @property
    def times(self) -> FrameTimes:
        end = self.ticks[-1] + self.last_duration
        rate = nearest_standard_rate(len(self.ticks) / (end * self.time_base))
        return FrameTimes(
            self.ticks, self.time_base, end, 1, median_gap(self.ticks) if len(self.ticks) > 1 else end, rate
        )


class _FirstPlan(Record):
    """Format 1, in which every frame had an anchor, every interval was interpolated, and the speed was one."""

    source: _ConstantTimes | _VariableTimes
    slowdown: PositiveFraction
    frame_rate: PositiveFraction
    new_frame_count: Count
    chunks: _Rows

    @property
    def timeline(self) -> TimeLine:
        track = plain_track(self.source.times)
        return TimeLine(track, even_warp(1 / self.slowdown, Fraction(0), track.duration), self.frame_rate)


def stored_form(timeline: TimeLine, new_frame_count: int, chunks: Sequence[ChunkRow]) -> bytes:
    """What is stored of a plan, as JSON."""
    return _StoredPlan.model_validate(_fields(timeline, new_frame_count, chunks)).to_json()


def parsed_form(data: bytes, *, where: str) -> tuple[TimeLine, Sequence[ChunkRow]]:
    """What `stored_form` or an earlier version of it stored. Raises DamagedRecordError."""
    stored = _StoredPlan.from_json(data, where=where)
    return stored.timeline, stored.chunks


def _fields(timeline: TimeLine, new_frame_count: int, chunks: Sequence[ChunkRow]) -> dict[str, object]:
    track, times = timeline.track, timeline.track.times
    return {
        "anchors": track.count,
        "ticks": () if isinstance(times.ticks, range) else times.ticks,
        "frames": () if isinstance(track.frames, range) else track.frames,
        "time_base": times.time_base,
        "end": times.end,
        "rounding": times.rounding,
        "usual_gap": times.usual_gap,
        "rate": times.rate,
        "repeats": {str(anchor): reason for anchor, reason in track.repeats.items()},
        "segments": [_StoredSegment(**vars(segment)) for segment in timeline.warp.segments],
        "frame_rate": timeline.frame_rate,
        "shows_originals": timeline.shows_originals,
        "output_count": timeline.output_count,
        "new_frame_count": new_frame_count,
        "chunks": tuple(chunks),
    }
