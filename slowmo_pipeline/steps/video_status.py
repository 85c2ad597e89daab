"""Where each video stands, as the stored objects tell."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath

from slowmo_pipeline.endpoint.record import served_now
from slowmo_pipeline.errors import DamagedRecordError, StorageError, UnknownVideoError
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.steps.records import (
    Final,
    Source,
    read_active_versions,
    read_final,
    read_final_record,
    read_known,
    read_source,
    recipe_of,
)
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FINALS, VIDEOS, VideoKeys, is_video_id, video_id_below

FINISHED = "finished"
OUTDATED = "finished, with an older model"
NONE_OUTDATED = "No video is outdated."


@dataclass(frozen=True)
class VideoStatus:
    """Where a video stands."""

    video_id: str
    state: str
    result: str | None
    """Key of the final video, which may be that of earlier settings."""
    report: str | None
    """Key of its report."""
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    """Sentences that its result came with."""
    settings: SlowMotionSettings | None
    """Those in force; None before it was inspected."""
    is_outdated: bool
    """Whether its result was made by another model than the endpoint of its interpolator runs now."""

    @property
    def is_finished(self) -> bool:
        """Whether the result is what the video's settings ask for."""
        return self.state in (FINISHED, OUTDATED)


class VideoStatuses:
    """Where videos stand, from two listings and two small objects for each video.

    A third is read for one that has both a final video and chunks, since another model may make it anew. The record of
    an endpoint is read once.
    """

    def __init__(self, storage: Storage, *, only: str | None = None) -> None:
        """Lists everything stored, or what is stored of one video; and the final videos."""
        self._storage = storage
        self._stored: dict[str, dict[str, str]] = {}
        """Versions by key, by video."""
        try:
            self._add_below(VideoKeys(only).prefix if only else VIDEOS)
        except StorageError:  # one folder cannot be read: each video is listed by itself, in of()
            self._stored = {video_id: {} for video_id in storage.folders(VIDEOS)}
            self._is_listed = False
        else:
            self._is_listed = True
        self.finals = {entry.key: entry for entry in storage.list(FINALS)}
        """What lies beside the final videos, and these, by key."""
        self._final_versions: defaultdict[str, list[str]] = defaultdict(list)
        for entry in self.finals.values():
            self._final_versions[PurePosixPath(entry.key).stem].append(entry.version)
        self._served_model_ids: dict[str, str | None] = {}

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The ids of all registered videos, sorted; folders that are no video's are ignored."""
        ids = sorted(filter(is_video_id, self._stored))
        return tuple(each for each in ids if not self._is_listed or VideoKeys(each).source in self._stored[each])

    def _add_below(self, prefix: str) -> None:
        for entry in self._storage.list(prefix):
            self._stored.setdefault(video_id_below(entry.key), {})[entry.key] = entry.version

    def version(self, video_id: str) -> str | None:
        """Another one whenever anything of the video is; None where not all of it could be listed."""
        if not self._is_listed:
            return None
        told = repr((sorted(self._stored.get(video_id, {}).items()), sorted(self._final_versions[video_id])))
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()

    def of(self, video_id: str) -> VideoStatus:
        """Where a video stands. Raises UnknownVideoError for one that was never registered, and StorageError."""
        known = read_known(self._storage, video_id)
        if known is None:
            raise unknown(video_id)
        if not self._is_listed:
            self._add_below(VideoKeys(video_id).prefix)
        source, final = known if isinstance(known, Source) else None, self._final(video_id)
        report = VideoKeys(video_id).finals[1]
        is_outdated = bool(source and final and self._is_outdated(source, final))
        return VideoStatus(
            video_id,
            self._state(video_id, source, final, is_outdated=is_outdated) if source else "registered",
            result=final.key if final else None,
            report=report if final and report in self.finals else None,
            notes=final.notes if final else (),
            losses=final.losses if final else (),
            settings=source.settings if source else None,
            is_outdated=is_outdated,
        )

    def _final(self, video_id: str) -> Final | None:
        key = VideoKeys(video_id).finals[0]
        final = read_final_record(self._storage, video_id) if key in self.finals else None
        return final if final and final.key in self.finals else None

    def _is_outdated(self, source: Source, final: Final) -> bool:
        interpolator = source.settings.interpolator
        if interpolator not in self._served_model_ids:
            now = served_now(self._storage, interpolator)
            self._served_model_ids[interpolator] = now.model_id if now else None
        return _is_older(str(final.recipe["model_id"]), self._served_model_ids[interpolator])

    def _state(self, video_id: str, source: Source, final: Final | None, *, is_outdated: bool) -> str:
        # What was registered after the listing is not in it.
        plan, stored = VideoKeys(video_id).plan(source.plan), self._stored.get(video_id, {})
        chunks = {key for key in stored if key.startswith(plan.chunks)}
        # Finishing a video deletes its chunks: any that are left mean that it is made anew, or was not tidied up.
        if final and not chunks and final.recipe == recipe_of(source, str(final.recipe["model_id"])):
            return OUTDATED if is_outdated else FINISHED
        versions = read_active_versions(self._storage, video_id) if VideoKeys(video_id).current in stored else None
        if versions is None or versions.plan != source.plan or plan.plan not in stored:
            return "registered"
        if final and final.recipe == recipe_of(source, versions.model_id):
            return OUTDATED if is_outdated else FINISHED
        results = plan.model(versions.model_id).results
        done = {key.removeprefix(results) for key in stored if key.startswith(results)}
        # Every chunk without a result was stored when the video was cut.
        total = done | {key.removeprefix(plan.chunks) for key in chunks}
        return f"{len(done)} of {len(total)} chunks interpolated"


def _is_older(model_id: str, served_model_id: str | None) -> bool:
    """Whether another model is served than that one; where none is, nothing newer is known."""
    return served_model_id not in (None, model_id)


def is_made_of(storage: Storage, video_id: str, version: str) -> bool:
    """Whether the final video is there and was made from this version of the upload and its sidecar."""
    try:
        source, versions = read_source(storage, video_id), read_active_versions(storage, video_id)
    except (UnknownVideoError, DamagedRecordError):
        return False  # a run makes what is missing
    if versions is None or source.version != version:
        return False
    final = read_final(storage, video_id)
    return final is not None and final.recipe == recipe_of(source, versions.model_id)


@dataclass(frozen=True)
class Maker:
    """What made a final video, and what would now."""

    interpolator: str
    model_id: str
    served_model_id: str | None
    """The model that the endpoint of the interpolator runs; None once it was deleted: nothing newer is known then."""

    @property
    def is_outdated(self) -> bool:
        """Whether the video was made by another model than is served now."""
        return _is_older(self.model_id, self.served_model_id)


def maker(storage: Storage, video_id: str) -> Maker | None:
    """What made the final video; None while there is none."""
    final, versions = read_final(storage, video_id), read_active_versions(storage, video_id)
    if final is None or versions is None:
        return None
    now = served_now(storage, versions.interpolator)
    return Maker(versions.interpolator, str(final.recipe["model_id"]), now.model_id if now else None)


def known_videos(storage: Storage) -> tuple[str, ...]:
    """The ids of all registered videos, sorted; folders that are no video's are ignored."""
    return tuple(filter(is_video_id, storage.folders(VIDEOS)))


def unknown(video_id: str) -> UnknownVideoError:
    """The error for an id that was never registered."""
    return UnknownVideoError(f"There is no video {video_id}: `slowmo status` lists those there are.")
