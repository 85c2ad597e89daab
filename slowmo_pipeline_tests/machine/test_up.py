"""`slowmo up` on its own terms; what it does with videos is in test_end_to_end and test_kills."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from slowmo_pipeline.machine.home import locked
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.places import REPOSITORY
from slowmo_pipeline_tests.support.processes import Processes, drop, free_port, make_clip


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as started:
        yield started


def test_workspace_loads_with_dagster_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(REPOSITORY / "workspace.yaml")]
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "SLOWMO_HOME": str(tmp_path / "home")}
    told = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert not (tmp_path / "home").exists()


def test_second_up_is_refused_and_told_what_to_do(processes: Processes) -> None:
    with locked(processes.home, "up"):
        told = processes.call("up")
    assert told.status == 1
    assert told.stderr == f"`slowmo up` already runs for {processes.home.root}: use that one, or end it first.\n"


def test_port_that_is_taken_ends_it_with_advice(processes: Processes) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = processes.call("up", "--port", str(taken.getsockname()[1]), "--workers", "1")
    assert told.status == 1
    assert "Address already in use. Choose another --port." in told.stderr


def test_gallery_port_that_is_taken_ends_it_with_advice_of_its_own(processes: Processes) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = processes.call("up", "--port", str(free_port()), "--gallery-port", str(taken.getsockname()[1]))
    assert told.status == 1
    assert "Address already in use. Choose another --gallery-port." in told.stderr


@pytest.mark.slow
def test_video_goes_on_at_the_next_start_after_sigterm_in_the_middle(processes: Processes, tmp_path: Path) -> None:
    command = processes.up()
    drop(make_clip(tmp_path / "long.mp4", frames=160, width=320, height=192), processes.uploads / "long.mp4")
    eventually(lambda: [run for run in processes.runs() if run.status == DagsterRunStatus.STARTED])
    command.process.send_signal(signal.SIGTERM)
    assert command.process.wait() == 0
    assert not processes.alive()

    processes.up()

    eventually(processes.finals)
    eventually(lambda: all(run.is_finished for run in processes.runs()))
