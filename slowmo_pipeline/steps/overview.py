"""What became of each video, and what can be deleted again."""

from dataclasses import dataclass

from slowmo_pipeline.endpoint_record import Served, served
from slowmo_pipeline.errors import DamagedRecordError, EndpointError, UnknownVideoError
from slowmo_pipeline.keys import VIDEOS, VideoKeys, is_video_id
from slowmo_pipeline.steps.records import is_finished, read_current, read_final, read_in_force, read_registered
from slowmo_pipeline.storage.base import Storage

FINISHED = "finished"
OUTDATED = "finished, with an older model"
NONE_OUTDATED = "No video is outdated."


@dataclass(frozen=True)
class Overview:
    """One video as its stored objects tell."""

    video_id: str
    upload: str
    state: str
    result: str | None
    """Key of the final video."""
    notes: int
    losses: int
    """How many sentences its result came with."""


def overview(storage: Storage, video_id: str) -> Overview:
    """Where a video stands. Raises UnknownVideoError for one that was never registered, and DamagedRecordError."""
    registered = read_registered(storage, video_id)
    if registered is None:
        raise unknown(video_id)
    final = read_final(storage, video_id)
    return Overview(
        video_id,
        registered.upload,
        _state(storage, video_id),
        result=final.key if final else None,
        notes=len(final.notes) if final else 0,
        losses=len(final.losses) if final else 0,
    )


def _state(storage: Storage, video_id: str) -> str:
    try:
        in_force = read_in_force(storage, video_id)
    except UnknownVideoError:
        return "registered"
    if is_finished(storage, video_id, in_force.source, in_force.current):
        return OUTDATED if is_outdated(storage, video_id) else FINISHED
    keys = VideoKeys(video_id).plan(in_force.current.plan).model(in_force.current.model_id)
    there = {entry.key for entry in storage.list(keys.results)}
    done = sum(keys.result(chunk.index) in there for chunk in in_force.plan.chunks)
    return f"{done} of {len(in_force.plan.chunks)} chunks interpolated"


def is_made_of(storage: Storage, video_id: str, version: str) -> bool:
    """Whether the final video is there and was made from this version of the upload and its sidecar."""
    try:
        in_force = read_in_force(storage, video_id)
    except (UnknownVideoError, DamagedRecordError):
        return False  # a run makes what is missing
    source, current = in_force.source, in_force.current
    return source.version == version and is_finished(storage, video_id, source, current)


@dataclass(frozen=True)
class Maker:
    """What made a final video, and what would now."""

    interpolator: str
    model_id: str
    served: str | None
    """The model that the endpoint of the interpolator runs; None once it was deleted: nothing newer is known then."""

    @property
    def is_outdated(self) -> bool:
        """Whether the video was made by another model than is served now."""
        return self.served not in (None, self.model_id)


def maker(storage: Storage, video_id: str) -> Maker | None:
    """What made the final video; None while there is none."""
    final, current = read_final(storage, video_id), read_current(storage, video_id)
    if final is None or current is None:
        return None
    now = served_now(storage, current.interpolator)
    return Maker(current.interpolator, str(final.recipe["model_id"]), now.model_id if now else None)


def is_outdated(storage: Storage, video_id: str) -> bool:
    """Whether the final video was made by another model than the endpoint of its interpolator runs now."""
    made = maker(storage, video_id)
    return made is not None and made.is_outdated


def served_now(storage: Storage, interpolator: str) -> Served | None:
    """What the endpoint of an interpolator runs; None once it was deleted: nothing newer is known then."""
    try:
        return served(storage, interpolator)
    except EndpointError:
        return None


def known_videos(storage: Storage) -> tuple[str, ...]:
    """The ids of all registered videos, sorted; other folders between theirs are nobody's."""
    return tuple(filter(is_video_id, storage.folders(VIDEOS)))


def clean(storage: Storage, video_id: str) -> int:
    """Delete what can be made again; returns the bytes freed.

    A finished video keeps its final files, and what tells how they were made; chunks and results of all its plans go.
    An unfinished one keeps the plan in force as well. Raises UnknownVideoError, and DamagedRecordError.
    """
    keys = VideoKeys(video_id)
    if storage.stat(keys.source) is None:
        raise unknown(video_id)
    try:
        in_force = read_in_force(storage, video_id)
    except UnknownVideoError:
        return 0  # not planned yet, or about to be planned anew: nothing is known to be old
    plan = keys.plan(in_force.current.plan)
    finished = is_finished(storage, video_id, in_force.source, in_force.current)
    kept = {keys.source, keys.requested, keys.info, keys.current, plan.plan}
    old = [
        entry
        for entry in storage.list(keys.prefix)
        if entry.key not in kept and (finished or not entry.key.startswith(plan.prefix))
    ]
    storage.delete(entry.key for entry in old)
    return sum(entry.size for entry in old)


def unknown(video_id: str) -> UnknownVideoError:
    """The error for an id that was never registered."""
    return UnknownVideoError(f"There is no video {video_id}: `slowmo status` lists those there are.")
