"""What libraries compute anew for each client, request or database, and a process of the tests needs once."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import botocore.session
import moto.backends
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import Engine, create_engine

from slowmo_pipeline.environment import Home
from slowmo_pipeline.machine.home import open_instance


def remember() -> None:
    """Let this process compute it once."""
    # The descriptions of AWS's services, read and parsed: a tenth of a second a client.
    botocore.session.create_loader = cache(botocore.session.create_loader)
    # Which of moto's two hundred folders are services: with each request.
    services = frozenset(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: services
    # The revisions of Dagster's databases, a hundred scripts: three times for each instance, and once more for the
    # events of each run. That is half of what either takes.
    read, known = ScriptDirectory.from_config, {}

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign]

    # An engine for each access to a database, and with it all of its SQL compiled anew. None keeps a connection.
    engines: dict[str, Engine] = {}

    def engine_of(address: str, **options: Any) -> Engine:
        if address not in engines:
            engines[address] = create_engine(address, **options)
        return engines[address]

    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        vars(module)["create_engine"] = engine_of


def open_an_instance() -> None:
    """Import and read now what Dagster does at the first instance, for processes forked from this one."""
    with TemporaryDirectory() as folder, open_instance(Home(Path(folder))):
        pass
