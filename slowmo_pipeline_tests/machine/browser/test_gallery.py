"""From Dagster's UI into the gallery of the same `slowmo up`, in a real browser. `make test-browser` runs it."""

import pytest
from playwright.sync_api import Page, expect

from slowmo_pipeline_tests.machine.browser.conftest import SQUARE, RunningUi
from slowmo_pipeline_tests.machine.browser.test_report import PLAYED

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("link", ["video", "report"])
def test_a_link_in_the_metadata_opens_what_plays(up: RunningUi, page: Page, link: str) -> None:
    page.goto(f"{up.address}/assets/final_video?view=partitions&partition={SQUARE}")
    row = page.get_by_role("row").filter(has=page.get_by_text(link, exact=True))
    with page.expect_popup() as opened:
        row.get_by_role("link").first.click()
    assert opened.value.url.startswith(f"{up.gallery}/final/{SQUARE}.")
    assert opened.value.locator("video").evaluate(PLAYED) is None


def test_the_gallery_shows_the_videos_and_plays_one(up: RunningUi, page: Page) -> None:
    page.goto(up.gallery)
    expect(page.locator(".poster a")).to_have_count(2)
    page.locator(f".poster a[href*='{SQUARE}']").click()
    assert page.locator("video").evaluate(PLAYED) is None
