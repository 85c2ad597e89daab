"""What the local endpoint of a home is to serve."""

from collections.abc import Iterable

from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.interpolation.catalog import recipe_of
from slowmo_pipeline.models.library import resolve_model
from slowmo_pipeline.serving.local.endpoint_spec import ServedEndpoint


def local_endpoints(
    interpolators: Iterable[str],
    model: str | None = None,
    block_height: int | None = None,
    block_width: int | None = None,
    precision: str | None = None,
) -> list[str]:
    """What the local endpoint is to serve: how to make it, unless a live one has it and nothing special is asked."""
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
