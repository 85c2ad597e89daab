"""SLOWMO_HOME: made once however many come at once, and cleared of runs whose process is gone."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from dagster._core.utils import make_new_run_id

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.home import close_dead_runs, locked, open_instance, own_run
from slowmo_pipeline_tests.local_server import environment, eventually
from slowmo_pipeline_tests.processes import Processes, kill, make_clip

OPEN = """
import sys
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.home import open_instance

with open_instance(current_home()) as instance:
    instance.add_dynamic_partitions("videos", [sys.argv[1]])
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as started:
        yield started


def add_run(instance: dg.DagsterInstance, tags: Mapping[str, str], status: DagsterRunStatus) -> str:
    run_id = make_new_run_id()
    create_run_for_test(instance, run_id=run_id, status=status, tags=tags)
    return run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_four_processes_make_one_home_at_once(home: Home) -> None:
    command = [sys.executable, "-c", OPEN]
    env = {**environment(), "SLOWMO_HOME": str(home.root)}
    names = ["a", "b", "c", "d"]
    started = [subprocess.Popen([*command, name], env=env) for name in names]
    assert [process.wait() for process in started] == [0, 0, 0, 0]
    with open_instance(home) as instance:
        assert sorted(instance.get_dynamic_partitions("videos")) == names


def test_four_clips_run_at_once_on_a_fresh_home(processes: Processes, tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", speed=speed) for speed, name in enumerate("abcd", start=1)]
    commands = [processes.start("run", str(clip)) for clip in clips]
    told = [command.told() for command in commands]
    assert [answer.status for answer in told] == [0, 0, 0, 0], told
    assert len(processes.finals()) == 4
    assert [run.status for run in processes.runs()] == [DagsterRunStatus.SUCCESS] * 4
    with open_instance(processes.home) as instance:
        assert len(instance.get_dynamic_partitions("videos")) == 4


def test_run_of_a_killed_command_is_closed_at_the_next_start(processes: Processes, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=40)
    processes.start("run", str(clip))
    eventually(lambda: list(processes.storage.glob("videos/*/current.json")))
    kill(processes.alive())
    assert [run.status for run in processes.runs()] == [DagsterRunStatus.STARTED]

    told = processes.call("run", str(clip))

    assert told.status == 0, told.stderr
    assert [run.status for run in processes.runs()] == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]


def test_run_of_a_living_command_is_left_alone(home: Home) -> None:
    run_id = make_new_run_id()
    with open_instance(home) as instance, own_run(home, run_id) as tags:
        create_run_for_test(instance, run_id=run_id, status=DagsterRunStatus.STARTED, tags=tags)
        assert close_dead_runs(instance, home) == 0
        assert status_of(instance, run_id) == DagsterRunStatus.STARTED


def test_run_of_a_server_that_is_gone_is_closed(home: Home) -> None:
    gone = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": str(home.root / "no-such-socket")})}
    with open_instance(home) as instance:
        run_id = add_run(instance, gone, DagsterRunStatus.STARTED)
        assert close_dead_runs(instance, home) == 1
        assert status_of(instance, run_id) == DagsterRunStatus.FAILURE


def test_run_that_nobody_was_asked_to_execute_is_left_to_the_daemon(home: Home) -> None:
    with open_instance(home) as instance:
        run_id = add_run(instance, {}, DagsterRunStatus.NOT_STARTED)
        assert close_dead_runs(instance, home) == 0
        assert status_of(instance, run_id) == DagsterRunStatus.NOT_STARTED


def test_settings_of_the_instance_that_were_edited_stay(home: Home) -> None:
    with open_instance(home):
        config = home.dagster / "dagster.yaml"
        edited = config.read_text().replace("max_concurrent_runs: 2", "max_concurrent_runs: 5")
        config.write_text(edited)
    with open_instance(home) as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 5


def test_lock_that_is_held_is_refused_with_the_message_given(home: Home) -> None:
    with locked(home, "up"), pytest.raises(HomeError, match="use that one"), locked(home, "up", busy="use that one"):
        pass


def test_home_that_cannot_be_made_is_refused(home: Home) -> None:
    home.root.write_text("a file")
    with pytest.raises(HomeError, match="Set SLOWMO_HOME to a folder"), open_instance(home):
        pass
