"""What stands before Dagster's web server: a web page of somebody else's drives it no more than it may read it.

Dagster takes GraphQL mutations by GET and as plain text, which every page may send to any address, and looks at neither
Host nor Origin, which tell whose page asks. Here only these pass:

- what asks for a host that is served: a page that has its own name resolve to 127.0.0.1 asks for that name;
- what comes from a page of that UI, or from no page: browsers name the page, other programs name none;
- what changes something only by POST with JSON, which no page sends to a foreign address without being allowed to.
"""

import logging
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slowmo_pipeline.errors import SettingsError

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
_ADVICE = "For a tunnel or a proxy of yours, start `slowmo up` with {option} and the host that the browser shows."

logger = logging.getLogger(__name__)


def parse_host(text: str) -> str:
    """A host as browsers name it: NAME or NAME:PORT, in lower case. Raises SettingsError for anything else."""
    host = text.strip().lower()
    if not _HOST.fullmatch(host):
        raise SettingsError(
            f"{text!r} is no host. Give it as the browser's address bar shows it, without http:// and without a path: "
            "ui.example.com, or localhost:8000."
        )
    return host


def loopback(port: int) -> tuple[str, ...]:
    """The names of a server on this machine."""
    return tuple(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


class Guard:
    """An ASGI application that refuses what is not for the one behind it.

    `hosts` are what browsers may ask for, as `parse_host` gives them; a page of any of them counts as the UI's own.
    `option` is that of `slowmo up` which adds to them.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, option: str = "--allow-host") -> None:
        self._app = app
        self._advice = _ADVICE.format(option=option)
        self._served = ", ".join(hosts)
        self._origins = {origin for host in hosts for origin in _origins(host)}
        self._hosts = {*hosts, *(origin.partition("://")[2] for origin in self._origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or one WebSocket's handshake."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif refusal := self._refusal(scope):
            status, reason = refusal
            logger.warning("Refused %s %r: %s", scope.get("method", "WebSocket"), scope["path"], reason)
            await PlainTextResponse(f"{reason}\n", status, {"X-Content-Type-Options": "nosniff"})(scope, receive, send)
        else:
            await self._app(_without_query(scope), receive, _unframed(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, or None for what may pass."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            asked = " and ".join(hosts) or "no host"
            return 400, f"The request is for {asked}; this server is {self._served}. {self._advice}"
        if foreign := [origin for origin in origins if origin.lower() not in self._origins]:
            return 403, f"The request comes from a page of {foreign[0]}; this server is {self._served}. {self._advice}"
        if scope["type"] == "websocket":
            return None
        if scope["method"] in ("GET", "HEAD"):
            return _refused_reading(scope, headers)
        return _refused_change(scope["method"], headers)


def _refused_reading(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    to_the_top = headers.getlist("sec-fetch-mode") == ["navigate"] and headers.getlist("sec-fetch-dest") == ["document"]
    if not to_the_top and not set(headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}:
        return 403, "Pages of other sites may link to this server, but not embed what it has."
    if "query" in QueryParams(scope["query_string"]) and not _is_page(headers):
        return 405, "GraphQL is taken by POST, as JSON."
    return None


def _refused_change(method: str, headers: Headers) -> tuple[int, str] | None:
    if method != "POST":
        return 405, f"{method} is not taken: what changes something is a POST with JSON."
    kinds = [kind.partition(";")[0].strip().lower() for kind in headers.getlist("content-type")]
    if kinds != ["application/json"]:
        return 415, (
            f"A POST of {' and '.join(kinds) or 'no kind'} is not taken: send JSON with the header "
            "Content-Type: application/json, an empty object {} if there is nothing to say."
        )
    if not set(headers.getlist("sec-fetch-site")) <= {"same-origin"}:
        return 403, "Pages of other sites change nothing here."
    return None


def _origins(host: str) -> tuple[str, str]:
    """Of pages at a host: a browser leaves out the port that goes without saying."""
    return f"http://{host.removesuffix(':80')}", f"https://{host.removesuffix(':443')}"


def _is_page(headers: Headers) -> bool:
    """Whether a browser goes there: it gets Dagster's page, whatever stands behind the question mark."""
    return "text/html" in headers.get("accept", "")


def _without_query(scope: Scope) -> Scope:
    """The same request without GraphQL in its address: of a GET none reaches Dagster, however it reads the headers."""
    parameters = QueryParams(scope["query_string"])
    if "query" not in parameters:
        return scope
    kept = [(name, value) for name, value in parameters.multi_items() if name != "query"]
    return {**scope, "query_string": str(QueryParams(kept)).encode()}


def _unframed(send: Send) -> Send:
    """Answers that pages of others cannot show in a frame, to have their visitors click on what they do not see."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("X-Frame-Options", "SAMEORIGIN")
            # Beside Dagster's own policy: both hold.
            headers.append("Content-Security-Policy", "frame-ancestors 'self'")
        await send(message)

    return sent
