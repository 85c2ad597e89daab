"""What the guard lets pass and what it refuses, asked with ASGI scopes; behind it stands what tells all it got."""

import asyncio
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.machine.guard import Guard, loopback, parse_host

OWN = {"Host": "127.0.0.1:3000"}
JSON = {"Content-Type": "application/json"}
PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
HEADERS = string.ascii_letters + string.digits + "-._:[]@/ ,"


@dataclass
class Behind:
    """The application behind a guard, and what it was asked."""

    hosts: Sequence[str] = loopback(3000)
    scopes: list[Mapping[str, Any]] = field(default_factory=list)
    answers: list[Mapping[str, Any]] = field(default_factory=list)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def ask(
        self, *headers: Mapping[str, str], method: str = "GET", path: str = "/", query: str = "", kind: str = "http"
    ) -> int:
        """The status of the answer; a header may stand in several mappings."""

        async def receive() -> Any:
            raise AssertionError("nothing is read of what is refused")

        async def send(message: Any) -> None:
            self.answers.append(message)

        lines = [(name.lower().encode(), value.encode()) for each in headers for name, value in each.items()]
        scope: dict[str, Any] = {"type": kind, "path": path, "query_string": query.encode(), "headers": lines}
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        scope |= {"method": method} if kind == "http" else {"extensions": extensions}
        asyncio.run(Guard(self.app, self.hosts)(scope, receive, send))
        return int(self.answers[0]["status"])


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "LocalHost:3000"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_this_machine_is_served(host: str, kind: str) -> None:
    assert Behind().ask({"Host": host}, kind=kind) == 200


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["evil.example:3000"],
        ["127.0.0.1"],
        ["127.0.0.1:3001"],
        ["localhost.:3000"],
        ["127.0.0.1:3000.evil.example"],
        ["evil.example@127.0.0.1:3000"],
        ["127.0.0.1:3000", "127.0.0.1:3000"],
        ["127.0.0.1:3000", "evil.example"],
        [""],
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_another_host_is_refused(hosts: list[str], kind: str) -> None:
    behind = Behind()
    assert behind.ask(*({"Host": host} for host in hosts), kind=kind) == 400
    assert not behind.scopes


@given(st.text(HEADERS))
def test_no_host_passes_but_those_served(host: str) -> None:
    assert (Behind().ask({"Host": host}) == 200) == (host.lower() in loopback(3000))


def test_the_host_that_a_proxy_says_was_asked_for_counts_for_nothing() -> None:
    forwarded = {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1:3000", "Forwarded": "host=127.0.0.1:3000"}
    assert Behind().ask(forwarded) == 400


@pytest.mark.parametrize("origin", ["http://127.0.0.1:3000", "http://localhost:3000", "https://localhost:3000"])
@pytest.mark.parametrize("asked", [{"method": "GET"}, {"method": "POST"}, {"kind": "websocket"}])
def test_pages_of_the_ui_pass(origin: str, asked: Any) -> None:
    assert Behind().ask(OWN, JSON, {"Origin": origin}, **asked) == 200


@pytest.mark.parametrize(
    "origins",
    [
        ["http://evil.example"],
        ["null"],
        [""],
        ["http://127.0.0.1:3001"],
        ["http://localhost"],
        ["http://localhost:3000.evil.example"],
        ["file://"],
        ["chrome-extension://abcdefghijklmnop"],
        ["http://127.0.0.1:3000", "http://evil.example"],
    ],
)
@pytest.mark.parametrize(
    "asked", [{"method": "GET"}, {"method": "HEAD"}, {"method": "POST"}, {"method": "OPTIONS"}, {"kind": "websocket"}]
)
def test_pages_of_others_are_refused_whatever_they_ask(origins: list[str], asked: Any) -> None:
    behind = Behind()
    assert behind.ask(OWN, JSON, *({"Origin": origin} for origin in origins), **asked) == 403
    assert not behind.scopes


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        ["text/plain"],
        ["application/x-www-form-urlencoded"],
        ["multipart/form-data; boundary=application/json"],
        ["text/plain; application/json"],
        ["application/json, text/plain"],
        ["application/graphql"],
        ["application/json", "text/plain"],
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/endpoint", "/whatever/is/next"])
def test_a_post_that_is_no_json_is_refused(kinds: list[str], path: str) -> None:
    behind = Behind()
    own_page = {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-origin"}
    assert behind.ask(OWN, own_page, *({"Content-Type": kind} for kind in kinds), method="POST", path=path) == 415
    assert not behind.scopes


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_of_a_program_without_pages_passes(kind: str) -> None:
    assert Behind().ask(OWN, {"Content-Type": kind}, method="POST", path="/graphql") == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"])
def test_other_methods_are_refused(method: str) -> None:
    assert Behind().ask(OWN, JSON, method=method) == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_post_for_which_the_browser_names_another_page_is_refused(site: str) -> None:
    assert Behind().ask(OWN, JSON, {"Sec-Fetch-Site": site}, method="POST") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("use", [{}, {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}])
def test_what_pages_of_others_embed_is_refused(site: str, use: dict[str, str]) -> None:
    assert Behind().ask(OWN, {"Sec-Fetch-Site": site}, use) == 403


def test_a_link_from_elsewhere_leads_to_the_ui() -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert Behind().ask(OWN, PAGE, link, path="/runs/1") == 200


@pytest.mark.parametrize("path", ["/graphql", "/graphql\n", "//graphql"])
@pytest.mark.parametrize(
    "query", ["query={version}", "a=b&query=mutation+{x}", "%71uery=x", "query=x&query=y", "query"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_graphql_is_taken_from_an_address(path: str, query: str, method: str) -> None:
    behind = Behind()
    assert behind.ask(OWN, {"Accept": "*/*"}, path=path, query=query, method=method) == 405
    assert not behind.scopes


@pytest.mark.parametrize("query", ["query={version}&variables={}", "%71uery=x&variables={}&query=y"])
def test_the_page_for_trying_graphql_opens_and_runs_nothing(query: str) -> None:
    behind = Behind()
    assert behind.ask(OWN, PAGE, path="/graphql", query=query) == 200
    assert [scope["query_string"] for scope in behind.scopes] == [b"variables=%7B%7D"]


def test_no_page_of_others_shows_the_ui_in_a_frame() -> None:
    behind = Behind()
    behind.ask(OWN)
    headers = dict(behind.answers[0]["headers"])
    assert headers == {b"x-frame-options": b"SAMEORIGIN", b"content-security-policy": b"frame-ancestors 'self'"}


@pytest.mark.parametrize("origin", ["http://ui.example", "https://ui.example"])
@pytest.mark.parametrize("host", ["ui.example", "127.0.0.1:3000"])
def test_a_proxy_that_is_allowed_passes_whether_it_hands_on_the_host_or_not(origin: str, host: str) -> None:
    behind = Behind([*loopback(3000), "ui.example"])
    assert behind.ask({"Host": host}, JSON, {"Origin": origin}, method="POST") == 200


@pytest.mark.parametrize(("host", "status"), [("localhost:8000", 200), ("localhost:8001", 400), ("localhost", 400)])
def test_an_allowed_host_is_one_port(host: str, status: int) -> None:
    assert Behind([*loopback(3000), "localhost:8000"]).ask({"Host": host}) == status


@pytest.mark.parametrize(("port", "own", "foreign"), [(80, "http", "https"), (443, "https", "http")])
def test_browsers_leave_out_the_port_that_goes_without_saying(port: int, own: str, foreign: str) -> None:
    asked = {"Host": "localhost", **JSON}
    assert Behind(loopback(port)).ask(asked, {"Origin": f"{own}://localhost"}, method="POST") == 200
    assert Behind(loopback(port)).ask(asked, {"Origin": f"{foreign}://localhost"}, method="POST") == 403


def test_a_refusal_says_what_would_be_served_and_how_to_allow_more() -> None:
    behind = Behind()
    behind.ask({"Host": "gateway:8080"})
    told = b"".join(answer.get("body", b"") for answer in behind.answers).decode()
    assert "gateway:8080" in told
    assert "127.0.0.1:3000" in told
    assert "--allow-host" in told


@pytest.mark.parametrize("host", ["UI.example.com", "localhost:8000", "[::1]:8000", "10.0.0.7"])
def test_hosts_are_taken_as_browsers_show_them(host: str) -> None:
    assert parse_host(host) == host.lower()


@pytest.mark.parametrize(
    "host", ["http://ui.example.com", "ui.example.com/", "*", "", "a b", "ui:port", "bücher.example"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="is no host"):
        parse_host(host)
