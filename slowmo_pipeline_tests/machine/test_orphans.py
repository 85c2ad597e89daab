"""The end of what `slowmo up` started. Every process is a real one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from slowmo_pipeline.machine.orphans import MARK, end_leftovers
from slowmo_pipeline_tests.support.local_server import eventually

SLEEP = [sys.executable, "-c", "import time; time.sleep(3600)"]

OWNER = f"""
import os, subprocess, sys, threading, time
from pathlib import Path
from slowmo_pipeline.machine.orphans import MARK, guarded

with guarded(Path(sys.argv[1])) as folder:
    child = subprocess.Popen({SLEEP!r}, env={{**os.environ, MARK: sys.argv[1]}}, start_new_session=True)
    threading.Thread(target=child.wait, daemon=True).start()
    folder.joinpath("socket").touch()
    print(child.pid, folder, flush=True)
    if sys.argv[2] == "stay":
        time.sleep(3600)
"""


@pytest.fixture
def marked(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SLEEP, env={**os.environ, MARK: str(tmp_path)}) as process:
        yield process
        process.kill()


def owner(root: Path, what: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", OWNER, str(root), what], stdout=subprocess.PIPE, text=True)


def child_of(process: "subprocess.Popen[str]") -> tuple[psutil.Process, Path]:
    """The marked process, and the folder of its files."""
    assert process.stdout is not None
    pid, folder = process.stdout.readline().split()
    return psutil.Process(int(pid)), Path(folder)


def test_marked_processes_are_killed(marked: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    end_leftovers(tmp_path)
    assert marked.poll() is not None


def test_processes_of_another_home_are_left_alone(marked: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    end_leftovers(tmp_path / "other")
    assert marked.poll() is None


def test_marked_processes_end_with_the_block_and_then_their_files(tmp_path: Path) -> None:
    with owner(tmp_path, "leave") as process:
        child, folder = child_of(process)
        assert process.wait() == 0
    assert not child.is_running()
    assert not folder.exists()


def test_marked_processes_and_their_files_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    with owner(tmp_path, "stay") as process:
        child, folder = child_of(process)
        assert folder.exists()
        process.kill()
    eventually(lambda: not folder.exists())
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
