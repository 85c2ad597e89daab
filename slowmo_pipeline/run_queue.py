"""In which order runs leave the queue: what finishes a video first, then what begins one, then backfills.

dagster.yaml names the coordinator here, since every process that opens the instance submits runs: the daemon, the web
server, a command.
"""

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.tags import BACKFILL_ID_TAG, PRIORITY_TAG

BEFORE_OTHERS = {PRIORITY_TAG: "1"}
"""Tags of a job whose runs go first. Without a priority a run has 0; equals go in the order of their creation."""

_AFTER_OTHERS = {PRIORITY_TAG: "-1"}


class BackfillsLast(QueuedRunCoordinator):
    """Dagster's queue, but that the runs of a backfill wait for all others, unless somebody gave them a priority.

    A backfill gives its runs its own tags alone, not those of their job, so that no job can say it.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Put a run into the queue."""
        run = context.dagster_run
        if BACKFILL_ID_TAG in run.tags and PRIORITY_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, _AFTER_OTHERS)
        return super().submit_run(context)
