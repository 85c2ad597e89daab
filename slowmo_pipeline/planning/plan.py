"""What will be made of a video: its time line, the gaps that are not interpolated, and the chunks that travel. No I/O.

frames     0   1   2   3   4   5   6
gaps         0   1   2   3   4   5        gap 2 is repeated (a scene cut): its outputs show frame 2
chunk 0    [0   1   2   3   4]            travels as one request; nothing is wanted in gap 2
chunk 1                    [4   5   6]    neighbours share a frame: it travels twice and is shown once

A gap stays whole, since a new frame may be made from others of its gap. Only one whose new frames do not fit into a
payload is asked for in parts: chunks of the same two frames, each of which lists all times of the gap and says which of
them are to come back. What these are made from is rendered for each part again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Strict, StringConstraints

from slowmo_pipeline.errors import VideoTooLargeError
from slowmo_pipeline.planning.timeline import ConstantRate, FrameTimes, TimeLine, VariableRate
from slowmo_pipeline.record import Count, Items, PositiveFraction, Record

PLAN_FORMAT: Literal[1] = 1
"""Raised whenever the same settings would lead to another time line: part of the plan hash.

Chunks may be cut by other rules from then on without it: a stored plan keeps its own.
"""

MAX_PAYLOAD_BYTES = 998 * 10**6
"""Of the images that a chunk sends, and of those that it gets back, at their largest (see `_largest_image`).

Asynchronous endpoints of SageMaker take and give 1 GB; the rest is room for the JSON document. It is the same for every
endpoint, so that a plan depends on none.
"""

MAX_CHUNK_BYTES = 96 * 1024**2
"""Uncompressed bytes of the images that a chunk of several gaps sends and gets back: more makes progress coarse."""

MAX_CHUNK_GAPS = 32
"""Gaps in a chunk of small frames: more would make progress coarse and leave workers idle at the end."""

MAX_CHUNK_IMAGES = 10_000
"""Images that a chunk of tiny frames sends and gets back."""

MAX_LISTED = 40_000
"""Times that a part of a gap lists besides its own; of a gap with more, evenly spread ones. The wire takes 50,000."""


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
    new_frame_count: int
    """How many new frames are wanted."""

    @property
    def frame_count(self) -> int:
        """How many images travel to the endpoint."""
        return self.last_frame - self.first_frame + 1


@dataclass(frozen=True)
class Plan:
    """Everything that decides which frames are sent, asked for and shown."""

    timeline: TimeLine
    repeated_gaps: Mapping[int, str]
    """Gaps that are not interpolated, each with the reason."""
    chunks: tuple[Chunk, ...]

    @property
    def new_frame_count(self) -> int:
        """Frames to be synthesised."""
        return sum(chunk.new_frame_count for chunk in self.chunks)

    @property
    def most_new_frames(self) -> int:
        """Frames to be synthesised in the gap that wants most of them."""
        gaps = range(self.timeline.source.count - 1)
        return max((len(_new_outputs(self.timeline, self.repeated_gaps, gap)) for gap in gaps), default=0)

    def new_frames(self, chunk: Chunk) -> Iterator[NewFrame]:
        """The new frames that come back for a chunk, in order."""
        for gap in range(chunk.first_frame, chunk.last_frame):
            for output in self._returned(chunk, gap):
                yield NewFrame(output, gap, self.timeline.t(gap, output))

    def listed_frames(self, chunk: Chunk) -> Iterator[NewFrame]:
        """The new frames of all the chunk's gaps, in order: of more than MAX_LISTED others, some."""
        for gap in range(chunk.first_frame, chunk.last_frame):
            outputs = _new_outputs(self.timeline, self.repeated_gaps, gap)
            stride = max(-(-len(outputs) // MAX_LISTED), 1)
            for output in sorted({*self._returned(chunk, gap), *outputs[::stride]}):
                yield NewFrame(output, gap, self.timeline.t(gap, output))

    def _returned(self, chunk: Chunk, gap: int) -> range:
        outputs = _new_outputs(self.timeline, self.repeated_gaps, gap)
        return range(max(outputs.start, chunk.first_output), min(outputs.stop, chunk.end_output))

    def outputs_of_frame(self, frame: int) -> Iterator[tuple[int, bool]]:
        """The outputs from one frame up to the next: output number, and whether it is a new frame.

        An output that is not new repeats the frame itself.
        """
        new = _new_outputs(self.timeline, self.repeated_gaps, frame)
        for output in self.timeline.outputs_of_gap(frame):
            yield output, output in new

    def to_json(self) -> bytes:
        """The stored form: frame times, repeated gaps and chunks, never the list of positions."""
        source = self.timeline.source
        return _StoredPlan(
            source=_ConstantTimes(rate=source.rate, count=source.count)
            if isinstance(source, ConstantRate)
            else _VariableTimes(ticks=source.ticks, time_base=source.time_base, last_duration=source.last_duration),
            slowdown=self.timeline.slowdown,
            frame_rate=self.timeline.frame_rate,
            output_count=self.timeline.output_count,
            new_frame_count=self.new_frame_count,
            held={str(gap): reason for gap, reason in self.repeated_gaps.items()},
            chunks=tuple(
                (chunk.first_frame, chunk.last_frame, chunk.first_output, chunk.end_output, chunk.new_frame_count)
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
    held: dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")], str]
    chunks: Items[Annotated[tuple[Count, Count, Count, Count, Count], Strict(strict=False)]]


def make_plan(
    timeline: TimeLine,
    repeated_gaps: Mapping[int, str],
    *,
    frame_bytes: int,
    max_chunk_bytes: int = MAX_CHUNK_BYTES,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
) -> Plan:
    """Cut the gaps that want new frames into chunks.

    `frame_bytes` is the uncompressed size of one frame. A chunk of several gaps keeps to MAX_CHUNK_GAPS, and its images
    there and back to MAX_CHUNK_IMAGES and `max_chunk_bytes`. What one gap sends or gets back keeps to
    `max_payload_bytes` and MAX_CHUNK_IMAGES: a gap that wants more is asked for in parts of about the same length.

    Raises VideoTooLargeError when new frames are wanted and not even two frames keep to it.
    """
    fitting = _images_in(max_payload_bytes, frame_bytes)
    most_new = min(max(fitting, 1), MAX_CHUNK_IMAGES - 2)
    max_images = min(max_chunk_bytes // frame_bytes, MAX_CHUNK_IMAGES, fitting)
    chunks: list[Chunk] = []
    whole = False
    for gap in range(timeline.source.count - 1):
        new = _new_outputs(timeline, repeated_gaps, gap)
        parts = -(-len(new) // most_new)
        for part in range(parts):
            begin, end = (new.start + len(new) * number // parts for number in (part, part + 1))
            chunk = Chunk(len(chunks), gap, gap + 1, begin, end, end - begin)
            joined = _joined(chunks[-1], chunk) if whole and parts == 1 else None
            if joined and _fits(joined, max_images):
                chunks[-1] = joined
            else:
                chunks.append(chunk)
            whole = parts == 1
    if chunks:
        require_fitting(frame_bytes, max_payload_bytes=max_payload_bytes)
    return Plan(timeline, dict(repeated_gaps), tuple(chunks))


def require_fitting(frame_bytes: int, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
    """Raise VideoTooLargeError when an endpoint does not take even two frames of that many uncompressed bytes."""
    if _images_in(max_payload_bytes, frame_bytes) < 2:
        raise VideoTooLargeError(
            f"A frame of {frame_bytes} bytes is too large: an endpoint takes two in {max_payload_bytes} bytes, each as "
            f"up to {_largest_image(frame_bytes)}. Scale the video down first."
        )


def _images_in(payload_bytes: int, frame_bytes: int) -> int:
    return payload_bytes // _largest_image(frame_bytes)


def _largest_image(frame_bytes: int) -> int:
    """The most bytes that a frame may take in a tar: QOI makes four out of three in the worst case.

    1536 more are for its headers and those of the tar, with what fills the last block.
    """
    return -(-4 * frame_bytes // 3) + 1536


def plan_hash(*, sha256: str, settings: Mapping[str, Any]) -> str:
    """Names a plan: the upload's content, the settings that matter to it, and the plan format; 16 hex digits."""
    text = json.dumps({"format": PLAN_FORMAT, "sha256": sha256, "settings": settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _new_outputs(timeline: TimeLine, repeated_gaps: Mapping[int, str], gap: int) -> range:
    return range(0) if gap in repeated_gaps else timeline.new_outputs_of_gap(gap)


def _joined(chunk: Chunk, following: Chunk) -> Chunk:
    return Chunk(
        chunk.index,
        chunk.first_frame,
        following.last_frame,
        chunk.first_output,
        following.end_output,
        chunk.new_frame_count + following.new_frame_count,
    )


def _fits(chunk: Chunk, max_images: int) -> bool:
    return chunk.frame_count - 1 <= MAX_CHUNK_GAPS and chunk.frame_count + chunk.new_frame_count <= max_images
