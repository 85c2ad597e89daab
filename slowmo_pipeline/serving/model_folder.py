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
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from slowmo_pipeline.chunkconfig import Want
from slowmo_pipeline.chunkfile import write_chunk
from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.images import ImageFormat
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.serving.handler import handle

PROPERTIES = "serving.properties"
SAVED_MODEL = "film"
OPTIONS = ("pyramid_levels", "block_height", "block_width", "tile_pixels", "precision")
"""The keyword arguments of load_film that a package may set."""
MODEL_ID = "model_id"
"""The property that says which model the package holds: whoever deploys it need not load it."""

_WARM_PIXELS = 64  # a side; what the published weights need at least


def load_warm(folder: Path, properties: Mapping[str, str]) -> Interpolator:
    """Load the FILM of an unpacked package and run one small chunk through it, so that the first request is no slower.

    `properties` hold MODEL_ID, any of OPTIONS, and whatever else a server adds.
    Raises SettingsError for an option that is no whole number, ModelError for a SavedModel that does not fit or is not
    the model that it should be, NoGpuError where a GPU is required and there is none.
    """
    from slowmo_pipeline.interpolation.film import load_film  # TensorFlow: only where a model is loaded

    interpolator = load_film(folder / SAVED_MODEL, **film_options(properties))
    if interpolator.model_id != properties.get(MODEL_ID):
        raise ModelError(
            f"The package holds the model {interpolator.model_id}, but says {properties.get(MODEL_ID)}: package it "
            "again with `slowmo model package`."
        )
    handle(_small_chunk(), interpolator)
    return interpolator


def film_options(properties: Mapping[str, str | int]) -> dict[str, Any]:
    """Those of OPTIONS that are set; SettingsError for a value that is no whole number above 0."""
    options: dict[str, Any] = {}
    for name in OPTIONS:
        if name in properties:
            text = str(properties[name]).strip()
            if not (text.isascii() and text.isdigit() and int(text) > 0):
                raise SettingsError(f"{name} = {properties[name]!r} must be a whole number of at least 1.")
            options[name] = int(text)
    return options


def read_properties(folder: Path) -> dict[str, str]:
    """What the package's `option.NAME=value` lines say, as DJL Serving hands them to a model: `{name: value}`."""
    return parse_properties((folder / PROPERTIES).read_text().splitlines())


def parse_properties(lines: Iterable[str]) -> dict[str, str]:
    """What `option.NAME=value` lines say: `{name: value}`."""
    settings = (line.partition("=") for line in lines if line.startswith("option."))
    return {name.removeprefix("option.").strip(): value.strip() for name, _, value in settings}


def _small_chunk() -> bytes:
    file = io.BytesIO()
    frames = [(number, np.zeros((_WARM_PIXELS, _WARM_PIXELS, 3), np.uint8)) for number in (0, 1)]
    write_chunk(file, frames, [Want(output=1, frame=0, t=Fraction(1, 2))], image_format=ImageFormat.LOSSLESS)
    return file.getvalue()
