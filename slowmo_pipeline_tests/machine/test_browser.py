"""A real browser before a real `slowmo up`: pages of others get nowhere, and the UI works.

`make test-browser` runs it, with Debian's Chromium.
"""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from dagster import DagsterRunStatus
from playwright.sync_api import Browser, Page, expect, sync_playwright

from slowmo_pipeline.storage.keys import video_id_of
from slowmo_pipeline_tests.support.hostile import left
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.places import DATA
from slowmo_pipeline_tests.support.processes import Processes, drop, free_port, make_clip

pytestmark = pytest.mark.browser

ATTACK = DATA / "attack.html"
REBOUND = "rebound.example"
"""A name of the attacker's that has come to mean 127.0.0.1."""
CLIPS = {"square.mp4": 2, "other.mp4": 3}
"""What is uploaded, and the pixels that it moves by a frame: a backfill is one of two videos at least."""
PATIENCE_MILLISECONDS = 600_000
"""For what a page shows. A busy machine may take its time."""


@dataclass(frozen=True)
class RunningUi:
    """The running `slowmo up`, with finished videos."""

    processes: Processes
    port: int

    @property
    def job(self) -> str:
        """The address of the job that makes a video."""
        return f"http://127.0.0.1:{self.port}/locations/slowmo_pipeline/jobs/slow_motion"

    def left(self) -> set[str]:
        return left(self.processes.home.dagster)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUi]:
    folder, port = tmp_path_factory.mktemp("up"), free_port()
    with Processes(folder) as processes:
        processes.up(port)
        for name, speed in CLIPS.items():
            drop(make_clip(folder / name, speed=speed), processes.uploads / name)
        eventually(lambda: len(processes.finals()) == len(CLIPS))
        eventually(lambda: all(run.is_finished for run in processes.runs()))
        yield RunningUi(processes, port)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of another server on this machine, whose pages are another origin: it has the attack."""
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(ATTACK.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/{ATTACK.name}"
        server.shutdown()


def attack(up: RunningUi, page: Page, address: str) -> dict[str, str]:
    """Open the page; what it came to know. The report tells that beside what each way did."""
    page.goto(address)
    log: dict[str, str] = page.evaluate("attack()")
    frame = page.frame("clickjack")
    assert frame is not None
    log["frame"] = frame.title()
    done = up.left()
    print(f"\n{address}")
    for name, told in log.items():
        print(f"  {name:40} {'OBEYED' if name in done else 'nothing changed':16} {told}")
    return log


def test_a_page_of_another_origin_reads_and_changes_nothing(up: RunningUi, page: Page, elsewhere: str) -> None:
    before = up.left()
    log = attack(up, page, f"{elsewhere}#127.0.0.1:{up.port}")
    assert up.left() == before
    assert log["read"] == log["json"] == "TypeError: Failed to fetch"
    assert log["websocket"] == "refused"
    assert log["frame"] == ""


def test_a_page_whose_name_was_bound_to_this_machine_reads_and_changes_nothing(up: RunningUi, page: Page) -> None:
    """It is of one origin with what it asks, in the eyes of the browser."""
    before, address = up.left(), f"http://{REBOUND}:{up.port}/attack"
    page.route(address, lambda route: route.fulfill(path=ATTACK))
    log = attack(up, page, f"{address}#{REBOUND}:{up.port}")
    assert up.left() == before
    assert log["read"].startswith("400 ")
    assert log["json"].startswith("400 ")
    assert log["websocket"] == "refused"
    assert log["frame"] == ""


def test_a_link_on_another_page_leads_to_the_ui(up: RunningUi, page: Page, elsewhere: str) -> None:
    page.goto(elsewhere)
    page.evaluate("address => location.assign(address)", up.job)
    expect(page.get_by_role("button", name="Launch Run").or_(page.get_by_text("View 4 assets")).first).to_be_visible()


def test_the_launchpad_launches_a_run_which_is_followed_live(up: RunningUi, page: Page) -> None:
    heard: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    page.goto(f"{up.job}/playground")
    page.get_by_placeholder("Partition").fill("square")
    page.get_by_text(video_id_of("uploads/square.mp4"), exact=True).click()
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("RUN_SUCCESS")).to_be_visible()
    [run] = [run for run in up.processes.runs() if run.run_id in page.url]
    assert run.status == DagsterRunStatus.SUCCESS
    assert any(run.run_id in frame and "RunSuccessEvent" in frame for frame in heard)


def test_a_backfill_is_launched_and_seen_to_finish(up: RunningUi, page: Page) -> None:
    page.goto(f"{up.job}/partitions")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("View", exact=True).click()
    expect(page.get_by_text("100% completed")).to_be_visible()
    # The backfill's state, and a column of the table.
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(2)
