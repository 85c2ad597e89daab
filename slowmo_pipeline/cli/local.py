"""The options of a local endpoint, and what they have it serve."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from slowmo_pipeline.cli.interpolator_options import Chosen
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import UsageError
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, CatalogEntry, entry_of

_BUSY = " or ".join(name for name, entry in INTERPOLATORS.items() if entry.busy_on_all_cores)

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"Worker processes of the local endpoint; unset: one a core, for {_BUSY} one a GPU or one alone."
    ),
]
Interpolators = Annotated[
    list[str], typer.Option("--interpolator", help=f"What to serve: {', '.join(INTERPOLATORS)}. Repeatable.")
]


def local_endpoints(interpolators: Iterable[str], chosen: Chosen) -> list[str]:
    """What the local endpoint is to serve: how to make it, unless a live one has it and nothing special is asked."""
    from slowmo_pipeline.endpoint.local import live_endpoint
    from slowmo_pipeline.serving.local.endpoint_spec import ServedEndpoint

    live = live_endpoint(current_home().endpoint)
    entries = []
    for name in sorted(set(interpolators)):
        own = {option: value for option, value in chosen.items() if option in _taken_by(name)}
        if live is not None and live.serves(name) and not own:
            entries.append(name)
        else:
            entry = entry_of(name)
            folder = model_folder(entry, own.pop("model", None))
            entries.append(str(ServedEndpoint(name, entry.spec(folder, **own))))
    return entries


def model_folder(entry: CatalogEntry, model: str | None) -> Path | None:
    """The folder of an interpolator's model, of that name or path; None where it has no weights.

    Raises ModelError when there is no such model, and UsageError for the name of one that it cannot take.
    """
    from slowmo_pipeline.models.library import resolve_model

    if entry.weights is not None:
        return resolve_model(current_home(), model, entry.weights, default=entry.name)
    if model is not None:
        raise UsageError(f"The interpolator {entry.name} takes no model: leave {model} out.")
    return None


def require_taken(interpolators: Iterable[str], chosen: Chosen) -> None:
    """Raise UsageError for an option that none of these local interpolators takes."""
    taken = {option for name in interpolators for option in _taken_by(name)}
    for option in chosen:
        if option not in taken:
            takers = [entry for entry in INTERPOLATORS.values() if option in entry.command_line]
            raise UsageError(" ".join(map(_whose_options, takers)))


def _whose_options(entry: CatalogEntry) -> str:
    *others, last = (f"--{option.replace('_', '-')}" for option in entry.command_line)
    flags = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    return f"{flags} for a local {entry.name}: add --interpolator {entry.name}."


def _taken_by(name: str) -> tuple[str, ...]:
    """Nothing, for an endpoint that a live server has under a name of its own."""
    return INTERPOLATORS[name].command_line if name in INTERPOLATORS else ()
