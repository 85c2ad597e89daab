"""The web server of `slowmo up`: Dagster's own application behind a guard.

`dagster dev` would start Dagster's, to which nothing can be added.
"""

import argparse
from pathlib import Path

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.cli import DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_MAX_OVERFLOW, DEFAULT_POOL_RECYCLE
from dagster_webserver.version import __version__

from slowmo_pipeline.machine.guarded_server import serve_guarded

_POLL_MILLISECONDS = 2000
"""How often the UI asks for what has changed of assets: the default of `dagster dev`."""


def main() -> None:
    """Serve the instance of DAGSTER_HOME on 127.0.0.1 until SIGTERM."""
    parser = argparse.ArgumentParser(prog="slowmo_pipeline.machine.webserver")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", type=Path, required=True, help="file that names the code server")
    parser.add_argument("--allow-host", action="append", default=[], help="what else browsers may ask for; repeatable")
    options = parser.parse_args()
    configure_loggers(log_level="WARNING")
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(
            instance, WorkspaceFileTarget([str(options.workspace)]), version=__version__
        ) as context,
    ):
        instance.optimize_for_webserver(DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW)
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=_POLL_MILLISECONDS)
        serve_guarded(app, port=options.port, allowed_hosts=options.allow_host, option="--allow-host")
