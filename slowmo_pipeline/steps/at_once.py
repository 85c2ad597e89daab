"""A moment's wait for results that come at once, as those of a tiny clip do: the next run takes longer to start."""

import time

from slowmo_pipeline.steps.records import ActivePlan
from slowmo_pipeline.storage.base import Storage


def come_at_once(storage: Storage, active: ActivePlan, *, seconds: float) -> bool:
    """Whether all results of the plan in force are there, or come within so many seconds. Costs a listing or a few."""
    keys = active.result_keys
    wanted = {keys.result(chunk.index) for chunk in active.plan.chunks}
    deadline = time.monotonic() + seconds
    while True:
        if wanted <= {entry.key for entry in storage.list(keys.results)}:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, storage.poll_seconds))
