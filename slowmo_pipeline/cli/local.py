"""The options of a local endpoint, and what they have it serve."""

from collections.abc import Iterable
from typing import Annotated

import typer

from slowmo_pipeline.errors import UsageError

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Worker processes of the local endpoint; unset: one a core, for film one a GPU or one alone."
    ),
]
Interpolators = Annotated[list[str], typer.Option("--interpolator", help="What to serve: flow, film. Repeatable.")]
Model = Annotated[
    str | None, typer.Option(help="Of film: a SavedModel's folder, or the name of a fetched model; unset: film.")
]


def check_for_film(interpolators: Iterable[str], *options: str | int | None) -> None:
    """Raise UsageError for options of a local film where there is none."""
    if "film" not in interpolators and any(option is not None for option in options):
        raise UsageError(
            "--model, --block-height, --block-width and --precision are for a local film: add --interpolator film."
        )
