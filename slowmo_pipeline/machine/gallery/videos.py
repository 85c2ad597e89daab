"""What the gallery tells of each video, read from its records; of one that has not changed, once."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from threading import Lock

from slowmo_pipeline.endpoint.prices import cost_of, price_per_hour
from slowmo_pipeline.errors import SlowmoError
from slowmo_pipeline.machine.gallery.results import video_of
from slowmo_pipeline.planning.plan import Plan
from slowmo_pipeline.steps.records import (
    ActiveVersions,
    Final,
    Source,
    read_final_record,
    read_known,
)
from slowmo_pipeline.steps.stage_seconds import read_stages, seconds_by_stage
from slowmo_pipeline.steps.video_status import VideoStatuses
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole
from slowmo_pipeline.storage.keys import ENDPOINTS, VideoKeys
from slowmo_pipeline.video.info import VideoInfo

UNREADABLE = "unreadable"
_AT_ONCE = 8
"""Videos that are read at the same time: each is a handful of requests, where the storage is a bucket."""


@dataclass(frozen=True)
class Video:
    """A video as the gallery tells of it. What is not known is None, or missing."""

    video_id: str
    state: str
    name: str = ""
    """Of its upload, as it can be shown."""
    result: str | None = None
    """Key of the final video, which may be that of earlier settings; so are all facts below."""
    report: str | None = None
    made_at: datetime | None = None
    seconds: float | None = None
    """Length of the final video."""
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    frames: int | None = None
    bytes: int | None = None
    new_frames: int | None = None
    slowdown: float | None = None
    codec: str | None = None
    interpolator: str | None = None
    model: str | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each stage took."""
    endpoint_seconds: float | None = None
    cost_usd: float | None = None
    """List price of the endpoint's seconds, where SageMaker made the new frames."""
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    @property
    def megapixels(self) -> float | None:
        """Of all new frames together."""
        if self.new_frames is None or self.size is None:
            return None
        return self.new_frames * self.size[0] * self.size[1] / 1e6

    @property
    def megapixels_per_second(self) -> float | None:
        """Of new frames, while they were made."""
        seconds, megapixels = self.stages.get("interpolate"), self.megapixels
        return megapixels / seconds if seconds and megapixels else None


@dataclass(frozen=True)
class _Planned:
    """What the gallery tells of a plan."""

    seconds: float
    new_frames: int
    slowdown: float


class Videos:
    """All videos of a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._read: dict[str, tuple[tuple[str, str], Video]] = {}
        """By id, with the versions of what it was read from."""
        self._planned: dict[str, _Planned | None] = {}
        """By key: a plan is named by what it follows from."""
        self._looking = Lock()

    def all(self) -> list[Video]:
        """Every video, the latest result first, then what has none. Raises StorageError."""
        with self._looking:
            statuses = VideoStatuses(self._storage)
            served = repr(sorted((entry.key, entry.version) for entry in self._storage.list(ENDPOINTS)))
            ids = statuses.video_ids
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                videos = list(pool.map(partial(self._video, statuses, served), ids))
            self._read = {video_id: self._read[video_id] for video_id in ids if video_id in self._read}
        return sorted(videos, key=lambda video: (video.made_at is not None, video.made_at), reverse=True)

    def _video(self, statuses: VideoStatuses, served: str, video_id: str) -> Video:
        version = statuses.version(video_id)
        if version is not None:
            known = self._read.get(video_id)
            if known and known[0] == (version, served):
                return known[1]
        try:
            video = self._look(statuses, video_id)
        except SlowmoError as error:
            return Video(video_id, UNREADABLE, notes=(shown(str(error)),))
        if version is not None:
            self._read[video_id] = ((version, served), video)
        return video

    def _look(self, statuses: VideoStatuses, video_id: str) -> Video:
        status, known = statuses.of(video_id), read_known(self._storage, video_id)
        video = Video(
            video_id,
            status.state,
            name=shown(PurePosixPath(known.upload).name) if known else "",
            interpolator=status.settings.interpolator if status.settings else None,
        )
        final = read_final_record(self._storage, video_id) if status.result else None
        source = known if isinstance(known, Source) else None
        return self._with_result(statuses, video, source, final) if final else video

    def _with_result(self, statuses: VideoStatuses, video: Video, source: Source | None, final: Final) -> Video:
        keys = VideoKeys(video.video_id)
        plan = self._plan(keys.plan(str(final.recipe["plan"])).plan)
        info = read_if_whole(self._storage, VideoInfo, keys.info, torn="Its size is not told.")
        model_id = str(final.recipe["model_id"])
        stages: Mapping[str, float] = {}
        if source:
            # Of the result that is there, whatever is in force by now.
            made_with = ActiveVersions(
                plan=str(final.recipe["plan"]), interpolator=source.settings.interpolator, model_id=model_id
            )
            stages = seconds_by_stage(read_stages(self._storage, video.video_id), source, made_with, final)
        seconds, price = sum(final.chunk_seconds), price_per_hour(final.instance_type or "")
        return replace(
            video,
            result=video_of(video.video_id, final),
            report=keys.finals[1] if keys.finals[1] in statuses.finals else None,
            made_at=statuses.finals[keys.finals[0]].modified,
            seconds=plan.seconds if plan else None,
            size=(info.width, info.height) if info else None,
            frames=final.frame_count,
            bytes=final.bytes,
            new_frames=plan.new_frames if plan else None,
            slowdown=plan.slowdown if plan else None,
            codec=source.settings.codec if source else None,
            model=model_id,
            stages=stages,
            endpoint_seconds=seconds,
            cost_usd=float(cost_of(seconds, price)) if price else None,
            notes=tuple(map(shown, final.notes)),
            losses=tuple(map(shown, final.losses)),
        )

    def _plan(self, key: str) -> _Planned | None:
        if key not in self._planned:
            plan = read_if_whole(self._storage, Plan, key, torn="Its length is not told.")
            self._planned[key] = (
                _Planned(float(plan.timeline.duration), plan.new_frame_count, float(plan.timeline.slowdown))
                if plan
                else None
            )
        return self._planned[key]


def shown(text: str) -> str:
    """A text in one line of what can be shown: names of files may hold control characters, and bytes that are none."""
    return "".join(_characters(text))


def _characters(text: str) -> Iterator[str]:
    for character in text:
        if character.isprintable():
            yield character
        else:
            yield " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
