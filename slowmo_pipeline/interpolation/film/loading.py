"""From a published model's folder to an interpolator that is known to render what the model's own graph renders."""

import hashlib
import logging
import os
from collections.abc import Collection

from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.interpolation.film.comparison import compare_precision, compare_with_graph, require_fine
from slowmo_pipeline.interpolation.film.devices import Precision, chosen_precision, prepare_devices
from slowmo_pipeline.interpolation.film.interpolator import FilmInterpolator, TileChoice
from slowmo_pipeline.interpolation.film.network import FilmNetwork
from slowmo_pipeline.interpolation.film.options import MOST_LEVELS
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm

TILE_PIXELS = 1024 * 1024
"""Of a tile, when nothing else is said."""

logger = logging.getLogger(__name__)


def load_film(
    saved_model_dir: str | os.PathLike[str],
    *,
    pyramid_levels: int = 7,
    block_height: int | None = None,
    block_width: int | None = None,
    tile_pixels: int = TILE_PIXELS,
    precision: str | None = None,
    device: str | None = None,
    compare: Collection[Precision] = (),
) -> FilmInterpolator:
    """Load FILM from a published SavedModel, and hold it against the model's own graph on a small pair.

    Frames are cut into `block_height` x `block_width` overlapping tiles if either is given (the other is then 1),
    else into as few as keep a tile at `tile_pixels` or below. `pyramid_levels` is 7 for the published weights; it
    cannot be read from them. `precision` is one of devices.PRECISIONS; None: TensorFlow's own, tf32 on a GPU and
    float32 on a CPU. Whichever it is, it is held against float32, and so are those of `compare`, for
    whoever wants to know how far they are apart. `device` is one of TensorFlow's, such as `GPU:1`; None: the first GPU,
    or the CPU.

    Raises ModelError for a folder that holds no SavedModel, weights that do not fit, naming the first variable that
    differs, a graph that renders otherwise, and a precision that is too coarse for the weights; SettingsError for a
    value out of its range; NoGpuError where SLOWMO_REQUIRE_GPU is set and there is no GPU.
    """
    if not 1 <= pyramid_levels <= MOST_LEVELS:
        raise SettingsError(f"pyramid_levels = {pyramid_levels} must be 1 to {MOST_LEVELS}; published models have 7.")
    for name, value in (
        ("block_height", block_height),
        ("block_width", block_width),
        ("tile_pixels", tile_pixels),
    ):
        if value is not None and value < 1:
            raise SettingsError(f"{name} = {value} must be at least 1.")
    gpus = prepare_devices()
    kind = chosen_precision(precision)
    place = device or next(iter(gpus), "CPU:0")
    saved = SavedFilm.load(saved_model_dir, pyramid_levels=pyramid_levels)
    network = exact = FilmNetwork(saved.options, saved.weights, device=place)
    try:
        differences = {exact.precision: compare_with_graph(exact, saved)}
        for each in sorted({*compare, kind} - {exact.precision}):
            other = FilmNetwork(saved.options, saved.weights, precision=each, device=place)
            differences[each] = compare_precision(other, exact)
            network = other if each == kind else network
        if kind != exact.precision:
            require_fine(kind, differences[kind])
    except ModelError as error:
        raise ModelError(f"{saved_model_dir}: {error}") from error
    logger.info("%s on %s differs by %s.", kind, place, differences[kind])
    digest = hashlib.sha256()
    for weight in saved.weights:
        digest.update(weight.tobytes())
    return FilmInterpolator(
        network,
        weights_sha256=digest.hexdigest(),
        parameters=sum(weight.size for weight in saved.weights),
        tiles=TileChoice(block_height, block_width, tile_pixels),
        differences=differences,
    )
