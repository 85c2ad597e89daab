"""Runs whose process is gone are closed; those that live, or are yet to be launched, never."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.utils import make_new_run_id
from dagster._daemon.monitoring import run_monitoring

from slowmo_pipeline.environment import Home
from slowmo_pipeline.machine.dead_runs import close_dead_runs, own_run
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline.machine.run import wait_for_other_runs
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.notes import Notes
from slowmo_pipeline_tests.support.processes import Processes, kill, make_clip

NOT_STARTED, STARTING, STARTED = DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED
CANCELING, FAILURE = DagsterRunStatus.CANCELING, DagsterRunStatus.FAILURE


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("dead") / "home")


@pytest.fixture(scope="module")
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        yield opened


@pytest.fixture
def gone(tmp_path: Path) -> Mapping[str, str]:
    """The tag of a run that was launched on a server which was killed: its socket is still there."""
    path = str(tmp_path / "server")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    return launched_on({"host": "localhost", "socket": path})


@pytest.fixture
def living() -> Iterator[Mapping[str, str]]:
    """The tag of a run that was launched on a server which listens, and does not get to answering."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield launched_on({"host": "localhost", "port": server.getsockname()[1]})


def launched_on(server: Mapping[str, object]) -> Mapping[str, str]:
    return {".dagster/grpc_info": json.dumps(server)}


def add_run(instance: dg.DagsterInstance, tags: Mapping[str, str], status: DagsterRunStatus) -> str:
    run_id = make_new_run_id()
    create_run_for_test(instance, run_id=run_id, status=status, tags=tags)
    return run_id


def repeat(instance: dg.DagsterInstance, parent: str, status: DagsterRunStatus, **tags: str) -> str:
    """What Dagster makes of a retry and of a re-execution: the parent's tags, and its name."""
    run = instance.get_run_by_id(parent)
    assert run is not None
    return add_run(instance, {**run.tags, "dagster/parent_run_id": parent, **tags}, status)


def status_of(instance: dg.DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_run_of_a_killed_command_is_closed_at_the_next_start(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        clip = make_clip(tmp_path / "clip.mp4", frames=40)
        processes.start("run", str(clip))
        eventually(lambda: list(processes.storage.glob("videos/*/current.json")))
        kill(processes.alive())
        assert [run.status for run in processes.runs()] == [DagsterRunStatus.STARTED]

        told = processes.call("run", str(clip))

        assert told.status == 0, told.stderr
        assert [run.status for run in processes.runs()] == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]


def test_run_of_a_living_command_is_left_alone(home: Home, instance: dg.DagsterInstance) -> None:
    run_id = make_new_run_id()
    with own_run(home, run_id) as tags:
        create_run_for_test(instance, run_id=run_id, status=STARTED, tags=tags)
        close_dead_runs(instance, home)
    assert status_of(instance, run_id) == STARTED


def test_repetition_of_a_commands_run_belongs_to_its_server(
    home: Home, instance: dg.DagsterInstance, living: Mapping[str, str]
) -> None:
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("slowmo_pipeline"), "__repository__")
    with own_run(home, make_new_run_id()) as tags:
        create_run_for_test(
            instance,
            status=STARTED,
            tags={**tags, **living},
            remote_job_origin=RemoteJobOrigin(location, "slow_motion"),
        )
    close_dead_runs(instance, home)


@pytest.mark.parametrize("status", [STARTING, STARTED, CANCELING])
def test_run_whose_own_server_was_killed_is_closed(
    status: DagsterRunStatus, home: Home, instance: dg.DagsterInstance, gone: Mapping[str, str]
) -> None:
    run_id = add_run(instance, gone, status)
    close_dead_runs(instance, home)
    assert status_of(instance, run_id) == FAILURE


def test_run_whose_server_listens_is_left_alone_however_long_it_takes_to_answer(
    home: Home, instance: dg.DagsterInstance, living: Mapping[str, str]
) -> None:
    run_id = add_run(instance, living, STARTED)
    close_dead_runs(instance, home)
    assert status_of(instance, run_id) == STARTED


@pytest.mark.parametrize("status", [NOT_STARTED, STARTING, CANCELING])
def test_repeated_run_that_was_not_launched_yet_is_left_to_the_daemon(
    status: DagsterRunStatus, home: Home, instance: dg.DagsterInstance, gone: Mapping[str, str]
) -> None:
    run_id = repeat(instance, add_run(instance, gone, FAILURE), status)
    close_dead_runs(instance, home)
    assert status_of(instance, run_id) == status


def test_run_that_was_not_launched_yet_is_left_to_the_daemon_whatever_its_tags_say(
    home: Home, instance: dg.DagsterInstance, gone: Mapping[str, str]
) -> None:
    run_id = add_run(instance, gone, NOT_STARTED)
    close_dead_runs(instance, home)
    assert status_of(instance, run_id) == NOT_STARTED


def test_repeated_run_that_began_on_its_parents_server_is_closed_with_it(
    home: Home, instance: dg.DagsterInstance, gone: Mapping[str, str]
) -> None:
    run_id = repeat(instance, add_run(instance, gone, FAILURE), STARTING)
    began = DagsterEvent(DagsterEventType.RUN_START.value, job_name="job")
    instance.report_dagster_event(began, run_id)
    close_dead_runs(instance, home)
    assert status_of(instance, run_id) == FAILURE


def test_repeated_run_whose_own_server_was_killed_is_closed(
    home: Home, instance: dg.DagsterInstance, gone: Mapping[str, str]
) -> None:
    parent = add_run(instance, launched_on({"host": "localhost", "socket": str(home.root / "long-gone")}), FAILURE)
    run_id = repeat(instance, parent, STARTING, **gone)
    close_dead_runs(instance, home)
    assert status_of(instance, run_id) == FAILURE


def test_run_that_nobody_ever_launches_is_failed_by_dagster_itself(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = add_run(instance, {}, NOT_STARTED)
    record = instance.get_run_record_by_id(run_id)
    assert record is not None
    later = record.create_timestamp.timestamp() + instance.run_monitoring_start_timeout_seconds + 1
    monkeypatch.setattr(run_monitoring, "get_current_timestamp", lambda: later)
    assert instance.run_monitoring_enabled
    run_monitoring.monitor_starting_run(instance, record, dg.get_dagster_logger())
    assert status_of(instance, run_id) == FAILURE


def test_a_command_does_not_wait_for_a_run_that_was_killed(
    instance: dg.DagsterInstance, home: Home, gone: Mapping[str, str]
) -> None:
    told: list[str] = []
    run = add_run(instance, {**gone, "dagster/partition": "clip-1"}, STARTED)
    wait_for_other_runs(instance, home, "clip-1", Notes(told.append))

    assert status_of(instance, run) == FAILURE
    assert told == [f"Waiting for the run {run} of this video to end."]
