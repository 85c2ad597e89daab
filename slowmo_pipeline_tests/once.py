"""What libraries compute anew for each client, request or database, and a process of the tests needs once."""

from functools import cache

import botocore.session
import moto.backends
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION


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


def read_revisions() -> None:
    """Read the revisions of Dagster's databases now, for processes forked from this one."""
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    ScriptDirectory.from_config(config).get_current_head()
