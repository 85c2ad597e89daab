"""A moment's wait for results that come at once, as those of a tiny clip do: the next run takes longer to start."""

import time

from slowmo_pipeline.keys import VideoKeys
from slowmo_pipeline.steps.records import InForce
from slowmo_pipeline.storage.base import Storage


def come_at_once(storage: Storage, video_id: str, in_force: InForce, *, seconds: float) -> bool:
    """Whether all results of the plan in force are there, or come within so many seconds. Costs a listing or a few."""
    keys = VideoKeys(video_id).plan(in_force.current.plan).model(in_force.current.model_id)
    wanted = {keys.result(chunk.index) for chunk in in_force.plan.chunks}
    deadline = time.monotonic() + seconds
    while True:
        if wanted <= {entry.key for entry in storage.list(keys.results)}:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, storage.poll_seconds))
