"""Running one clip through the pipeline in this process, visible in the instance like any other run."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.utils import make_new_run_id

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.checks import only_checks
from slowmo_pipeline.defs.jobs import slow_motion
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.reasons import reason_of, was_interrupted
from slowmo_pipeline.endpoint.local import use_endpoint
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import SlowmoError
from slowmo_pipeline.machine.dead_runs import close_dead_runs, is_own_run, own_run
from slowmo_pipeline.machine.home import locked, open_instance
from slowmo_pipeline.machine.outcome import Outcome, outcome_of
from slowmo_pipeline.progress import RunProgress
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.steps.clips import IMAGE_RATE
from slowmo_pipeline.steps.upload import register, upload_clip
from slowmo_pipeline.storage.base import Storage

_ALIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


class RunFailedError(SlowmoError):
    """A clip's run failed; the message is the step's."""


@dataclass(frozen=True)
class Pipeline:
    """A home, its instance and its storage, made ready."""

    home: Home
    instance: dg.DagsterInstance
    storage: Storage

    def run_clip(
        self, clip: Path, settings: SlowMotionSettings, progress: RunProgress, *, image_rate: Fraction = IMAGE_RATE
    ) -> Outcome:
        """Upload a file or a folder of images, make it a partition and run it."""
        # All of them spelled out: the same call makes the same video, whatever was run before.
        values = {name: value for name, value in settings.model_dump(mode="json").items() if value is not None}
        upload = upload_clip(self.storage, clip, progress, with_sidecar=False, image_rate=image_rate)
        video_id = register(self.storage, upload)
        self.instance.add_dynamic_partitions(str(videos.name), [video_id])
        return self.run(video_id, values, progress)

    def run_again(self, video_id: str, progress: RunProgress) -> Outcome:
        """Run a video that is known, with the settings in force, by the model that is served now."""
        self.instance.add_dynamic_partitions(str(videos.name), [video_id])
        return self.run(video_id, {}, progress)

    def run(self, video_id: str, settings: Mapping[str, Any], progress: RunProgress) -> Outcome:
        """Materialise the four assets of a video.

        Raises RunFailedError with the failed step's message, and KeyboardInterrupt when it was interrupted.
        """
        with locked(self.home, f"video-{video_id}"):
            wait_for_other_runs(self.instance, self.home, video_id, progress)
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
        failures = [event for event in result.all_node_events if event.is_step_failure]
        if any(map(was_interrupted, failures)):
            raise KeyboardInterrupt  # which Dagster had caught
        if not result.success:
            raise RunFailedError(
                _reason_and_run(failures[0], run_id) if failures else f"The run {run_id} failed; `slowmo up` shows why."
            )
        outcome = outcome_of(self.storage, video_id, failed_checks=_failed_checks(result))
        if outcome is None:
            raise RunFailedError(f"The final video of {video_id} disappeared while it ran: run again.")
        return outcome


@contextmanager
def open_pipeline(
    home: Home, storage: Storage, *, endpoints: Sequence[str], workers: int | None = None
) -> Iterator[Pipeline]:
    """The pipeline of a home, while a local endpoint serves what `endpoints` name, if they name anything."""
    with ExitStack() as stack:
        instance = stack.enter_context(open_instance(home))
        if not instance.get_python_log_dagster_handler_config():
            # Without any, Dagster would configure Python's logging with nothing, which closes all handlers, and so
            # the log files of a program that calls this.
            instance.get_yaml_python_handlers = list  # type: ignore[method-assign]
        if endpoints:
            stack.enter_context(use_endpoint(home.endpoint, storage.url, workers=workers, endpoints=endpoints))
        yield Pipeline(home, instance, storage)


def wait_for_other_runs(instance: dg.DagsterInstance, home: Home, video_id: str, progress: RunProgress) -> None:
    """Wait until no run of a video that Dagster has launched is active, and say so. Killed ones are closed."""
    filters = RunsFilter(statuses=_ALIVE, tags={"dagster/partition": video_id})
    told = False
    while runs := [run for run in instance.get_runs(filters) if not is_own_run(run)]:
        if not told:
            progress.note(f"Waiting for the run {runs[0].run_id} of this video to end.")
            told = True
        time.sleep(1)
        close_dead_runs(instance, home)


def failure_of(instance: dg.DagsterInstance, video_id: str) -> str | None:
    """Why the last run that was to make a video failed; None when it did not."""
    found = instance.get_runs(RunsFilter(tags={"dagster/partition": video_id}))
    runs = [run for run in found if not only_checks(run)]
    if not runs or runs[0].status != DagsterRunStatus.FAILURE:
        return None
    entries = instance.all_logs(runs[0].run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    return _reason_and_run(events[0], runs[0].run_id) if events else f"the run {runs[0].run_id} was ended from outside"


def _reason_and_run(event: dg.DagsterEvent, run_id: str) -> str:
    reason = reason_of(event)
    return f"{reason} (run {run_id})" if event.step_failure_data.user_failure_data is None else reason


def _failed_checks(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    """Names of the checks that failed as errors; warnings are told as notes."""
    found = result.get_asset_check_evaluations()
    return tuple(each.check_name for each in found if not each.passed and each.severity == dg.AssetCheckSeverity.ERROR)
