"""The unpacked model.tar.gz, as package.py packs it and both kinds of container find it.

    serving.properties   settings of DJL Serving; its lines `option.NAME=…` hold the interpolator, its model id and its
                         options, in either container
    model.py             what DJL Serving calls
    requirements.txt     what DJL Serving installs
    slowmo_pipeline/     the code that serves
    film/                the weights, in a folder of the interpolator's name

Nothing here writes to it: SageMaker mounts it read-only.
"""

import io
import re
import reprlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from slowmo_pipeline.chunks.documents import MAX_PIXELS, Want
from slowmo_pipeline.chunks.files import write_chunk
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.interpolation.catalog import CatalogEntry, OptionValue, entry_of
from slowmo_pipeline.serving.handler import handle

PROPERTIES = "serving.properties"
INTERPOLATOR = "interpolator"
"""The property that names the interpolator, which is an entry of the catalog."""
WITHOUT_NAME = "film"
"""The interpolator of packages that were made before they named one."""
WARM_UP = "warm_up"
"""The property that says how large the frames to come are, as WIDTHxHEIGHT."""

_USUAL_SIZE = "448x256"
"""Of Vimeo-90k, with which papers time themselves: large enough that TensorFlow chooses its ways of computing."""

# Nine digits are more than any frame has pixels; int() takes no more than 4300.
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


def load_warm(folder: Path, properties: Mapping[str, str], *, device: str | None = None) -> Interpolator:
    """Load the model of an unpacked package and run one chunk through it, so that the first request is no slower.

    `properties` hold INTERPOLATOR, its `model_id_property`, any of its options, WARM_UP, and whatever else a server
    adds; `device` is one of those that `devices` told.
    Raises SettingsError for a bad value, ModelError for a model that does not fit or is not the one that it should be,
    NoGpuError where a GPU is required and there is none.
    """
    entry = packaged_entry(properties)
    place: dict[str, OptionValue] = {} if device is None else {"device": device}
    interpolator = entry.spec(folder / entry.name, **factory_options(entry, properties), **place).make()
    said = properties.get(model_id_property(entry.name))
    if interpolator.model_id != said:
        raise ModelError(
            f"The package holds the model {interpolator.model_id}, but says {said}: package it again with `slowmo "
            "model package`."
        )
    handle(_chunk_of(*warm_up_size(properties)), interpolator)
    return interpolator


def devices(properties: Mapping[str, str]) -> list[str | None]:
    """What to load the package's model on, once each: the devices of this process, or whatever there is."""
    return [*packaged_entry(properties).available_devices()] or [None]


def packaged_entry(properties: Mapping[str, str]) -> CatalogEntry:
    """The interpolator of a package; SettingsError for one that this code does not know."""
    return entry_of(properties.get(INTERPOLATOR, WITHOUT_NAME))


def model_id_property(interpolator: str) -> str:
    """The property that says which model the package holds: whoever deploys it need not load it.

    DJL Serving has a `model_id` of its own, the name of a model that it fetches from a hub.
    """
    return f"{interpolator}_model_id"


def factory_options(entry: CatalogEntry, properties: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """The interpolator's own among the properties.

    Raises SettingsError for a number that is no whole one from 1 to 999999999.
    """
    options = {option.name: properties[option.name] for option in entry.options if option.name in properties}
    for name in (option.name for option in entry.options if option.is_number and option.name in options):
        text = str(options[name]).strip()
        if not _NUMBER.fullmatch(text):
            shown = reprlib.repr(options[name])
            raise SettingsError(f"{name} = {shown} must be a whole number of at least 1 and at most nine digits.")
        options[name] = int(text)
    return options


def read_properties(folder: Path) -> dict[str, str]:
    """What the package's `option.NAME=value` lines say, as DJL Serving hands them to a model: `{name: value}`."""
    return parse_properties((folder / PROPERTIES).read_text().splitlines())


def parse_properties(lines: Iterable[str]) -> dict[str, str]:
    """What `option.NAME=value` lines say: `{name: value}`."""
    settings = (line.partition("=") for line in lines if line.startswith("option."))
    return {name.removeprefix("option.").strip(): value.strip() for name, _, value in settings}


def warm_up_size(properties: Mapping[str, OptionValue]) -> tuple[int, int]:
    """Width and height of the frames to warm up with, in pixels; SettingsError for a value that is none."""
    text = str(properties.get(WARM_UP, _USUAL_SIZE))
    match = _SIZE.fullmatch(text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise SettingsError(
            f"{WARM_UP} = {text!r} must be width x height in pixels, such as 1920x1080; {MAX_PIXELS} pixels at most."
        )
    return size


def _chunk_of(width: int, height: int) -> bytes:
    file = io.BytesIO()
    frames = [(number, np.zeros((height, width, 3), np.uint8)) for number in (0, 1)]
    write_chunk(file, frames, [Want(output=1, frame=0, t=Fraction(1, 2))], image_format=ImageFormat.LOSSLESS)
    return file.getvalue()
