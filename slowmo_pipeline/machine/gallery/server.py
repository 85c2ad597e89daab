"""The process of the gallery."""

import argparse

from slowmo_pipeline.environment import current_home
from slowmo_pipeline.machine.gallery.application import application
from slowmo_pipeline.machine.guarded_server import serve_guarded
from slowmo_pipeline.storage.opening import open_storage


def main() -> None:
    """Serve the storage of SLOWMO_HOME on 127.0.0.1 until SIGTERM."""
    parser = argparse.ArgumentParser(prog="slowmo_pipeline.machine.gallery.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--allow-host", action="append", default=[], help="what else browsers may ask for; repeatable")
    options = parser.parse_args()
    app = application(open_storage(current_home().storage_url))
    serve_guarded(app, port=options.port, allowed_hosts=options.allow_host, option="--allow-gallery-host")
