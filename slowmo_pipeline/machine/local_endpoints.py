"""What the local endpoint of a home is to serve."""

from collections.abc import Iterable, Mapping
from typing import Any

from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, entry_of
from slowmo_pipeline.models.library import model_folder
from slowmo_pipeline.serving.local.endpoint_spec import EndpointSpec


def local_endpoints(interpolators: Iterable[str], chosen: Mapping[str, Any] | None = None) -> list[str]:
    """What the local endpoint is to serve: how to make it, unless a live one has it and nothing special is asked.

    `chosen` holds options by the names of `CatalogEntry.local_options`; each interpolator gets those that it takes.
    """
    home = current_home()
    live = live_endpoint(home.endpoint)
    entries = []
    for name in sorted(set(interpolators)):
        # A live server may have endpoints under names of their own.
        taken = INTERPOLATORS[name].local_options if name in INTERPOLATORS else ()
        own = {option: value for option, value in (chosen or {}).items() if option in taken}
        if live is not None and live.serves(name) and not own:
            entries.append(name)
        else:
            entry = entry_of(name)
            folder = model_folder(home, entry, own.pop("model", None))
            entries.append(str(EndpointSpec(name, entry.spec(folder, **own))))
    return entries
