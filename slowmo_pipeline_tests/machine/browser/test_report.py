"""A video's report in a real browser, from the folder it lies in. `make test-browser` runs it."""

import pytest
from playwright.sync_api import Browser, Page, expect

from slowmo_pipeline_tests.machine.browser.conftest import RunningUi

pytestmark = pytest.mark.browser

PLAYED = """async (video) => {
  const begin = video.currentTime;
  while (video.currentTime === begin) await new Promise(requestAnimationFrame);
  return video.error;
}"""
"""That its time goes on."""


@pytest.fixture
def report(up: RunningUi, page: Page) -> Page:
    """The opened report."""
    page.goto(up.final(".html").as_uri())
    return page


def test_its_preview_plays_and_nothing_is_asked_of_anybody(up: RunningUi, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(up.final(".html").as_uri())
    assert page.locator(".compare video").evaluate(PLAYED) is None
    assert [url for url in asked if not url.startswith("data:")] == [up.final(".html").as_uri()]


def test_its_divider_goes_where_it_is_put_and_shows_more_of_the_result(report: Page) -> None:
    report.get_by_role("button", name="Pause").click()
    picture = report.locator(".compare canvas")
    box = picture.bounding_box()
    assert box is not None
    shown = []
    for share in (0.75, 0.25):
        report.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        left = report.locator(".compare .line").evaluate("line => parseFloat(line.style.left)")
        assert left == pytest.approx(100 * share, abs=1)
        shown.append(picture.evaluate("canvas => canvas.toDataURL()"))
    assert shown[0] != shown[1]


def test_it_shows_both_pictures_side_by_side_and_back(report: Page) -> None:
    video, divided = report.locator(".compare video"), report.locator(".compare canvas")
    report.get_by_role("button", name="Side by side").click()
    expect(divided).to_be_hidden()
    box = video.bounding_box()
    assert box is not None
    assert box["width"] > box["height"] > 100
    report.get_by_role("button", name="One over the other").click()
    expect(divided).to_be_visible()


def test_it_fits_a_telephone(up: RunningUi, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(up.final(".html").as_uri())
        expect(page.get_by_role("button", name="Side by side")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_its_link_leads_to_the_video_which_plays(report: Page) -> None:
    report.get_by_role("link", name=".mp4").first.click()
    assert report.locator("video").evaluate(PLAYED) is None
