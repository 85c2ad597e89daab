"""What a server serves: endpoints by name, as its command line and its address spell them."""

import re
from dataclasses import dataclass

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.interpolation.catalog import Recipe, recipe_of

_ENTRY = re.compile(r"(?P<name>[a-zA-Z0-9](-*[a-zA-Z0-9])*)(=(?P<recipe>.+))?")


@dataclass(frozen=True)
class ServedEndpoint:
    """An endpoint's name, and how its interpolator is made."""

    name: str
    recipe: Recipe

    @classmethod
    def parse(cls, entry: str) -> "ServedEndpoint":
        """Read `NAME`, an interpolator of the catalog, or `NAME=RECIPE` (see `Recipe.parse`)."""
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise SettingsError(f"{entry!r} is no endpoint: write flow, or name=package.module:callable.")
        name, recipe = match["name"], match["recipe"]
        return cls(name, Recipe.parse(recipe) if recipe else recipe_of(name))

    def __str__(self) -> str:
        """Return the full entry; equal endpoints give equal texts."""
        return f"{self.name}={self.recipe}"
