"""The interpolators by name. Asking for one imports its module, and only then its heavy libraries."""

import importlib
import re

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.interpolation.base import Interpolator

INTERPOLATORS = {"flow": "slowmo_pipeline.interpolation.flow:FlowInterpolator"}
"""Name to factory, spelt `module:callable`; the callable takes no arguments."""

_FACTORY = re.compile(r"[\w.]+:\w+")


def factory_of(name: str) -> str:
    """The factory of a named interpolator; SettingsError for an unknown name. Imports nothing."""
    try:
        return INTERPOLATORS[name]
    except KeyError:
        known = ", ".join(sorted(INTERPOLATORS))
        raise SettingsError(f"There is no interpolator {name!r}. Known: {known}.") from None


def load_factory(factory: str) -> Interpolator:
    """Make the interpolator of a factory, `module:callable`; SettingsError unless it is one and can be imported."""
    if _FACTORY.fullmatch(factory) is None:
        raise SettingsError(f"{factory!r} is no factory: write package.module:callable.")
    module, _, attribute = factory.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"The interpolator {factory} cannot be loaded: {error}. Install what it needs.") from error
    made: Interpolator = make()
    return made


def load_interpolator(name: str) -> Interpolator:
    """Make the interpolator of that name."""
    return load_factory(factory_of(name))
