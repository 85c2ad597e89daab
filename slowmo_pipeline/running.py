"""Running one clip through the pipeline in this process, visible in the instance like any other run."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.utils import make_new_run_id

from slowmo_pipeline.console import stderr
from slowmo_pipeline.definitions import defs
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import SlowmoError
from slowmo_pipeline.home import OWN_RUN_TAG, locked, own_run
from slowmo_pipeline.jobs import slow_motion
from slowmo_pipeline.partitions import videos
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.records import read_final
from slowmo_pipeline.steps.upload import register, upload_clip
from slowmo_pipeline.storage import Storage

_ALIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


class RunFailedError(SlowmoError):
    """A clip's run failed; the message is the step's."""


@dataclass(frozen=True)
class Pipeline:
    """A home, its instance and its storage, made ready."""

    home: Home
    instance: dg.DagsterInstance
    storage: Storage

    def run_clip(self, clip: Path, settings: Mapping[str, Any], progress: Progress) -> str:
        """Upload a file, make it a partition and run it; returns the key of the final video."""
        upload = upload_clip(self.storage, clip, progress, with_sidecar=False)
        video_id = register(self.storage, upload)
        self.instance.add_dynamic_partitions(str(videos.name), [video_id])
        return self.run(video_id, settings, progress)

    def run(self, video_id: str, settings: Mapping[str, Any], progress: Progress) -> str:
        """Materialise the four assets of a video; returns the key of the final video.

        Raises RunFailedError with the failed step's message, and KeyboardInterrupt when it was interrupted.
        """
        with locked(self.home, f"video-{video_id}"):
            self._wait_for_others(video_id)
            run_id = make_new_run_id()
            with own_run(self.home, run_id) as tags:
                result = defs.resolve_job_def(slow_motion.name).execute_in_process(
                    instance=self.instance,
                    partition_key=video_id,
                    run_id=run_id,
                    tags=tags,
                    run_config={
                        "ops": {"raw_video": {"config": dict(settings)}},
                        # Errors are told once, by whoever called.
                        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    },
                    resources={"progress": lambda log: progress},
                    raise_on_error=False,
                )
        if not result.success:
            raise RunFailedError(_reason(result))
        final = read_final(self.storage, video_id)
        if final is None:
            raise RunFailedError(f"The final video of {video_id} disappeared while it ran: run again.")
        return final.key

    def _wait_for_others(self, video_id: str) -> None:
        filters = RunsFilter(statuses=_ALIVE, tags={"dagster/partition": video_id})
        told = False
        while runs := [run for run in self.instance.get_runs(filters) if OWN_RUN_TAG not in run.tags]:
            if not told:
                stderr.print(f"Waiting for the run {runs[0].run_id} of this video to end.")
                told = True
            time.sleep(1)


def _reason(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_node_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            error = data.error and (data.error.cause or data.error)
            if error and error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
                raise KeyboardInterrupt  # which Dagster had caught
            reason = error.message.strip() if error else "no reason given"
            return f"An error that should not happen, in {event.step_key}: {reason} (run {result.run_id})"
    return f"The run {result.run_id} failed; `slowmo up` shows why."
