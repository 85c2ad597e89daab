"""The interpolators by name, an entry each, and how one is made. Importing this module imports nothing that one needs.

An interpolator is one folder beside this file and one entry in INTERPOLATORS. The command line, the local endpoint and
the container ask the entry. What DJL Serving shall install for it stands in its folder's requirements.txt.
"""

import importlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.strict_json import parse_json

if TYPE_CHECKING:
    from slowmo_pipeline.interpolation.base import Interpolator

_FACTORY = re.compile(r"[\w.]+:\w+", re.ASCII)

OptionValue = str | int
"""The value of a keyword argument, as JSON holds it."""


@dataclass(frozen=True)
class InterpolatorSpec:
    """How to make an interpolator, in words that can cross process boundaries."""

    factory: str
    """`module:callable`."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Keyword arguments of the callable."""

    @classmethod
    def parse(cls, text: str) -> "InterpolatorSpec":
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
        """Return what `parse` reads; equal specs give equal texts."""
        return f"{self.factory} {json.dumps(self.options, sort_keys=True)}" if self.options else self.factory

    @property
    def entry(self) -> "CatalogEntry | None":
        """The entry of the catalog with this factory; None for one that the catalog does not have."""
        return next((entry for entry in INTERPOLATORS.values() if entry.factory == self.factory), None)

    def make(self) -> "Interpolator":
        """Make the interpolator; SettingsError unless the factory can be imported and takes these options."""
        try:
            factory = _imported(self.factory)
        except (ImportError, AttributeError) as error:
            extra = self.entry.extra if self.entry else None
            needed = f": pip install 'slowmo_pipeline[{extra}]'" if extra else ""
            raise SettingsError(
                f"The interpolator {self.factory} cannot be loaded: {error}. Install what it needs{needed}."
            ) from error
        try:
            inspect.signature(factory).bind(**self.options)
        except TypeError as error:
            raise SettingsError(f"The options of {self.factory} do not fit: {error}.") from error
        made: Interpolator = factory(**self.options)
        return made


@dataclass(frozen=True)
class Option:
    """A keyword argument of a factory that users may give."""

    name: str
    is_number: bool = True
    """Whether it is a whole number of at least 1; else it is text."""
    help: str | None = None
    """What the command line says of it; None: no command that starts a local endpoint takes it."""
    packaged: OptionValue | None = None
    """What `slowmo model package` takes unless told otherwise; None: the factory's own default."""


@dataclass(frozen=True)
class Weights:
    """The folder that a factory loads a model from."""

    argument: str
    """The keyword argument of the factory that takes its path."""
    kind: str
    """What people call such a folder."""
    file: str
    """Each such folder has it at its top."""
    obtain: str
    """How to get one: the end of a sentence."""


@dataclass(frozen=True)
class CatalogEntry:
    """All that is to be known of an interpolator before its module is imported."""

    name: str
    """In settings and of its endpoint. Also the name under which a home keeps its weights, unless told otherwise."""
    factory: str
    """`module:callable`."""
    weights: Weights | None = None
    options: tuple[Option, ...] = ()
    busy_on_all_cores: bool = False
    """Whether it uses every core by itself and holds a large model, so that one a machine is best."""
    devices: str | None = None
    """`module:callable` that lists devices: one interpolator is made for each, with the keyword argument `device`. When
    it lists none, and where this is None, one is made without."""
    extra: str | None = None
    """The extra of setup.cfg with what its modules import."""

    def spec(self, model: Path | None = None, **options: OptionValue) -> InterpolatorSpec:
        """How to make it with these keyword arguments, and from this folder where it has weights."""
        weights = {self.weights.argument: str(model)} if self.weights and model else {}
        return InterpolatorSpec(self.factory, {**weights, **options})

    @property
    def local_options(self) -> tuple[str, ...]:
        """Names of its options for commands that start a local endpoint; `model` is the folder of its weights."""
        model = () if self.weights is None else ("model",)
        return (*model, *(option.name for option in self.options if option.help))

    @property
    def packaged(self) -> dict[str, OptionValue]:
        """The options that a package has unless told otherwise."""
        return {option.name: option.packaged for option in self.options if option.packaged is not None}

    def available_devices(self) -> list[str]:
        """The devices of this process; imports what the interpolator needs."""
        return [] if self.devices is None else list(_imported(self.devices)())


FILM_WEIGHTS = Weights(
    "saved_model_dir",
    kind="SavedModel",
    file="saved_model.pb",
    obtain="`slowmo model fetch`, or give the path of one",
)

_FLOW = CatalogEntry("flow", "slowmo_pipeline.interpolation.flow.interpolator:FlowInterpolator")

_FILM = CatalogEntry(
    "film",
    "slowmo_pipeline.interpolation.film:load_film",
    weights=FILM_WEIGHTS,
    options=(
        Option("pyramid_levels"),
        Option("block_height", help="tiles a frame is cut into, one above another; unset: as needed."),
        Option("block_width", help="tiles a frame is cut into, side by side."),
        Option("tile_pixels"),
        Option(
            "precision",
            is_number=False,
            help="float32, float16, or tf32 (GPUs since Ampere round factors to 10 bits); unset: TensorFlow's own, "
            "in a package tf32.",
            packaged="tf32",
        ),
    ),
    busy_on_all_cores=True,
    devices="slowmo_pipeline.interpolation.film:prepare_devices",
    extra="film",
)

INTERPOLATORS = {entry.name: entry for entry in (_FLOW, _FILM)}


def entry_of(name: str) -> CatalogEntry:
    """The entry of that name; SettingsError for an unknown one."""
    try:
        return INTERPOLATORS[name]
    except KeyError:
        known = ", ".join(sorted(INTERPOLATORS))
        raise SettingsError(f"There is no interpolator {name!r}. Known: {known}.") from None


def spec_of(name: str, **options: OptionValue) -> InterpolatorSpec:
    """How to make a named interpolator; SettingsError for an unknown name. Imports nothing."""
    return entry_of(name).spec(None, **options)


def _imported(name: str) -> Any:
    """What `module:attribute` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
