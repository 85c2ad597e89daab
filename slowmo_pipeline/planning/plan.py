"""What will be made of a video: its time line, and the chunks that travel. No I/O.

anchors    0   1   2   3   4   5   6
intervals    0   1   2   3   4   5        interval 2 is repeated (a scene cut): its outputs show the frame at anchor 2
chunk 0    [0   1   2   3   4]            travels as one request; nothing is wanted in interval 2
chunk 1                    [4   5   6]    neighbours share a frame: it travels twice and is shown once

An interval stays whole, since a new frame may be made from others of its own. Only one whose new frames do not fit into
a payload is asked for in parts: chunks of the same two frames, each of which lists all times of the interval and says
which of them are to come back. What these are made from is rendered for each part again.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from slowmo_pipeline.errors import VideoTooLargeError
from slowmo_pipeline.planning.stored import PLAN_FORMAT, parsed_form, stored_form
from slowmo_pipeline.planning.timeline import TimeLine

MAX_PAYLOAD_BYTES = 998 * 10**6
"""Of the images that a chunk sends, and of those that it gets back, at their largest (see `_largest_image`).

Asynchronous endpoints of SageMaker take and give 1 GB; the rest is room for the JSON document. It is the same for every
endpoint, so that a plan depends on none.
"""

MAX_CHUNK_BYTES = 96 * 1024**2
"""Uncompressed bytes of the images that a chunk of several intervals sends and gets back: more is coarse progress."""

MAX_CHUNK_INTERVALS = 32
"""Intervals in a chunk of small frames: more would make progress coarse and leave workers idle at the end."""

MAX_CHUNK_IMAGES = 10_000
"""Images that a chunk of tiny frames sends and gets back."""

MAX_LISTED = 40_000
"""Times that a part of an interval lists besides its own; of more, evenly spread ones. The wire takes 50,000."""


class NewFrame(NamedTuple):
    """A frame to be synthesised."""

    output: int
    """Its number in the result."""
    frame: int
    """The frame before it. The one after it is the next that travels."""
    t: Fraction
    """0 < t < 1."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive anchors whose frames travel as one request, with the new frames wanted between them."""

    index: int
    first_anchor: int
    last_anchor: int
    """Included."""
    first_output: int
    end_output: int
    """Half-open range of outputs; those of it that are new frames are wanted."""
    new_frame_count: int
    """How many new frames are wanted."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides which frames are sent, asked for and shown."""

    timeline: TimeLine
    chunks: tuple[Chunk, ...]

    @cached_property
    def new_frame_count(self) -> int:
        """Frames to be synthesised."""
        return sum(chunk.new_frame_count for chunk in self.chunks)

    @property
    def most_new_frames(self) -> int:
        """Frames to be synthesised in the interval that wants most of them."""
        anchors = range(self.timeline.track.count - 1)
        return max((len(self.timeline.new_outputs_of(anchor)) for anchor in anchors), default=0)

    def frames_of(self, chunk: Chunk) -> Sequence[int]:
        """The frames that travel with a chunk, ascending."""
        return self.timeline.track.frames_between(chunk.first_anchor, chunk.last_anchor)

    def new_frames(self, chunk: Chunk) -> Iterator[NewFrame]:
        """The new frames that come back for a chunk, in order."""
        for anchor in range(chunk.first_anchor, chunk.last_anchor):
            yield from self._new_frames(anchor, self._returned(chunk, anchor))

    def listed_frames(self, chunk: Chunk) -> Iterator[NewFrame]:
        """The new frames of all the chunk's intervals, in order: of more than MAX_LISTED others, some."""
        for anchor in range(chunk.first_anchor, chunk.last_anchor):
            outputs = self.timeline.new_outputs_of(anchor)
            stride = max(-(-len(outputs) // MAX_LISTED), 1)
            yield from self._new_frames(anchor, sorted({*self._returned(chunk, anchor), *outputs[::stride]}))

    def _new_frames(self, anchor: int, outputs: Iterable[int]) -> Iterator[NewFrame]:
        frame = self.timeline.track.frames[anchor]
        return (NewFrame(output, frame, self.timeline.t(anchor, output)) for output in outputs)

    def _returned(self, chunk: Chunk, anchor: int) -> range:
        outputs = self.timeline.new_outputs_of(anchor)
        return range(max(outputs.start, chunk.first_output), min(outputs.stop, chunk.end_output))

    def outputs_of_frame(self, frame: int) -> Iterator[tuple[int, bool]]:
        """The outputs from one frame up to the next that is shown: output number, and whether it is a new frame.

        An output that is not new repeats the frame itself. A duplicate that is left out has none.
        """
        for anchor in self.timeline.track.anchors_of(frame):
            new = self.timeline.new_outputs_of(anchor)
            for output in self.timeline.outputs_of(anchor):
                yield output, output in new

    def to_json(self) -> bytes:
        """The stored form: anchors, segments and chunks, never the list of positions."""
        return stored_form(self.timeline, self.new_frame_count, [_row(chunk) for chunk in self.chunks])

    @staticmethod
    def from_json(data: bytes, *, where: str) -> "Plan":
        """The plan that `to_json` stored, or an earlier version. Raises DamagedRecordError."""
        timeline, rows = parsed_form(data, where=where)
        return Plan(timeline, tuple(Chunk(index, *row) for index, row in enumerate(rows)))


def _row(chunk: Chunk) -> tuple[int, int, int, int, int]:
    return chunk.first_anchor, chunk.last_anchor, chunk.first_output, chunk.end_output, chunk.new_frame_count


def make_plan(
    timeline: TimeLine,
    *,
    frame_bytes: int,
    max_chunk_bytes: int = MAX_CHUNK_BYTES,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
) -> Plan:
    """Cut the intervals that want new frames into chunks.

    `frame_bytes` is the uncompressed size of one frame. A chunk of several intervals keeps to MAX_CHUNK_INTERVALS, and
    its images there and back to MAX_CHUNK_IMAGES and `max_chunk_bytes`. What one interval sends or gets back keeps to
    `max_payload_bytes` and MAX_CHUNK_IMAGES: one that wants more is asked for in parts of about the same length.

    Raises VideoTooLargeError when new frames are wanted and not even two frames keep to it.
    """
    fitting = _images_in(max_payload_bytes, frame_bytes)
    most_new = min(max(fitting, 1), MAX_CHUNK_IMAGES - 2)
    max_images = min(max_chunk_bytes // frame_bytes, MAX_CHUNK_IMAGES, fitting)
    chunks: list[Chunk] = []
    whole = False
    for anchor in range(timeline.track.count - 1):
        new = timeline.new_outputs_of(anchor)
        parts = -(-len(new) // most_new)
        for part in range(parts):
            begin, end = (new.start + len(new) * number // parts for number in (part, part + 1))
            chunk = Chunk(len(chunks), anchor, anchor + 1, begin, end, end - begin)
            joined = _joined(chunks[-1], chunk) if whole and parts == 1 else None
            if joined and _fits(joined, max_images):
                chunks[-1] = joined
            else:
                chunks.append(chunk)
            whole = parts == 1
    if chunks:
        require_fitting(frame_bytes, max_payload_bytes=max_payload_bytes)
    return Plan(timeline, tuple(chunks))


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


def plan_hash(*, sha256: str, settings: Mapping[str, Any], plan_format: int = PLAN_FORMAT) -> str:
    """Names a plan: the upload's content, the settings that matter to it, and the plan format; 16 hex digits."""
    text = json.dumps({"format": plan_format, "sha256": sha256, "settings": settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _joined(chunk: Chunk, following: Chunk) -> Chunk:
    return replace(
        chunk,
        last_anchor=following.last_anchor,
        end_output=following.end_output,
        new_frame_count=chunk.new_frame_count + following.new_frame_count,
    )


def _fits(chunk: Chunk, max_images: int) -> bool:
    intervals = chunk.last_anchor - chunk.first_anchor
    return intervals <= MAX_CHUNK_INTERVALS and intervals + 1 + chunk.new_frame_count <= max_images
