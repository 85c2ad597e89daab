"""The process of the gallery."""

import argparse

import uvicorn

from slowmo_pipeline.environment import current_home
from slowmo_pipeline.machine.gallery.application import application
from slowmo_pipeline.machine.guard import Guard, loopback
from slowmo_pipeline.storage.opening import open_storage

_GRACE_SECONDS = 2
"""For answers under way at the end: a video may be on its way for long."""


def main() -> None:
    """Serve the storage of SLOWMO_HOME on 127.0.0.1 until SIGTERM."""
    parser = argparse.ArgumentParser(prog="slowmo_pipeline.machine.gallery.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--allow-host", action="append", default=[], help="what else browsers may ask for; repeatable")
    options = parser.parse_args()
    app = application(open_storage(current_home().storage_url))
    uvicorn.run(
        Guard(app, [*loopback(options.port), *options.allow_host], option="--allow-gallery-host"),
        host="127.0.0.1",
        port=options.port,
        lifespan="off",
        log_level="warning",
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
