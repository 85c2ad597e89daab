"""What a server serves: endpoints by name, as its command line and its address spell them."""

import re
from dataclasses import dataclass

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.interpolation.catalog import InterpolatorSpec, spec_of

_ENTRY = re.compile(r"(?P<name>[a-zA-Z0-9](-*[a-zA-Z0-9])*)(=(?P<spec>.+))?")


@dataclass(frozen=True)
class EndpointSpec:
    """An endpoint's name, and how its interpolator is made."""

    name: str
    spec: InterpolatorSpec

    @classmethod
    def parse(cls, entry: str) -> "EndpointSpec":
        """Read `NAME`, an interpolator of the catalog, or `NAME=SPEC` (see `InterpolatorSpec.parse`)."""
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise SettingsError(f"{entry!r} is no endpoint: write flow, or name=package.module:callable.")
        name, spec = match["name"], match["spec"]
        return cls(name, InterpolatorSpec.parse(spec) if spec else spec_of(name))

    def __str__(self) -> str:
        """Return the full entry; equal endpoints give equal texts."""
        return f"{self.name}={self.spec}"
