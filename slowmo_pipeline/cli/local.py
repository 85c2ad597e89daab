"""The options of a local endpoint, and which of them fit what it serves."""

from collections.abc import Iterable
from typing import Annotated

import typer

from slowmo_pipeline.cli.completion import interpolators
from slowmo_pipeline.cli.interpolator_options import Chosen
from slowmo_pipeline.errors import UsageError
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, CatalogEntry

_BUSY = " or ".join(name for name, entry in INTERPOLATORS.items() if entry.busy_on_all_cores)

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"Worker processes of the local endpoint; unset: one a core, for {_BUSY} one a GPU or one alone."
    ),
]
Interpolators = Annotated[
    list[str],
    typer.Option(
        "--interpolator", help=f"What to serve: {', '.join(INTERPOLATORS)}. Repeatable.", autocompletion=interpolators
    ),
]


def require_taken(interpolators: Iterable[str], chosen: Chosen) -> None:
    """Raise UsageError for an option that none of these local interpolators takes."""
    known = [INTERPOLATORS[name] for name in interpolators if name in INTERPOLATORS]
    taken = {option for entry in known for option in entry.local_options}
    for option in chosen:
        if option not in taken:
            takers = [entry for entry in INTERPOLATORS.values() if option in entry.local_options]
            raise UsageError(" ".join(map(_whose_options, takers)))


def _whose_options(entry: CatalogEntry) -> str:
    *others, last = (f"--{option.replace('_', '-')}" for option in entry.local_options)
    flags = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    return f"{flags} for a local {entry.name}: add --interpolator {entry.name}."
