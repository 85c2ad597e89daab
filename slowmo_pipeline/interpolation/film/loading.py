"""From a published model's folder to an interpolator that is known to render what the model's own graph renders."""

import hashlib
import os

import numpy as np
import tensorflow as tf

from slowmo_pipeline.environment import REQUIRE_GPU, gpu_required
from slowmo_pipeline.errors import ModelError, NoGpuError, SettingsError
from slowmo_pipeline.interpolation.film.interpolator import FilmInterpolator, TileChoice
from slowmo_pipeline.interpolation.film.network import FilmNetwork
from slowmo_pipeline.interpolation.film.options import MOST_LEVELS
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm

TILE_PIXELS = 1024 * 1024
"""Of a tile, when nothing else is said."""

_LARGEST_DIFFERENCE = 1e-3
"""Between our build and the model's own graph on values in [0, 1]. Rounding stays below 1e-5."""


def load_film(
    saved_model_dir: str | os.PathLike[str],
    *,
    pyramid_levels: int = 7,
    block_height: int | None = None,
    block_width: int | None = None,
    tile_pixels: int = TILE_PIXELS,
    precision: int = 32,
) -> FilmInterpolator:
    """Load FILM from a published SavedModel, and hold it against the model's own graph on a small pair.

    Frames are cut into `block_height` x `block_width` overlapping tiles if either is given (the other is then 1),
    else into as few as keep a tile at `tile_pixels` or below. `pyramid_levels` is 7 for the published weights; it
    cannot be read from them. `precision` is 32 or, for GPUs, 16: the bits of the floats inside.

    Raises ModelError for a folder that holds no SavedModel, weights that do not fit, naming the first variable that
    differs, and a graph that renders otherwise; SettingsError for a number out of its range; NoGpuError where
    SLOWMO_REQUIRE_GPU is set and there is no GPU.
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
    if precision not in (16, 32):
        raise SettingsError(f"precision = {precision} must be 32 or 16, in bits.")
    _prepare_devices()
    saved = SavedFilm.load(saved_model_dir, pyramid_levels=pyramid_levels)
    network = FilmNetwork(saved.options, saved.weights)
    _compare(saved, network, origin=str(saved_model_dir))
    if precision != network.precision:
        network = FilmNetwork(saved.options, saved.weights, precision=precision)
    digest = hashlib.sha256()
    for weight in saved.weights:
        digest.update(weight.tobytes())
    return FilmInterpolator(
        network,
        weights_sha256=digest.hexdigest(),
        parameters=sum(weight.size for weight in saved.weights),
        tiles=TileChoice(block_height, block_width, tile_pixels),
    )


def _prepare_devices() -> None:
    """Set up TensorFlow for a process that shares its GPUs; it must come before they are first used."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and gpu_required():
        raise NoGpuError(
            f"TensorFlow sees no GPU, and {REQUIRE_GPU} asks for one: look whether the host's NVIDIA driver fits (CUDA "
            "12 wants 525 or newer; inference_ami_version of the deployment chooses it) and whether the image has "
            "TensorFlow's CUDA libraries, or deploy on instances without a GPU."
        )
    # TensorFlow would take all of a GPU's memory at once.
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    # On Ampere and later TensorFlow rounds the factors of a float32 convolution to 10 bits unless told not to.
    tf.config.experimental.enable_tensor_float_32_execution(False)


def _compare(saved: SavedFilm, network: FilmNetwork, *, origin: str) -> None:
    """Render one small pair both ways; ModelError when the results differ."""
    # Two pixels a side on the coarsest level are enough for every level to matter, in a graph with seven of them too.
    side = 2 * max(saved.options.multiple, 64)
    pair = np.random.default_rng(0).uniform(size=(2, 1, side, side, 3)).astype(np.float32)
    own = network.render(*(network.prepare(tf.constant(image)) for image in pair), tf.constant(0.5)).numpy()
    try:
        theirs = saved.render(*pair)
    except tf.errors.InvalidArgumentError as error:
        raise ModelError(f"{origin}: its own graph cannot render {side} x {side} pixels: {error.message}") from error
    difference = float(np.abs(own - theirs).max()) if own.shape == theirs.shape else np.inf
    if not difference <= _LARGEST_DIFFERENCE:  # NaN included
        raise ModelError(
            f"{origin}: its own graph renders otherwise than FILM with these weights, by up to {difference:.2g} on "
            f"values in [0, 1]. Perhaps it has another number of pyramid levels than {saved.options.pyramid_levels}?"
        )
