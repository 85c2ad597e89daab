"""One `slowmo up` with finished videos for all tests in a browser, and the browser: Debian's Chromium."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from slowmo_pipeline.storage.keys import VideoKeys, video_id_of
from slowmo_pipeline_tests.support.hostile import left
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.processes import Command, Processes, drop, free_port, make_clip

REBOUND = "rebound.example"
"""A name of an attacker's that has come to mean 127.0.0.1."""
CLIPS = {"square.mp4": 2, "other.mp4": 3}
"""What is uploaded, and the pixels that it moves by a frame: a backfill is one of two videos at least."""
SQUARE = video_id_of("uploads/square.mp4")
FRAMES = 8
"""Of each clip; the results have four times as many."""
PATIENCE_MILLISECONDS = 600_000
"""For what a page shows. A busy machine may take its time."""


@dataclass(frozen=True)
class RunningUi:
    """The running `slowmo up`, with finished videos."""

    processes: Processes
    command: Command
    port: int

    @property
    def address(self) -> str:
        """Of Dagster's UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def gallery(self) -> str:
        """The address of the gallery, as the command told it."""
        [address] = re.findall(r"^Gallery +(http\S+)", self.command.stderr, re.MULTILINE)
        return str(address)

    def job(self, name: str = "slow_motion") -> str:
        """The address of a job."""
        return f"{self.address}/locations/slowmo_pipeline/jobs/{name}"

    def final(self, suffix: str) -> Path:
        """A file of the finished video SQUARE."""
        return self.processes.storage / VideoKeys(SQUARE).final(suffix)

    def left(self) -> set[str]:
        """What an attack has left."""
        return left(self.processes.home.dagster)


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUi]:
    folder, port = tmp_path_factory.mktemp("up"), free_port()
    with Processes(folder) as processes:
        command = processes.up(port)
        for name, speed in CLIPS.items():
            drop(make_clip(folder / name, frames=FRAMES, speed=speed), processes.uploads / name)
        eventually(lambda: len(processes.finals()) == len(CLIPS))
        eventually(lambda: all(run.is_finished for run in processes.runs()))
        yield RunningUi(processes, command, port)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "The test needs Chromium: `apt-get install chromium`."
    with sync_playwright() as playwright:
        # A root's Chromium has no sandbox. Its own look-ups of Google's hosts are none of the test's.
        quiet = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
        rebound = (
            f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
            # Chromium's own guard against names that were bound anew, which other browsers do not have.
            "--disable-features=LocalNetworkAccessChecks",
        )
        yield playwright.chromium.launch(executable_path=chromium, args=[*quiet, *rebound])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1500, "height": 1000}) as context:
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        yield context.new_page()
