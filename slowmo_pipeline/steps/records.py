"""What the steps leave in the storage for each other, as records that are parsed at the door."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from slowmo_pipeline.errors import UnknownVideoError
from slowmo_pipeline.frames import FrameShape
from slowmo_pipeline.keys import VideoKeys
from slowmo_pipeline.plan import Plan, plan_hash
from slowmo_pipeline.settings import SlowMotionSettings, parse_settings
from slowmo_pipeline.storage import Storage
from slowmo_pipeline.video.info import VideoInfo

ASSEMBLY_FORMAT = 1
"""Raised whenever the same results would be encoded into another file."""


@dataclass(frozen=True)
class Source:
    """One upload as last looked at."""

    upload: str
    """Its key."""
    version: str
    """The storage's version of the upload and of its sidecar; a new one only says "look again"."""
    sidecar_version: str | None
    sha256: str
    """Of the content."""
    settings: SlowMotionSettings

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {**vars(self), "settings": self.settings.model_dump(mode="json")}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Source":
        """The source that `to_json` stored."""
        return Source(**{**value, "settings": parse_settings(value["settings"], origin="source.json")})


@dataclass(frozen=True)
class Current:
    """Which plan and which model are in force for a video."""

    plan: str
    """The plan hash."""
    interpolator: str
    """The endpoint's name."""
    model_id: str


@dataclass(frozen=True)
class InForce:
    """What the steps after cutting work from."""

    source: Source
    info: VideoInfo
    current: Current
    plan: Plan


@dataclass(frozen=True)
class Final:
    """The finished video."""

    key: str
    recipe: Mapping[str, Any]
    """What it was made from; a video is encoded again when this differs."""
    bytes: int
    sha256: str
    frame_count: int
    chunk_seconds: tuple[float, ...]
    """Seconds that the endpoint spent on each chunk."""
    filmstrip: str
    """A few neighbouring frames as one JPEG, in base64."""
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Final":
        """The record that `to_json` stored."""
        return Final(**{**value, "chunk_seconds": tuple(value["chunk_seconds"]), "notes": tuple(value["notes"])})


def read_source(storage: Storage, video_id: str) -> Source:
    """What `look` found. Raises UnknownVideoError before that."""
    value = storage.read_json(VideoKeys(video_id).source)
    if value is None or "sha256" not in value:
        raise UnknownVideoError(f"Nothing is known of the video {video_id} yet: materialise raw_video first.")
    return Source.from_json(value)


def read_info(storage: Storage, video_id: str) -> VideoInfo:
    """What probing found. Raises UnknownVideoError before that."""
    value = storage.read_json(VideoKeys(video_id).info)
    if value is None:
        raise UnknownVideoError(f"The video {video_id} has not been probed yet: materialise raw_video first.")
    return VideoInfo.from_json(value)


def read_in_force(storage: Storage, video_id: str) -> InForce:
    """The plan in force, with what it was made from. Raises UnknownVideoError when there is none, or no longer."""
    source, info = read_source(storage, video_id), read_info(storage, video_id)
    keys = VideoKeys(video_id)
    current = storage.read_json(keys.current)
    name = plan_hash(sha256=source.sha256, settings=source.settings.of_plan)
    plan = storage.read_json(keys.plan(name).plan)
    if current is None or current["plan"] != name or plan is None:
        raise UnknownVideoError(
            f"The video {video_id} has no plan for its content and settings yet: materialise frame_chunks first."
        )
    return InForce(source, info, Current(**current), Plan.from_json(plan))


def read_final(storage: Storage, video_id: str) -> Final | None:
    """The finished video, or None while there is none."""
    value = storage.read_json(VideoKeys(video_id).finals[0])
    final = Final.from_json(value) if value else None
    return final if final and storage.stat(final.key) else None


def recipe_of(source: Source, current: Current) -> dict[str, Any]:
    """Everything that decides the bytes of the final video."""
    return {
        "format": ASSEMBLY_FORMAT,
        "upload_sha256": source.sha256,
        "plan": current.plan,
        "model_id": current.model_id,
        "encoding": source.settings.of_encoding,
    }


def shape_of(info: VideoInfo) -> FrameShape:
    """The shape of the frames that a video hands out."""
    return FrameShape(info.width, info.height, info.depth)


def is_finished(storage: Storage, video_id: str, source: Source, current: Current) -> bool:
    """Whether the final video is there and was made from just this."""
    final = read_final(storage, video_id)
    return final is not None and final.recipe == recipe_of(source, current)
