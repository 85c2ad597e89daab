"""The unpacked model.tar.gz, as package.py packs it and both kinds of container find it.

    serving.properties   settings of DJL Serving; its lines `option.NAME=…` hold the model id and FILM's options, in
                         either container
    model.py             what DJL Serving calls
    requirements.txt     what DJL Serving installs
    slowmo_pipeline/     the code that serves
    film/                the SavedModel

Nothing here writes to it: SageMaker mounts it read-only.
"""

import io
import re
import reprlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from slowmo_pipeline.chunks.documents import MAX_PIXELS, Want
from slowmo_pipeline.chunks.files import write_chunk
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.serving.handler import handle

PROPERTIES = "serving.properties"
SAVED_MODEL = "film"
NUMBERS = ("pyramid_levels", "block_height", "block_width", "tile_pixels")
OPTIONS = (*NUMBERS, "precision")
"""The keyword arguments of load_film that a package may set."""
MODEL_ID = "film_model_id"
"""The property that says which model the package holds: whoever deploys it need not load it.

DJL Serving has a `model_id` of its own, the name of a model that it fetches from a hub.
"""
WARM_UP = "warm_up"
"""The property that says how large the frames to come are, as WIDTHxHEIGHT."""

_USUAL_SIZE = "448x256"
"""Of Vimeo-90k, with which papers time themselves: large enough that TensorFlow chooses its ways of computing."""

# Nine digits are more than any frame has pixels; int() takes no more than 4300.
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


def load_warm(folder: Path, properties: Mapping[str, str], *, device: str | None = None) -> Interpolator:
    """Load the FILM of an unpacked package and run one chunk through it, so that the first request is no slower.

    `properties` hold MODEL_ID, any of OPTIONS, WARM_UP, and whatever else a server adds; `device` is load_film's.
    Raises SettingsError for a bad value, ModelError for a SavedModel that does not fit or is not the model that it
    should be, NoGpuError where a GPU is required and there is none.
    """
    from slowmo_pipeline.interpolation.film import load_film  # TensorFlow: only where a model is loaded

    interpolator = load_film(folder / SAVED_MODEL, **film_options(properties), device=device)
    if interpolator.model_id != properties.get(MODEL_ID):
        raise ModelError(
            f"The package holds the model {interpolator.model_id}, but says {properties.get(MODEL_ID)}: package it "
            "again with `slowmo model package`."
        )
    handle(_chunk_of(*warm_up_size(properties)), interpolator)
    return interpolator


def film_devices() -> list[str | None]:
    """What to load a model on: each GPU of this process, or its CPU."""
    from slowmo_pipeline.interpolation.film import prepare_devices

    return [*prepare_devices()] or [None]


def film_options(properties: Mapping[str, str | int]) -> dict[str, Any]:
    """Those of OPTIONS that are set; SettingsError for one of NUMBERS that is no whole number from 1 to 999999999."""
    options: dict[str, Any] = {name: properties[name] for name in OPTIONS if name in properties}
    for name in NUMBERS:
        if name in options:
            text = str(properties[name]).strip()
            if not _NUMBER.fullmatch(text):
                shown = reprlib.repr(properties[name])
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


def warm_up_size(properties: Mapping[str, str | int]) -> tuple[int, int]:
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
