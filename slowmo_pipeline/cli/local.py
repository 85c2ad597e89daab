"""The options of a local endpoint, and what they have it serve."""

from collections.abc import Iterable
from typing import Annotated

import typer

from slowmo_pipeline.environment import current_home
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


def local_endpoints(
    interpolators: Iterable[str],
    model: str | None,
    block_height: int | None,
    block_width: int | None,
    precision: str | None,
) -> list[str]:
    """What the local endpoint is to serve: how to make it, unless a live one has it and nothing special is asked."""
    from slowmo_pipeline.endpoint.local import live_endpoint
    from slowmo_pipeline.interpolation.catalog import recipe_of
    from slowmo_pipeline.models.library import resolve_model
    from slowmo_pipeline.serving.local.endpoint_spec import ServedEndpoint

    options = {"block_height": block_height, "block_width": block_width, "precision": precision}
    given = {name: value for name, value in options.items() if value is not None}
    live = live_endpoint(current_home().endpoint)
    entries = []
    for name in sorted(set(interpolators)):
        special = name == "film" and (model or given)
        if live is not None and live.serves(name) and not special:
            entries.append(name)
        elif name == "film":
            recipe = recipe_of(name, saved_model_dir=str(resolve_model(current_home(), model)), **given)
            entries.append(str(ServedEndpoint(name, recipe)))
        else:
            entries.append(str(ServedEndpoint(name, recipe_of(name))))
    return entries


def check_for_film(interpolators: Iterable[str], *options: str | int | None) -> None:
    """Raise UsageError for options of a local film where there is none."""
    if "film" not in interpolators and any(option is not None for option in options):
        raise UsageError(
            "--model, --block-height, --block-width and --precision are for a local film: add --interpolator film."
        )
