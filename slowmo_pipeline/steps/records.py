"""What the steps leave in the storage for each other, as records that are parsed at the door.

The error for a torn record names it. One that a step can make anew counts as missing: the step makes it again, and ends
with the same bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from slowmo_pipeline.errors import DamagedRecordError, UnknownVideoError
from slowmo_pipeline.frames import FrameShape
from slowmo_pipeline.planning.plan import Chunk, Plan, plan_hash
from slowmo_pipeline.record import Items, Record
from slowmo_pipeline.settings import FIELDS, SlowMotionSettings
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole, read_record
from slowmo_pipeline.storage.keys import PlanKeys, ResultKeys, VideoKeys
from slowmo_pipeline.video.info import VideoInfo

FORMATS: Literal[2] = 2
"""Raised with PLAN_FORMAT, and whenever the same results would be encoded into another file."""


def _known_settings(value: object) -> object:
    """Stored settings without those that a later version may have stored."""
    return {name: each for name, each in value.items() if name in FIELDS} if isinstance(value, dict) else value


class Registered(Record):
    """An upload that is known under its video id."""

    upload: str
    """Its key."""


class _HasSha256(Record):
    sha256: str | None = None


class Source(Registered):
    """An upload as last inspected."""

    version: str
    """The storage's version of the upload and of its sidecar; a new one only says "look again"."""
    sidecar_version: str | None
    sha256: str
    """Of the content."""
    settings: Annotated[SlowMotionSettings, BeforeValidator(_known_settings)]
    formats: Literal[1, 2] = 1
    """The FORMATS that plan and file are made by. A video of before keeps its own, and so what was made of it."""
    reading: str = ""
    """How its frames are read, where that is not the plain way; results of another reading do not go with them."""

    @property
    def plan(self) -> str:
        """The hash of the plan that follows from the content, the settings and the reading."""
        settings = self.settings.first_plan_settings if self.formats == 1 else self.settings.plan_settings
        reading = {"reading": self.reading} if self.reading else {}
        return plan_hash(sha256=self.sha256, settings={**settings, **reading}, plan_format=self.formats)


class ActiveVersions(Record):
    """Which plan and which model a video is made with."""

    plan: str
    """The plan hash."""
    interpolator: str
    """Name of the endpoint; a local one has that of an entry of the catalog."""
    model_id: str


@dataclass(frozen=True)
class ActivePlan:
    """A video with the plan that it is made with: what the steps after cutting work from, read once by each."""

    video_id: str
    source: Source
    info: VideoInfo
    versions: ActiveVersions
    plan: Plan

    @property
    def keys(self) -> PlanKeys:
        """Where the plan and its chunks lie."""
        return VideoKeys(self.video_id).plan(self.versions.plan)

    @property
    def result_keys(self) -> ResultKeys:
        """Where the results of its chunks lie."""
        return self.keys.model(self.versions.model_id)

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that decides the bytes of the final video."""
        return recipe_of(self.source, self.versions.model_id)


class Final(Record):
    """The finished video."""

    key: str
    recipe: dict[str, Any]
    """What it was made from; a video is encoded again when this differs."""
    bytes: int
    sha256: str
    frame_count: int
    chunk_seconds: Items[float]
    """Seconds that the endpoint spent on each chunk."""
    filmstrip: str
    """A few neighbouring frames as one JPEG, in base64."""
    notes: Items[str]
    """Sentences on what is not as one might expect."""
    losses: Items[str] = ()
    """Sentences on frames or sound that were lost; earlier versions stored them among the notes."""
    instance_type: str | None = None
    """SageMaker's, if all results come from one of its endpoints and that is known."""


def read_registered(storage: Storage, video_id: str) -> Registered | None:
    """Which upload a video is, or None for one that was never registered. Raises DamagedRecordError."""
    return read_record(storage, Registered, VideoKeys(video_id).source)


def read_known(storage: Storage, video_id: str) -> Registered | None:
    """What is known of an upload, a Source once it was inspected; None for one that was never registered.

    Raises DamagedRecordError.
    """
    return read_record(storage, _Known, VideoKeys(video_id).source)


class _Known:
    @staticmethod
    def from_json(data: bytes, *, where: str) -> Registered:
        return parse_source(data, where=where) or Registered.from_json(data, where=where)


def parse_source(data: bytes, *, where: str) -> Source | None:
    """source.json; None when the upload is registered and was not inspected yet. Raises DamagedRecordError."""
    looked = _HasSha256.from_json(data, where=where).sha256 is not None
    return Source.from_json(data, where=where) if looked else None


def read_source(storage: Storage, video_id: str) -> Source:
    """What `inspect_upload` found. Raises UnknownVideoError before that, and DamagedRecordError."""
    with _made_anew_by("raw_video"):
        known = read_known(storage, video_id)
    if not isinstance(known, Source):
        raise UnknownVideoError(f"Nothing is known of the video {video_id} yet: materialise raw_video first.")
    return known


def read_info(storage: Storage, video_id: str) -> VideoInfo:
    """What probing found. Raises UnknownVideoError before that, and DamagedRecordError."""
    with _made_anew_by("raw_video"):
        info = read_record(storage, VideoInfo, VideoKeys(video_id).info)
    if info is None:
        raise UnknownVideoError(f"The video {video_id} has not been probed yet: materialise raw_video first.")
    return info


def read_active_versions(storage: Storage, video_id: str) -> ActiveVersions | None:
    """The plan and the model of a video; None before cutting, and for a torn record, which cutting writes anew."""
    key = VideoKeys(video_id).current
    return read_if_whole(storage, ActiveVersions, key, torn="Materialise frame_chunks again: it is made anew.")


def read_active_plan(storage: Storage, video_id: str) -> ActivePlan:
    """The plan that a video is made with: four small objects.

    Raises UnknownVideoError when there is none, or no longer, and DamagedRecordError.
    """
    source, info, versions = (
        read_source(storage, video_id),
        read_info(storage, video_id),
        read_active_versions(storage, video_id),
    )
    with _made_anew_by("frame_chunks"):
        plan = read_record(storage, Plan, VideoKeys(video_id).plan(source.plan).plan)
    if versions is None or versions.plan != source.plan or plan is None:
        raise UnknownVideoError(
            f"The video {video_id} has no plan for its content and settings yet: materialise frame_chunks first."
        )
    return ActivePlan(video_id, source, info, versions, plan)


def read_finished(storage: Storage, video_id: str) -> tuple[ActivePlan, Final]:
    """A video with its plan and its result. Raises UnknownVideoError unless it is finished, and DamagedRecordError."""
    active, final = read_active_plan(storage, video_id), read_final(storage, video_id)
    if final is None or final.recipe != active.recipe:
        raise UnknownVideoError(f"The video {video_id} is not finished: `slowmo status` tells where it stands.")
    return active, final


@contextmanager
def _made_anew_by(asset: str) -> Iterator[None]:
    """Add to the error for a torn record which asset to materialise, since that writes it anew."""
    try:
        yield
    except DamagedRecordError as error:
        raise DamagedRecordError(f"{error} Materialise {asset} again: it is made anew.") from error


def read_final(storage: Storage, video_id: str) -> Final | None:
    """The finished video; None while there is none, and for a torn record: it is assembled anew then."""
    final = read_final_record(storage, video_id)
    return final if final and storage.stat(final.key) else None


def read_final_record(storage: Storage, video_id: str) -> Final | None:
    """As `read_final`, but without looking whether the video itself is still there."""
    return read_if_whole(storage, Final, VideoKeys(video_id).finals[0], torn="The final video is assembled anew.")


def recipe_of(source: Source, model_id: str) -> dict[str, Any]:
    """Everything that decides the bytes of the final video."""
    return {
        "format": source.formats,
        "upload_sha256": source.sha256,
        "plan": source.plan,
        "model_id": model_id,
        "encoding": source.settings.encoding_settings,
    }


def shape_of(info: VideoInfo) -> FrameShape:
    """The shape of the frames that a video hands out."""
    return FrameShape(info.width, info.height, info.depth)


def missing_results(storage: Storage, active: ActivePlan) -> list[Chunk]:
    """The chunks of the plan whose results are not there, in order. Costs a listing."""
    keys = active.result_keys
    there = {entry.key for entry in storage.list(keys.results)}
    return [chunk for chunk in active.plan.chunks if keys.result(chunk.index) not in there]


def is_finished(storage: Storage, active: ActivePlan) -> bool:
    """Whether the final video is there and was made from just this."""
    final = read_final(storage, active.video_id)
    return final is not None and final.recipe == active.recipe
