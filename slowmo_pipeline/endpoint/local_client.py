"""What a local server says of itself: who it is, what it serves, and which requests it still holds."""

import http.client
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from slowmo_pipeline.endpoint.record import LocalServer
from slowmo_pipeline.endpoint.request_token import TOKEN_HEADER, read_token

REQUEST_ID_HEADER = "x-amzn-requestid"
"""In the answer to an accepted request, as AWS has it: the server's own id of the request."""
SERVER_ID_HEADER = "x-slowmo-server"
"""In the same answer: the id of the server's state folder."""

_ANSWER_SECONDS = 5


@dataclass(frozen=True)
class Held:
    """The requests of one local server that have not ended: they wait in its queue, or a worker is at them."""

    server: str
    """The id of its state folder."""
    requests: Mapping[str, str]
    """Request id to the key of its result."""
    trouble: str | None = None
    """What keeps it from going on, such as a full disk; it tries again by itself."""


def ping(url: str) -> dict[str, Any] | None:
    """What the server at that address says of itself, or None when none answers within five seconds."""
    return _asked(url, "/ping", None)


def held_at(url: str, below: str, *, state: Path | None) -> Held | None:
    """What the server at that address holds of requests for results below a prefix; None when none tells.

    `state` is its state folder, where its token lies.
    """
    answer = _asked(url, f"/requests?below={quote(below)}", read_token(state) if state else None)
    return Held(answer["server"], answer["requests"], answer["trouble"]) if answer else None


def held_by(server: LocalServer | None, here: Held, below: str) -> Held | None:
    """What a server holds that something was sent to, as far as can be told from here.

    `here` is what the server of this home holds below the prefix; `server` None stands for it. A server of another home
    on this machine is asked where it was: when it is not there any more, it holds nothing. None when that cannot be
    told: it was on another machine, or is another user's.
    """
    if server is None or server.id == here.server:
        return here
    if server.host != platform.node():
        return None
    there = held_at(server.url, below, state=Path(server.state) if server.state else None)
    if there is not None and there.server == server.id:
        return there
    answer = ping(server.url)
    return None if answer is not None and answer.get("server") == server.id else Held(server.id, {})


def _asked(url: str, path: str, token: str | None) -> dict[str, Any] | None:
    # Not urllib: it would send a loopback address to the proxy of the environment.
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={TOKEN_HEADER: token} if token else {})
        response = connection.getresponse()
        answer = json.loads(response.read())
        return answer if response.status == 200 and isinstance(answer, dict) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
