"""The order in which Dagster's queue lets runs go; test_end_to_end shows the same with the daemon."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from slowmo_pipeline.defs.jobs import change_model, finish_video, slow_motion
from slowmo_pipeline.environment import Home
from slowmo_pipeline.machine.home import open_instance

LOCATION = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("slowmo_pipeline"), "__repository__")
BACKFILL = {"dagster/backfill": "some"}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Home(tmp_path / "home")) as opened:
        yield opened


def submit(instance: dg.DagsterInstance, name: str, tags: Mapping[str, str]) -> None:
    origin = RemoteJobOrigin(LOCATION, name)
    run = create_run_for_test(
        instance, job_name=name, status=DagsterRunStatus.NOT_STARTED, tags=tags, remote_job_origin=origin
    )
    # The coordinator looks at the run alone.
    instance.run_coordinator.submit_run(SubmitRunContext(run, workspace=None))  # type: ignore[arg-type]


def next_two(instance: dg.DagsterInstance) -> list[str]:
    """The runs that the daemon would launch now: it has two places."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    return [run.job_name for run in daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)]


@pytest.mark.parametrize("job", [finish_video, change_model])
def test_what_goes_on_with_a_video_goes_first_and_a_backfill_last(
    job: UnresolvedAssetJobDefinition, instance: dg.DagsterInstance
) -> None:
    submit(instance, "backfill", BACKFILL)
    submit(instance, "slow_motion", slow_motion.tags or {})
    submit(instance, job.name, job.tags or {})
    assert next_two(instance) == [job.name, "slow_motion"]


def test_a_backfill_that_was_given_a_priority_keeps_it(instance: dg.DagsterInstance) -> None:
    submit(instance, "slow_motion", slow_motion.tags or {})
    submit(instance, "backfill", {**BACKFILL, "dagster/priority": "5"})
    assert next_two(instance) == ["backfill", "slow_motion"]


def test_what_was_dropped_first_begins_first(instance: dg.DagsterInstance) -> None:
    for name in "abc":
        submit(instance, name, slow_motion.tags or {})
    assert next_two(instance) == ["a", "b"]
