"""SLOWMO_HOME: made once however many come at once, where it can be made."""

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from dagster._core.storage.event_log import SqlEventLogStorage

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.machine.home import locked, open_instance
from slowmo_pipeline_tests.support.forked import Forked
from slowmo_pipeline_tests.support.processes import SLOWMO, Processes, make_clip

OPEN = """
import sys
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.machine.home import open_instance

with open_instance(current_home()) as instance:
    instance.add_dynamic_partitions("videos", [sys.argv[1]])
"""

KILLED = f"""
import os, signal, sys
from pathlib import Path

home, name = Path(os.environ["SLOWMO_HOME"]), sys.argv[2]

def kill(event, arguments):
    begun = event == "sqlite3.connect" and any(home.rglob(name))
    if begun or event == "os.rename" and Path(arguments[1]).name == name:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
{OPEN}
"""
"""Opens a home, and is killed when a database is a file but not filled yet, or when a part is about to be moved."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as started:
        yield started


def test_four_processes_make_one_home_at_once(home: Home) -> None:
    env = {**os.environ, "SLOWMO_HOME": str(home.root)}
    names = ["a", "b", "c", "d"]
    started = [Forked(name, program=OPEN, env=env) for name in names]
    assert [process.end().returncode for process in started] == [0, 0, 0, 0]
    with open_instance(home) as instance:
        assert sorted(instance.get_dynamic_partitions("videos")) == names


def test_a_home_whose_making_was_killed_is_made_by_the_next(home: Home) -> None:
    env = {**os.environ, "SLOWMO_HOME": str(home.root)}
    for name in ("runs.db", "index.db", "schedules.db", "history", "schedules"):
        killed = Forked("a", name, program=KILLED, env=env).end()
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    opened = Forked("a", program=OPEN, env=env).end()
    assert (opened.returncode, opened.stderr) == (0, "")
    with open_instance(home) as instance:
        assert instance.get_dynamic_partitions("videos") == ["a"]
        assert isinstance(instance.event_log_storage, SqlEventLogStorage)
        assert instance.event_log_storage.has_secondary_index("asset_key_table")
    assert sorted(path.name for path in home.root.iterdir()) == ["dagster", "locks"]


@pytest.mark.parametrize("umask", [0o077, 0o002])
def test_whose_the_files_of_a_home_are_the_umask_says(home: Home, umask: int) -> None:
    opened = Forked("a", program=OPEN, env={**os.environ, "SLOWMO_HOME": str(home.root)}, umask=umask).end()
    assert opened.returncode == 0, opened.stderr
    # SQLite has a mode of its own for its files, never looser than the umask.
    files = [path for path in home.root.rglob("*") if path.is_file() and path.suffix != ".db"]
    assert {"dagster.yaml", "home.lock"} <= {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~umask}


def test_four_clips_run_at_once_on_a_fresh_home(processes: Processes, tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", speed=speed) for speed, name in enumerate("abcd", start=1)]
    commands = [processes.fork("run", str(clip)) for clip in clips]
    told = [command.end() for command in commands]
    assert [answer.returncode for answer in told] == [0, 0, 0, 0], told
    assert len(processes.finals()) == 4
    assert [run.status for run in processes.runs()] == [DagsterRunStatus.SUCCESS] * 4
    with open_instance(processes.home) as instance:
        assert len(instance.get_dynamic_partitions("videos")) == 4


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


@pytest.mark.parametrize("name", ["who?", "100%25", "a%C3%BC"])
def test_home_that_dagster_cannot_address_is_refused_before_it_is_made(name: str, tmp_path: Path) -> None:
    command = [str(SLOWMO), "run", str(tmp_path / "clip.mp4")]
    env = {**os.environ, "SLOWMO_HOME": str(tmp_path / name)}
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.startswith(f"SLOWMO_HOME = {tmp_path / name} cannot be used")
    assert told.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["50%", "a #1; b", "影片 & ü", "%(x)s"])
def test_home_with_odd_characters_keeps_what_dagster_writes(name: str, tmp_path: Path) -> None:
    for number in range(2):
        with open_instance(Home(tmp_path / name)) as instance:
            instance.add_dynamic_partitions("videos", [str(number)])
    with open_instance(Home(tmp_path / name)) as instance:
        assert sorted(instance.get_dynamic_partitions("videos")) == ["0", "1"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
