"""The interpolators by name. Making one imports its module, and only then its heavy libraries."""

import importlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.strict_json import parse_json

_FACTORY = re.compile(r"[\w.]+:\w+", re.ASCII)

Option = str | int
"""The value of a keyword argument, as JSON holds it."""


@dataclass(frozen=True)
class Recipe:
    """How to make an interpolator, in words that can cross process boundaries."""

    factory: str
    """`module:callable`."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Keyword arguments of the callable."""

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """Read `module:callable`, or the same followed by a space and a JSON object of keyword arguments."""
        factory, _, options = text.partition(" ")
        if _FACTORY.fullmatch(factory) is None:
            raise SettingsError(f"{factory!r} is no factory: write package.module:callable.")
        try:
            value = parse_json(options or "{}")
        except ValueError as error:
            raise SettingsError(f"The options of {factory} are no JSON: {error}.") from error
        if not isinstance(value, dict):
            raise SettingsError(f"The options of {factory} must be a JSON object, not {options}.")
        return cls(factory, value)

    def __str__(self) -> str:
        """Return what `parse` reads; equal recipes give equal texts."""
        return f"{self.factory} {json.dumps(self.options, sort_keys=True)}" if self.options else self.factory

    def make(self) -> Interpolator:
        """Make the interpolator; SettingsError unless the factory can be imported and takes these options."""
        module, _, attribute = self.factory.partition(":")
        try:
            factory = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"The interpolator {self.factory} cannot be loaded: {error}. Install what it needs."
            ) from error
        try:
            inspect.signature(factory).bind(**self.options)
        except TypeError as error:
            raise SettingsError(f"The options of {self.factory} do not fit: {error}.") from error
        made: Interpolator = factory(**self.options)
        return made


INTERPOLATORS = {
    "flow": "slowmo_pipeline.interpolation.flow.interpolator:FlowInterpolator",
    "film": "slowmo_pipeline.interpolation.film:load_film",
}
"""Name to factory."""

BUSY_ON_ALL_CORES = frozenset({INTERPOLATORS["film"]})
"""Factories of interpolators that use every core by themselves and hold a large model: one a machine is best."""


def recipe_of(name: str, **options: Option) -> Recipe:
    """The recipe of a named interpolator; SettingsError for an unknown name. Imports nothing."""
    try:
        return Recipe(INTERPOLATORS[name], options)
    except KeyError:
        known = ", ".join(sorted(INTERPOLATORS))
        raise SettingsError(f"There is no interpolator {name!r}. Known: {known}.") from None
