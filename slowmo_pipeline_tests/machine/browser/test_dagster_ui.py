"""Dagster's UI in a real browser: what people see and do there. `make test-browser` runs it."""

import re
from collections.abc import Iterator

import pytest
from dagster import DagsterRunStatus
from playwright.sync_api import Locator, Page, TimeoutError, expect

from slowmo_pipeline.storage.keys import video_id_of
from slowmo_pipeline_tests.machine.browser.conftest import FRAMES, SQUARE, RunningUi
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.processes import drop

pytestmark = pytest.mark.browser

ANOTHER_TRY_MILLISECONDS = 3000
ASSETS = ("raw_video", "frame_chunks", "endpoint", "interpolated_chunks", "final_video")


def shown(page: Page, text: str) -> Locator:
    """Where the page shows just that text; its letters are measured elsewhere, unseen."""
    return page.get_by_text(text, exact=True).filter(visible=True).first


def launch(page: Page, job: str) -> None:
    """Launch a job for SQUARE in its launchpad, and follow the run to its end."""
    page.goto(f"{job}/playground")

    def is_chosen() -> bool:
        # A page that is not done yet loses what is typed, and offers nothing.
        page.get_by_placeholder("Partition").fill("")
        page.get_by_placeholder("Partition").fill("square")
        try:
            page.get_by_text(SQUARE, exact=True).click(timeout=ANOTHER_TRY_MILLISECONDS)
        except TimeoutError:
            return False
        return True

    eventually(is_chosen)
    # Before, the page would launch it without a partition.
    expect(page.get_by_text(f"partition: {SQUARE}")).to_be_visible()
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("RUN_SUCCESS")).to_be_visible()


def test_the_lineage_shows_each_asset_and_tells_what_it_is(up: RunningUi, page: Page) -> None:
    page.goto(f"{up.address}/asset-groups/")
    for name in ASSETS:
        expect(shown(page, name)).to_be_visible()
    shown(page, "final_video").click()
    expect(page.get_by_text("The slow-motion video, with its sound and a report.")).to_be_visible()


def test_a_partition_tells_its_numbers_and_where_its_files_are(up: RunningUi, page: Page) -> None:
    page.goto(f"{up.address}/assets/final_video?view=partitions&partition={SQUARE}")
    told = {}
    for name in ("path", "frames", "seconds", "encode_seconds"):
        row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
        told[name] = row.get_by_role("cell").nth(1).inner_text().strip()
    assert (told["path"], told["frames"]) == (str(up.final(".mp4")), str(4 * FRAMES))
    assert all(re.fullmatch(r"\d+(\.\d{1,3})?", told[name]) for name in ("seconds", "encode_seconds"))


def test_the_seconds_of_a_stage_are_a_plot(up: RunningUi, page: Page) -> None:
    page.goto(f"{up.address}/assets/final_video")
    page.get_by_role("button", name="Plots").click()
    plot = shown(page, "encode_seconds").locator("xpath=ancestor::*[.//canvas][1]//canvas")
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    assert plot.first.evaluate(drawn)


def test_the_launchpad_launches_a_run_which_is_followed_live(up: RunningUi, page: Page) -> None:
    heard: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    launch(page, up.job())
    [run] = [run for run in up.processes.runs() if run.run_id in page.url]
    assert run.status == DagsterRunStatus.SUCCESS
    assert any(run.run_id in frame and "RunSuccessEvent" in frame for frame in heard)


def test_the_checks_of_a_video_are_executed_and_their_page_says_so(up: RunningUi, page: Page) -> None:
    launch(page, up.job("check_video"))
    [run_id] = re.findall(r"/runs/([0-9a-f-]{36})", page.url)
    page.goto(f"{up.address}/assets/final_video?view=checks")
    shown(page, "originals_in_place").click()
    expect(shown(page, "Passed")).to_be_visible()
    expect(page.locator(f"a[href*='{run_id}']").first).to_be_visible()


@pytest.fixture
def failed(up: RunningUi) -> Iterator[str]:
    """The id of the run of an upload that was cut off. The video is deleted afterwards: backfills are of all videos."""
    broken = up.processes.home.root / "broken.mp4"
    broken.write_bytes(up.final(".mp4").read_bytes()[:1000])
    drop(broken, up.processes.uploads / broken.name)
    runs: list[str] = []

    def has_failed() -> bool:
        runs[:] = [run.run_id for run in up.processes.runs() if run.status == DagsterRunStatus.FAILURE]
        return bool(runs)

    eventually(has_failed)
    yield runs[0]
    assert up.processes.call("delete", video_id_of(f"uploads/{broken.name}"), "--yes").status == 0


def test_a_run_that_failed_leads_with_its_reason_and_what_to_do(up: RunningUi, page: Page, failed: str) -> None:
    page.goto(f"{up.address}/runs/{failed}")
    told = page.get_by_text("broken.mp4 is not a video that can be read").first
    expect(told).to_contain_text("Put a whole one in its place")


def test_a_backfill_is_launched_and_seen_to_finish(up: RunningUi, page: Page) -> None:
    page.goto(f"{up.job()}/partitions")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("View", exact=True).click()
    expect(page.get_by_text("100% completed")).to_be_visible()
    # The backfill's state, and a column of the table.
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(2)
