"""The options that say to whom a command tells what becomes of its clips, and how much."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.errors import SlowmoError, UsageError

if TYPE_CHECKING:
    from slowmo_pipeline.machine.telling import Teller

Quietly = Annotated[
    bool, typer.Option("--quiet", "-q", help="Tell nothing but results, failures and losses: no progress, no notes.")
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print what happens as JSON, an event a line (docs/command-line.md)."),
]


@contextmanager
def telling(*, as_json: bool, quiet: bool) -> Iterator["Teller"]:
    """Who tells; an expected error that ends the command is an event as well."""
    from slowmo_pipeline.machine.events import ForPrograms
    from slowmo_pipeline.machine.telling import ForPeople

    if not as_json:
        yield ForPeople(quiet=quiet)
        return
    events = ForPrograms(quiet=quiet)
    try:
        yield events
    except UsageError:
        raise  # exit code 2 says it: the command was none
    except SlowmoError as error:
        events.failed(None, str(error))
        raise
