"""A small video in a storage, taken as far as a test needs it."""

import hashlib
import io
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from slowmo_pipeline.chunks.files import ChunkReader, write_result
from slowmo_pipeline.progress import Quiet
from slowmo_pipeline.settings import parse_settings
from slowmo_pipeline.steps.cut import Cut, cut
from slowmo_pipeline.steps.inspect_upload import joint_version
from slowmo_pipeline.steps.records import FORMATS, Final, Source, read_active_plan
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline.video.cuts import CutScorer
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import Limits, probe
from slowmo_pipeline_tests.support.interpolators import Fade
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.stored import changed, write_json

UPLOAD = "uploads/clip.mp4"
RATE = Fraction(24)

quiet = Quiet()


def drop(storage: Storage, *, frames: int = 9, key: str = UPLOAD) -> str:
    """Upload a clip of flat grey frames and register it; its video id."""
    storage.write(key, clip(frames))
    return register(storage, key)


@cache
def clip(frames: int) -> bytes:
    """An MP4 file of so many flat grey frames."""
    with tempfile.TemporaryDirectory() as folder:
        return write_clip(Path(folder, "clip.mp4"), grey_frames(frames), rate=RATE).read_bytes()


@cache
def info_of(frames: int) -> VideoInfo:
    """What probing finds in such a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        path.write_bytes(clip(frames))
        scorer = CutScorer()
        info = probe(
            path,
            limits=Limits(max_bytes=10**9, max_pixels=10**6, max_frames=10**4, max_seconds=10**4),
            on_picture=lambda _, picture: scorer.add(picture),
        )
    return changed(info, cut_scores=tuple(round(100 * score) for score in scorer.scores()))


def looked(storage: Storage, video_id: str, *, frames: int = 9, key: str = UPLOAD, **settings: Any) -> None:
    """Leave what a look at a dropped video without sidecar leaves, without the processes that it starts."""
    entry = storage.stat(key)
    assert entry
    source = Source(
        upload=key,
        version=joint_version(entry, None),
        sidecar_version=None,
        sha256=hashlib.sha256(clip(frames)).hexdigest(),
        settings=parse_settings(settings, origin="A test"),
        formats=FORMATS,
    )
    write_record(storage, VideoKeys(video_id).source, source)
    write_record(storage, VideoKeys(video_id).info, info_of(frames))


def serve(storage: Storage, *, model_id: str = Fade.model_id, max_body_bytes: int = 10**9) -> None:
    """Leave the note that an endpoint `flow` serves the storage."""
    write_json(storage, endpoint_key("flow"), {"model_id": model_id, "max_body_bytes": max_body_bytes})


def drop_and_cut(storage: Storage, *, frames: int = 9, key: str = UPLOAD, **settings: Any) -> tuple[str, Cut]:
    """A video with a plan and chunks; its id and what cutting did."""
    video_id = drop(storage, frames=frames, key=key)
    serve(storage)
    looked(storage, video_id, frames=frames, key=key, **settings)
    return video_id, cut(storage, video_id, progress=quiet)


def finish(storage: Storage, video_id: str) -> Final:
    """Leave a final video, of no content, that was made from what is in force."""
    active = read_active_plan(storage, video_id)
    keys = VideoKeys(video_id)
    final = Final(
        key=keys.final(".mp4"),
        recipe=active.recipe,
        bytes=5,
        sha256="00",
        frame_count=active.plan.timeline.output_count,
        chunk_seconds=(1.5,),
        filmstrip="",
        notes=("a note",),
    )
    storage.write(final.key, b"final")
    write_record(storage, keys.finals[0], final)
    return final


def interpolate(chunk: bytes) -> bytes:
    """The result of a chunk, made by Fade."""
    reader = ChunkReader(io.BytesIO(chunk))
    frames = Fade().render((frame for _, frame in reader.frames()), reader.times, returned=reader.returned)
    result = io.BytesIO()
    write_result(
        result,
        zip(reader.outputs, frames, strict=True),
        count=len(reader.returned),
        model_id=Fade.model_id,
        seconds=lambda: 0.0,
        image_format=reader.image_format,
    )
    return result.getvalue()
