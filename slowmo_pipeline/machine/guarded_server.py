"""Serving an application on this machine, behind the guard: the UI's and the gallery's, each in its process."""

from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp

from slowmo_pipeline.machine.guard import Guard, loopback

_GRACE_SECONDS = 2
"""For answers under way at the end: a video, or a page that listens, may stay for long."""


def serve_guarded(app: ASGIApp, *, port: int, allowed_hosts: Iterable[str], option: str) -> None:
    """Serve on 127.0.0.1 until SIGTERM; `option` lets other hosts in, and is named to who is refused."""
    uvicorn.run(
        Guard(app, [*loopback(port), *allowed_hosts], option=option),
        host="127.0.0.1",
        port=port,
        lifespan="off",
        log_level="warning",
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
