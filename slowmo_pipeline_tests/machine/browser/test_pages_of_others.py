"""A real browser before a real `slowmo up`: pages of others get nowhere. `make test-browser` runs it."""

import functools
import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from slowmo_pipeline_tests.machine.browser.conftest import REBOUND, RunningUi
from slowmo_pipeline_tests.support.places import DATA

pytestmark = pytest.mark.browser

ATTACK = DATA / "attack.html"


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
    page.evaluate("address => location.assign(address)", up.job())
    expect(page.get_by_role("button", name="Launch Run").or_(page.get_by_text("View 4 assets")).first).to_be_visible()
