"""From frames to chunks: decode the upload, plan, and store the chunks that are still needed."""

import io
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.filesize import decimal

from slowmo_pipeline.chunks.documents import Want
from slowmo_pipeline.chunks.files import write_chunk
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.endpoint.record import served
from slowmo_pipeline.errors import DiskFullError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.planning.plan import MAX_CHUNK_BYTES, MAX_CHUNK_IMAGES, Chunk, Plan
from slowmo_pipeline.planning.track import Track
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.inspect_upload import unchanged_upload
from slowmo_pipeline.steps.planning import plan_of
from slowmo_pipeline.steps.records import ActivePlan, ActiveVersions, is_finished, read_info, read_source, shape_of
from slowmo_pipeline.steps.stage_seconds import note_stage
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole, write_record
from slowmo_pipeline.storage.keys import PlanKeys, VideoKeys
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import read_frames

_STORED_SHARE = 0.75
"""Bytes of a losslessly stored image over its uncompressed ones; QOI takes about 0.5 on film, 0.7 on grain."""


@dataclass(frozen=True)
class Cut:
    """What `cut` did."""

    active: ActivePlan
    written: int
    """Chunks written now; the others were there, or are not needed since their results are."""


def cut(storage: Storage, video_id: str, *, progress: Progress) -> Cut:
    """Plan the video with the settings in force and store every chunk whose result is not there yet.

    Raises EndpointError when the endpoint has never served this storage, DiskFullError before anything is written,
    UnknownVideoError when the upload is not the one that was looked at.
    """
    source, info = read_source(storage, video_id), read_info(storage, video_id)
    settings = source.settings
    model_id = served(storage, settings.interpolator).model_id
    keys = VideoKeys(video_id).plan(source.plan)
    # A plan of before keeps the chunks that it was cut into, and with them its results.
    plan = read_if_whole(storage, Plan, keys.plan, torn="It is made anew.")
    if plan is None:
        plan = plan_of(info, settings)
        _forget_other_cutting(storage, keys, plan, info)
    versions = ActiveVersions(plan=source.plan, interpolator=settings.interpolator, model_id=model_id)
    active = ActivePlan(video_id, source, info, versions, plan)
    finished = is_finished(storage, active)
    there = {entry.key for entry in storage.list(keys.chunks)}
    there |= {entry.key for entry in storage.list(active.result_keys.results)}
    missing = [
        chunk
        for chunk in plan.chunks
        if not finished and keys.chunk(chunk.index) not in there and active.result_keys.result(chunk.index) not in there
    ]
    _check_disk(storage, plan, missing, info)
    storage.write(keys.plan, plan.to_json())
    if missing:
        with (
            _timed(storage, active, is_resumed=len(missing) < len(plan.chunks)),
            storage.local_upload(unchanged_upload(storage, source)) as path,
        ):
            _write_chunks(storage, active, missing, read_frames(path, info), progress)

    write_record(storage, VideoKeys(video_id).current, versions)
    return Cut(active, len(missing))


@contextmanager
def _timed(storage: Storage, active: ActivePlan, *, is_resumed: bool) -> Iterator[None]:
    """Store how long cutting took, also when it is interrupted: the next run goes on from there."""
    began = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - began
        note_stage(storage, active.video_id, "cut", of=active.versions.plan, seconds=seconds, add=is_resumed)


def _forget_other_cutting(storage: Storage, keys: PlanKeys, plan: Plan, info: VideoInfo) -> None:
    """Delete what lies below a plan whose file is gone, where it may be of other chunks than the plan made anew has.

    An earlier version gave this name to plans that split each gap of more than MAX_CHUNK_BYTES or MAX_CHUNK_IMAGES.
    """
    images = 2 + plan.most_new_frames
    if images * shape_of(info).raw_bytes > MAX_CHUNK_BYTES or images > MAX_CHUNK_IMAGES:
        storage.delete([entry.key for entry in storage.list(keys.prefix)])


def chunk_table(plan: Plan) -> list[dict[str, Any]]:
    """One row a chunk, for people to look at."""
    return [
        {
            "chunk": chunk.index,
            "frames": f"{plan.frames_of(chunk)[0]} to {plan.frames_of(chunk)[-1]}",
            "outputs": f"{chunk.first_output} to {chunk.end_output - 1}",
            "new frames": chunk.new_frame_count,
        }
        for chunk in plan.chunks
    ]


def _write_chunks(
    storage: Storage, active: ActivePlan, missing: list[Chunk], frames: Iterator[tuple[int, Frame]], progress: Progress
) -> None:
    plan = active.plan
    window = _Window(frames, plan.timeline.track, active.info.frame_count, progress)
    for chunk in missing:
        wants = [Want(new.output, new.frame, new.t) for new in plan.listed_frames(chunk)]
        returned = None if len(wants) == chunk.new_frame_count else range(chunk.first_output, chunk.end_output)
        buffer = io.BytesIO()
        write_chunk(
            buffer,
            window.frames(plan.frames_of(chunk)),
            wants,
            image_format=ImageFormat(active.source.settings.images),
            returned=returned,
        )
        storage.write(active.keys.chunk(chunk.index), buffer.getvalue())


class _Window:
    """Hands out the frames of one chunk after the other while the decoder runs once.

    Keeps only what the next chunk may need again: the last two frames that are shown, since a gap that fills several
    chunks sends the same two with each.
    """

    def __init__(self, frames: Iterator[tuple[int, Frame]], track: Track, total: int, progress: Progress) -> None:
        self._frames = ((number, frame) for number, frame in frames if track.anchors_of(number))
        self._kept: deque[tuple[int, Frame]] = deque(maxlen=2)
        self._total = total
        self._progress = progress

    def frames(self, wanted: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """The frames of a chunk, by their numbers: consecutive ones of those that are shown."""
        yield from [kept for kept in self._kept if wanted[0] <= kept[0] <= wanted[-1]]
        while not self._kept or self._kept[-1][0] < wanted[-1]:
            number, frame = next(self._frames)
            self._kept.append((number, frame))
            self._progress("cut", number + 1, self._total, "frames")
            if number >= wanted[0]:
                yield number, frame


def stored_bytes(plan: Plan, chunks: Iterable[Chunk], info: VideoInfo) -> int:
    """About how many bytes these chunks and their results take in the storage."""
    images = sum(len(plan.frames_of(chunk)) + chunk.new_frame_count for chunk in chunks)
    return int(images * shape_of(info).raw_bytes * _STORED_SHARE)


def _check_disk(storage: Storage, plan: Plan, missing: list[Chunk], info: VideoInfo) -> None:
    needed, free = stored_bytes(plan, missing, info), storage.free_bytes()
    if missing and free is not None and needed > free:
        raise DiskFullError(
            f"Chunks and results of this video need about {decimal(needed)}, and {storage.display_path('')} has "
            f"{decimal(free)} free. Free some, run `slowmo clean`, or set SLOWMO_STORAGE to a folder on a larger disk."
        )
