"""How the processes of Dagster are waited for; that they start, serve and end is in the tests of `slowmo up`."""

import io
import itertools
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.machine import dagster_processes
from slowmo_pipeline.machine.dagster_processes import DagsterProcesses


@pytest.fixture
def processes(tmp_path: Path) -> DagsterProcesses:
    home = Home(tmp_path)
    home.dagster.mkdir()
    return DagsterProcesses(home, private=tmp_path, log=sys.__stderr__.fileno(), links_to="")  # type: ignore[union-attr]  # it is open


def test_they_are_waited_for_as_long_as_they_take_and_that_is_told(
    processes: DagsterProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock on which ten minutes pass from one look to the next."""
    said, minutes = io.StringIO(), itertools.count(step=10)
    monkeypatch.setattr(dagster_processes, "stderr", Console(file=said, soft_wrap=True))
    clock = SimpleNamespace(monotonic=lambda: next(minutes) * 60.0, sleep=time.sleep)
    monkeypatch.setattr(dagster_processes, "time", clock)
    processes.wait_until(lambda: f"its log: {tmp_path}/dagster.log" in said.getvalue())


def test_one_that_ends_before_it_serves_is_told(processes: DagsterProcesses) -> None:
    processes._start("daemon", sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(HomeError, match="The daemon ended with status 3 before it served"):
        processes.wait_until(lambda: False)
