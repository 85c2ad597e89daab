"""What will be made of a video: its time line, the gaps that are held, and the chunks that travel. No I/O.

frames     0   1   2   3   4   5   6
gaps         0   1   2   3   4   5        gap 2 is held (a scene cut): its outputs repeat frame 2
chunk 0    [0   1   2   3   4]            travels as one request; nothing is wanted in gap 2
chunk 1                    [4   5   6]    neighbours share a frame: it travels twice and is shown once
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Strict, StringConstraints

from slowmo_pipeline.record import Count, Items, PositiveFraction, Record
from slowmo_pipeline.timeline import ConstantRate, FrameTimes, TimeLine, VariableRate

PLAN_FORMAT: Literal[1] = 1
"""Raised whenever the same settings would lead to another plan or other chunks: part of the plan hash."""

MAX_CHUNK_BYTES = 96 * 1024**2
"""Uncompressed bytes of the images that a chunk sends and gets back: bounds the memory of whoever handles one."""

MAX_CHUNK_GAPS = 32
"""Gaps in a chunk of small frames: more would make progress coarse and leave workers idle at the end."""


MAX_CHUNK_IMAGES = 10_000
"""Images that a chunk of tiny frames sends and gets back: the wire format allows 50,000 of either."""


class NewFrame(NamedTuple):
    """A frame to be synthesised."""

    output: int
    """Its number in the result."""
    gap: int
    t: Fraction
    """0 < t < 1."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames that travel as one request, with the new frames wanted between them."""

    index: int
    first_frame: int
    last_frame: int
    """Included."""
    first_output: int
    end_output: int
    """Half-open range of outputs; those of it that are new frames are wanted."""
    new_frames: int
    """How many new frames are wanted."""

    @property
    def frame_count(self) -> int:
        """How many images travel to the endpoint."""
        return self.last_frame - self.first_frame + 1


@dataclass(frozen=True)
class Plan:
    """Everything that decides which frames are sent, asked for and shown."""

    timeline: TimeLine
    held: Mapping[int, str]
    """Gaps that are not interpolated, each with the reason."""
    chunks: tuple[Chunk, ...]

    @property
    def new_frame_count(self) -> int:
        """Frames to be synthesised."""
        return sum(chunk.new_frames for chunk in self.chunks)

    def new_frames(self, chunk: Chunk) -> Iterator[NewFrame]:
        """The new frames wanted of a chunk, in order."""
        for gap in range(chunk.first_frame, chunk.last_frame):
            for output in _new_outputs(self.timeline, self.held, gap):
                if chunk.first_output <= output < chunk.end_output:
                    yield NewFrame(output, gap, self.timeline.t(gap, output))

    def outputs_of_frame(self, frame: int) -> Iterator[tuple[int, bool]]:
        """The outputs from one frame up to the next: output number, and whether it is a new frame.

        An output that is not new repeats the frame itself.
        """
        new = _new_outputs(self.timeline, self.held, frame)
        for output in self.timeline.outputs_of_gap(frame):
            yield output, output in new

    def to_json(self) -> bytes:
        """The stored form: frame times, held gaps and chunks, never the list of positions."""
        source = self.timeline.source
        return _StoredPlan(
            source=_ConstantTimes(rate=source.rate, count=source.count)
            if isinstance(source, ConstantRate)
            else _VariableTimes(ticks=source.ticks, time_base=source.time_base, last_duration=source.last_duration),
            slowdown=self.timeline.slowdown,
            frame_rate=self.timeline.frame_rate,
            output_count=self.timeline.output_count,
            new_frame_count=self.new_frame_count,
            held={str(gap): reason for gap, reason in self.held.items()},
            chunks=tuple(
                (chunk.first_frame, chunk.last_frame, chunk.first_output, chunk.end_output, chunk.new_frames)
                for chunk in self.chunks
            ),
        ).to_json()

    @staticmethod
    def from_json(data: bytes, *, where: str) -> "Plan":
        """The plan that `to_json` stored. Raises DamagedRecordError."""
        stored = _StoredPlan.from_json(data, where=where)
        return Plan(
            TimeLine(stored.source.times, stored.slowdown, stored.frame_rate),
            {int(gap): reason for gap, reason in stored.held.items()},
            tuple(Chunk(index, *row) for index, row in enumerate(stored.chunks)),
        )


class _ConstantTimes(Record):
    rate: PositiveFraction
    count: Count

    @property
    def times(self) -> FrameTimes:
        return ConstantRate(self.rate, self.count)


class _VariableTimes(Record):
    ticks: Items[int]
    time_base: PositiveFraction
    last_duration: int

    @property
    def times(self) -> FrameTimes:
        return VariableRate(self.ticks, self.time_base, self.last_duration)


class _StoredPlan(Record):
    """plan.json, with a row a chunk."""

    format: Literal[1] = PLAN_FORMAT
    source: _ConstantTimes | _VariableTimes
    slowdown: PositiveFraction
    frame_rate: PositiveFraction
    output_count: int
    new_frame_count: int
    held: dict[Annotated[str, StringConstraints(pattern=r"^\d{1,9}$")], str]
    chunks: Items[Annotated[tuple[Count, Count, Count, Count, Count], Strict(strict=False)]]


def make_plan(
    timeline: TimeLine, held: Mapping[int, str], *, frame_bytes: int, max_chunk_bytes: int = MAX_CHUNK_BYTES
) -> Plan:
    """Cut the gaps that want new frames into chunks.

    `frame_bytes` is the uncompressed size of one frame. A chunk keeps to MAX_CHUNK_GAPS gaps, and its images
    there and back to MAX_CHUNK_IMAGES and `max_chunk_bytes`; a gap that wants more is asked for in several chunks.
    """
    max_images = min(max(max_chunk_bytes // frame_bytes, 3), MAX_CHUNK_IMAGES)
    chunks: list[Chunk] = []
    pending: Chunk | None = None
    for gap in range(timeline.source.count - 1):
        new = _new_outputs(timeline, held, gap)
        for begin in range(new.start, new.stop, max_images - 2):
            end = min(begin + max_images - 2, new.stop)
            piece = Chunk(len(chunks), gap, gap + 1, begin, end, end - begin)
            joined = pending and _joined(pending, piece)
            if joined and _fits(joined, max_images):
                pending = joined
            else:
                if pending:
                    chunks.append(pending)
                pending = Chunk(len(chunks), gap, gap + 1, begin, end, end - begin)
    if pending:
        chunks.append(pending)
    return Plan(timeline, dict(held), tuple(chunks))


def plan_hash(*, sha256: str, settings: Mapping[str, Any]) -> str:
    """Names a plan: the upload's content, the settings that matter to it, and the plan format; 16 hex digits."""
    text = json.dumps({"format": PLAN_FORMAT, "sha256": sha256, "settings": settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _new_outputs(timeline: TimeLine, held: Mapping[int, str], gap: int) -> range:
    return range(0) if gap in held else timeline.new_outputs_of_gap(gap)


def _joined(chunk: Chunk, piece: Chunk) -> Chunk:
    return Chunk(
        chunk.index,
        chunk.first_frame,
        piece.last_frame,
        chunk.first_output,
        piece.end_output,
        chunk.new_frames + piece.new_frames,
    )


def _fits(chunk: Chunk, max_images: int) -> bool:
    return chunk.frame_count - 1 <= MAX_CHUNK_GAPS and chunk.frame_count + chunk.new_frames <= max_images
