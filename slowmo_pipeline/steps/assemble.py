"""From frames and results to the final video: originals and new frames in order, encoded, with sound."""

import base64
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from slowmo_pipeline.chunks.files import ResultReader
from slowmo_pipeline.errors import ChunkFormatError, EncodeError, EncoderKilledError, UnknownVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.planning.plan import Chunk, Plan
from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.inspect_upload import unchanged_upload
from slowmo_pipeline.steps.measured_speed import made_on
from slowmo_pipeline.steps.records import ActivePlan, Final, missing_results, read_final, shape_of
from slowmo_pipeline.steps.stage_seconds import note_stage
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.video.labelling import Times, label, left_out
from slowmo_pipeline.video.moving_preview import FRAMES, SECONDS, MovingPreview
from slowmo_pipeline.video.preview import filmstrip
from slowmo_pipeline.video.reader import read_frames
from slowmo_pipeline.video.sound import add_sound
from slowmo_pipeline.video.writer import CODECS, encode

CAPTION = "Neighbouring frames from the middle of the result, in their order."
"""Of the filmstrip, for people."""

_MOST_PREVIEWED_A_SECOND = 60
"""Frames; more than most screens show."""

_Made = TypeVar("_Made")


def assemble(storage: Storage, active: ActivePlan, *, progress: Progress) -> tuple[Final, bool]:
    """Make the final video of a plan whose results are all there; with it, whether it was made now.

    Raises UnknownVideoError when results are missing, ChunkFormatError for a damaged one or one of another model
    (deleted, so that the next run makes them again), EncodeError when ffmpeg fails. A failing sound only leaves a note.
    """
    source, info, plan = active.source, active.info, active.plan
    before = read_final(storage, active.video_id)
    if before and before.recipe == active.recipe:
        _tidy(storage, active, before.key)
        return before, False

    keys, began = VideoKeys(active.video_id), time.monotonic()
    instance_type = made_on(storage, active)
    _check_complete(storage, active)
    codec = CODECS[source.settings.codec]
    key = keys.final(codec.suffix)
    entry = unchanged_upload(storage, source)
    with storage.local_upload(entry) as upload, storage.scratch() as folder:
        merged = _Merged(storage, active)
        made, lost = _encode(lambda: merged.frames(read_frames(upload, info), progress), upload, folder, active)
        path, unlabelled = _label(made, upload, active)
        # While there are no facts beside the video, it counts as unfinished: a crash here never mixes two.
        storage.delete([keys.finals[0]])
        storage.upload(path, key)
        storage.write(keys.preview, merged.preview())
        final = Final(
            key=key,
            recipe=active.recipe,
            bytes=path.stat().st_size,
            sha256=file_sha256(path),
            frame_count=plan.timeline.output_count,
            chunk_seconds=tuple(merged.seconds),
            filmstrip=base64.b64encode(filmstrip(merged.sample, info)).decode(),
            instance_type=instance_type,
            notes=(*info.notes, *left_out(info, source.settings.codec, _times(plan))),
            losses=(*info.losses, *lost, *unlabelled),
        )
    write_record(storage, keys.finals[0], final)
    note_stage(storage, active.video_id, "encode", of=final.sha256, seconds=time.monotonic() - began)
    _tidy(storage, active, key)
    return final, True


class _OfAnotherModelError(Exception):
    """A result is there that a replaced model, or its successor, made in the other's place."""

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id


class _Merged:
    """Original and new frames in output order, read side by side."""

    def __init__(self, storage: Storage, active: ActivePlan) -> None:
        self._storage = storage
        self._keys = active.result_keys
        self._plan = active.plan
        self._info = active.info
        self._model_id = active.versions.model_id
        self._previewed = previewed_outputs(active.plan.timeline)
        self._shown = _neighbours(active.plan.timeline, self._previewed[len(self._previewed) // 2])
        self._preview: MovingPreview | None = None
        self.seconds: list[float] = []
        self.sample: list[Frame] = []
        """A few neighbouring frames, for people to look at."""

    def frames(self, originals: Iterator[tuple[int, Frame]], progress: Progress) -> Iterator[Frame]:
        self.seconds, self.sample = [], []
        timeline = self._plan.timeline
        self._preview = MovingPreview(self._info, rate=timeline.frame_rate / self._previewed.step)
        total = timeline.output_count
        new = self._new_frames()
        for number, original in originals:
            for output, is_new in self._plan.outputs_of_frame(number):
                frame = next(new) if is_new else original
                if output in self._shown:
                    self.sample.append(frame)
                if output in self._previewed:
                    self._preview.add(original, frame)
                yield frame
                progress("encode", output + 1, total, "frames")

    def preview(self) -> bytes:
        """Source and result side by side, when all frames were taken."""
        return self._preview.finish() if self._preview else b""

    def _new_frames(self) -> Iterator[Frame]:
        for chunk in self._plan.chunks:
            key = self._keys.result(chunk.index)
            try:
                yield from self._frames_of(chunk, key)
            except _OfAnotherModelError as error:
                raise self._without_others(chunk, error.model_id) from None
            except ChunkFormatError as error:
                self._storage.delete([key, self._keys.receipt(chunk.index)])
                raise ChunkFormatError(
                    f"{key} is damaged ({error}) and was deleted: run again to make it anew."
                ) from error

    def _frames_of(self, chunk: Chunk, key: str) -> Iterator[Frame]:
        with self._storage.local_file(key) as path, path.open("rb") as file:
            result = ResultReader(file)
            if result.model_id != self._model_id:
                raise _OfAnotherModelError(result.model_id)
            result.expect(
                outputs=[new.output for new in self._plan.new_frames(chunk)],
                shape=shape_of(self._info),
            )
            self.seconds.append(result.seconds)
            for _, frame in result.frames():
                yield frame

    def _without_others(self, first: Chunk, model_id: str) -> ChunkFormatError:
        """Delete what is not this model's, from its first on: a queue that outlives its model holds many."""
        later = [chunk.index for chunk in self._plan.chunks if chunk.index > first.index]
        others = [first.index, *(index for index in later if self._maker(index) != self._model_id)]
        self._storage.delete(key for index in others for key in (self._keys.result(index), self._keys.receipt(index)))
        return ChunkFormatError(
            f"{self._keys.result(first.index)} was made by {model_id}, not by {self._model_id}. {len(others)} of "
            f"{len(self._plan.chunks)} results are of no use and were deleted: run again to make them anew."
        )

    def _maker(self, index: int) -> str | None:
        """The model that made a result; None for a damaged one."""
        with self._storage.local_file(self._keys.result(index)) as path, path.open("rb") as file:
            try:
                return ResultReader(file).model_id
            except ChunkFormatError:
                return None


def _neighbours(timeline: TimeLine, output: int) -> range:
    """The original before an output, the new frames after it and the next original; three to six, if there are."""
    outputs = timeline.outputs_of(timeline.position(output).interval)
    first = outputs.start if outputs else output
    return range(first, min(max(outputs.stop + 1, first + 3), first + 6, timeline.output_count))


def previewed_outputs(timeline: TimeLine) -> range:
    """What a preview shows, around the middle of the slowest part."""
    step = math.ceil(timeline.frame_rate / _MOST_PREVIEWED_A_SECOND)
    count = min(max(int(SECONDS * timeline.frame_rate), 1), FRAMES * step, timeline.output_count)
    slowest = min(timeline.warp.segments, key=lambda segment: segment.begin_speed + segment.end_speed)
    middle = (slowest.output + slowest.duration / 2) * timeline.frame_rate
    first = min(max(int(middle) - count // 2, 0), timeline.output_count - count)
    return range(first, first + count, step)


def _encode(
    frames: Callable[[], Iterator[Frame]], upload: Path, folder: Path, active: ActivePlan
) -> tuple[Path, list[str]]:
    """Encode the frames and add the sound; returns the file, and what was lost of the sound."""
    info, timeline, settings = active.info, active.plan.timeline, active.source.settings
    suffix = CODECS[settings.codec].suffix
    silent, finished = folder / f"silent{suffix}", folder / f"finished{suffix}"
    written = _again_if_killed(
        lambda: encode(
            silent,
            frames(),
            info=info,
            frame_rate=timeline.frame_rate,
            codec=settings.codec,
            crf=settings.crf,
            threads=settings.encoder_threads,
        )
    )
    if written != timeline.output_count:
        raise EncodeError(f"{written} frames were encoded, the plan has {timeline.output_count}: run again.")
    if settings.sound == "none" or not info.has_sound:
        return silent, []
    mode = settings.sound
    try:
        lost = _again_if_killed(
            lambda: add_sound(
                finished,
                silent,
                source=upload,
                info=info,
                codec=settings.codec,
                warp=timeline.warp.segments,
                duration=timeline.duration,
                mode=mode,
            )
        )
    except EncodeError as error:
        # Hours of frames must not be lost to a broken sound track.
        return silent, [f"The result has no sound: {error}"]
    return finished, lost


def _label(video: Path, upload: Path, active: ActivePlan) -> tuple[Path, list[str]]:
    """Add what the upload tells beside pictures and sound; returns the file, and what of that was lost."""
    labelled = video.with_name(f"labelled{video.suffix}")
    codec, times = active.source.settings.codec, _times(active.plan)
    try:
        return _again_if_killed(
            lambda: label(labelled, video, source=upload, info=active.info, codec=codec, times=times)
        )
    except EncodeError as error:
        return video, [f"The result has no tags, chapters and subtitles: {error}"]


def _times(plan: Plan) -> Times:
    timeline = plan.timeline
    return Times(
        at=timeline.warp.output_time,
        duration=timeline.duration,
        frame_rate=timeline.frame_rate,
        source_rate=timeline.track.times.rate,
    )


def _again_if_killed(make: Callable[[], _Made]) -> _Made:
    """An ffmpeg that something killed says nothing of the video: it gets a second try."""
    try:
        return make()
    except EncoderKilledError:
        return make()


def _check_complete(storage: Storage, active: ActivePlan) -> None:
    missing = missing_results(storage, active)
    if missing:
        raise UnknownVideoError(
            f"{len(missing)} of {len(active.plan.chunks)} chunks have no result yet, the first is chunk "
            f"{missing[0].index}: materialise interpolated_chunks first."
        )


def _tidy(storage: Storage, active: ActivePlan, final: str) -> None:
    """Delete what a finished video no longer needs; what a crash leaves here goes with the next run."""
    keys = VideoKeys(active.video_id)
    others = {keys.final(codec.suffix) for codec in CODECS.values()} - {final}
    storage.delete({*others, keys.pending})
    storage.delete([entry.key for entry in storage.list(active.keys.chunks)])
    if not active.source.settings.keep_results:
        storage.delete([entry.key for entry in storage.list(active.result_keys.prefix)])
