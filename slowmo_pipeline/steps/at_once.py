"""A moment's wait for results that come at once, as those of a tiny clip do: the next run takes longer to start."""

import time

from slowmo_pipeline.steps.records import ActivePlan, missing_results
from slowmo_pipeline.storage.base import Storage


def come_at_once(storage: Storage, active: ActivePlan, *, seconds: float) -> bool:
    """Whether all results of the plan in force are there, or come within so many seconds. Costs a listing or a few."""
    deadline = time.monotonic() + seconds
    while missing_results(storage, active):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, storage.poll_seconds))
    return True
