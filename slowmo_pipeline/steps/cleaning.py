"""Deleting what can be made again."""

from slowmo_pipeline.errors import UnknownVideoError
from slowmo_pipeline.steps.records import is_finished, read_active_plan
from slowmo_pipeline.steps.video_status import unknown
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys


def clean(storage: Storage, video_id: str) -> int:
    """Delete what can be made again; returns the bytes freed.

    A finished video keeps its final files, and what tells how they were made; chunks and results of all its plans go.
    An unfinished one keeps its active plan as well. Raises UnknownVideoError, and DamagedRecordError.
    """
    keys = VideoKeys(video_id)
    if storage.stat(keys.source) is None:
        raise unknown(video_id)
    try:
        active = read_active_plan(storage, video_id)
    except UnknownVideoError:
        return 0  # not planned yet, or about to be planned anew: nothing is known to be old
    finished = is_finished(storage, active)
    kept = {keys.source, keys.requested, keys.info, keys.current, keys.stages, active.keys.plan}
    old = [
        entry
        for entry in storage.list(keys.prefix)
        if entry.key not in kept and (finished or not entry.key.startswith(active.keys.prefix))
    ]
    storage.delete(entry.key for entry in old)
    return sum(entry.size for entry in old)
