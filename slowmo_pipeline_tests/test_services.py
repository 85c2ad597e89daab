"""`slowmo up` on its own terms; what it does with videos is in test_end_to_end and test_kills."""

import io
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from dagster import DagsterRunStatus
from rich.console import Console

from slowmo_pipeline import services
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.home import locked
from slowmo_pipeline_tests.local_server import REPOSITORY, eventually
from slowmo_pipeline_tests.processes import Processes, drop, free_port, make_clip

SLOW = """
import http.server, sys

class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data": {"startSensor": {"__typename": "Sensor"}}}')

sys.stdin.readline()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""
"""A Dagster that serves once it is told to."""


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


def test_it_waits_for_dagster_as_long_as_that_lives_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock on which ten minutes pass from one look to the next."""
    said, minutes, port = io.StringIO(), itertools.count(step=10), free_port()
    monkeypatch.setattr(services, "stderr", Console(file=said, soft_wrap=True))
    clock = SimpleNamespace(monotonic=lambda: next(minutes) * 60.0, sleep=time.sleep)
    monkeypatch.setattr(services, "time", clock)
    with subprocess.Popen([sys.executable, "-c", SLOW, str(port)], stdin=subprocess.PIPE) as dagster:
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(services._wait_until_served, port, dagster, tmp_path / "dagster.log")
            eventually(lambda: f"its log: {tmp_path}/dagster.log" in said.getvalue())
            assert dagster.stdin is not None
            dagster.stdin.write(b"\n")
            dagster.stdin.flush()
            waiting.result(timeout=60)
        dagster.kill()


def test_dagster_that_ends_before_it_serves_is_told(tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as dagster,
        pytest.raises(HomeError, match="ended with status 3 before it served"),
    ):
        services._wait_until_served(free_port(), dagster, tmp_path / "dagster.log")


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
