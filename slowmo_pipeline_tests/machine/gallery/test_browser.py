"""The gallery in a real browser: what a report's scripts reach, and videos that play.

`make test-browser` runs it, with Debian's Chromium.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.gallery import Gallery, made, serving
from slowmo_pipeline_tests.support.videos import clip

pytestmark = pytest.mark.browser

REPORT = b"""<!doctype html><title>report</title><style>p { color: rgb(1, 2, 3) }</style><p>text</p><script>
const reach = address => fetch(address).then(() => "reached", () => "refused");
const stored = () => { try { return localStorage.length } catch (error) { return "refused" } };
window.found = (async () => [self.origin, await reach("/"), await reach("OTHER"), stored()])()
</script>"""

SOUGHT = """new Promise(done => {
  const film = document.querySelector("video");
  film.pause();
  film.onseeked = () => done([film.currentTime, film.error]);
  film.currentTime = 1.5;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "The test needs Chromium: `apt-get install chromium`."
    with sync_playwright() as playwright:
        quiet = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
        yield playwright.chromium.launch(executable_path=chromium, args=[*quiet])


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=request.param) as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with serving(open_storage(str(tmp_path_factory.mktemp("gallery")))) as gallery:
        yield gallery


def test_a_report_runs_and_reaches_nothing(gallery: Gallery, page: Page, tmp_path: Path) -> None:
    with serving(open_storage(str(tmp_path))) as other:
        report = REPORT.replace(b"OTHER", f"http://127.0.0.1:{other.port}/".encode())
        video_id = made(gallery.storage, "clip.mp4", report=report)
        page.goto(f"http://127.0.0.1:{gallery.port}/final/{video_id}.html")
        assert page.evaluate("window.found") == ["null", "refused", "refused", "refused"]
    assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"


def test_a_click_on_a_poster_plays_the_video_and_it_can_be_sought_in(gallery: Gallery, page: Page) -> None:
    video_id = made(gallery.storage, "film.mp4")
    gallery.storage.write(VideoKeys(video_id).final(".mp4"), clip(48))
    page.goto(f"http://127.0.0.1:{gallery.port}/?text=film")
    page.click(".poster a")
    page.wait_for_selector("video")
    assert page.evaluate(SOUGHT) == [1.5, None]


def test_a_report_leads_to_its_video(gallery: Gallery, page: Page) -> None:
    """As it does from a folder: by the name of the file beside it."""
    video_id = made(gallery.storage, "linked.mp4")
    gallery.storage.write(VideoKeys(video_id).final(".mp4"), clip(48))
    gallery.storage.write(VideoKeys(video_id).finals[1], f'<a href="{video_id}.mp4">result</a>'.encode())
    page.goto(f"http://127.0.0.1:{gallery.port}/?text=linked")
    page.click("text=Report")
    page.click("text=result")
    page.wait_for_selector("video")
    assert page.evaluate(SOUGHT) == [1.5, None]


def test_the_page_needs_nothing_that_its_policy_forbids_and_fits_a_telephone(gallery: Gallery, page: Page) -> None:
    made(gallery.storage, "a very long name " * 8 + "x" * 80 + ".mp4", notes=("word" * 60,))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"http://127.0.0.1:{gallery.port}/", wait_until="networkidle")
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.querySelectorAll('svg.plot text').length") > 10
