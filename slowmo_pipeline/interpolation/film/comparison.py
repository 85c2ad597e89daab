"""Holding what renders against what must render the same: our build against a model's own graph, a precision against
float32."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slowmo_pipeline.errors import ModelError
from slowmo_pipeline.interpolation.film.devices import Precision, computing
from slowmo_pipeline.interpolation.film.network import FilmNetwork
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm

Pictures = npt.NDArray[np.float32]
"""Shape (batch, height, width, 3), values in [0, 1]."""

LARGEST_DIFFERENCE = 1e-3
"""Between our build and the model's own graph on values in [0, 1]. Rounding stays below 1e-5."""

LARGEST_MEAN_DIFFERENCE = 0.01
"""Between a coarser precision and float32, over all values: beyond 2.5 levels of 255 it is seen. With random weights
float16 stays below 0.001."""


class Difference(NamedTuple):
    """How far two renderings of the same pair are apart, on values in [0, 1]."""

    largest: float
    mean: float

    @classmethod
    def between(cls, one: Pictures, other: Pictures) -> "Difference":
        """Infinite for pictures of different sizes."""
        if one.shape != other.shape:
            return cls(np.inf, np.inf)
        with np.errstate(invalid="ignore"):  # NaN is told by whoever asked
            apart = np.abs(one - other)
        return cls(float(apart.max()), float(apart.mean()))

    def __str__(self) -> str:
        """As levels of 255."""
        return f"{255 * self.mean:.2g} levels of 255 in the mean, {255 * self.largest:.2g} at most"


def compare_with_graph(network: FilmNetwork, saved: SavedFilm) -> Difference:
    """Hold our build against the model's own graph on a small pair; ModelError when they render otherwise."""
    # Two pixels a side on the coarsest level are enough for every level to matter, in a graph with seven of them too.
    side = 2 * max(saved.options.multiple, 64)
    pair = np.random.default_rng(0).uniform(size=(2, 1, side, side, 3)).astype(np.float32)
    with computing(network.device, "float32"):
        theirs = saved.render(*pair)
    difference = Difference.between(_rendered(network, pair), theirs)
    if not difference.largest <= LARGEST_DIFFERENCE:  # NaN included
        raise ModelError(
            f"Its own graph renders otherwise than FILM with these weights, by up to {difference.largest:.2g} on "
            f"values in [0, 1]. Perhaps it has another number of pyramid levels than {saved.options.pyramid_levels}?"
        )
    return difference


def compare_precision(network: FilmNetwork, exact: FilmNetwork) -> Difference:
    """Hold a coarser precision against float32 on a small pair of smooth pictures."""
    side = 2 * max(exact.options.multiple, 64)
    grains = np.random.default_rng(0).uniform(size=(2, 1, 8, 8, 3)).astype(np.float32)
    pair = np.stack([np.clip(tf.image.resize(each, (side, side), "bicubic").numpy(), 0, 1) for each in grains])
    return Difference.between(_rendered(network, pair), _rendered(exact, pair))


def require_fine(precision: Precision, difference: Difference) -> None:
    """Raise ModelError when a precision is too coarse for the weights."""
    if not difference.mean <= LARGEST_MEAN_DIFFERENCE:  # NaN included: float16 ends at 65504
        raise ModelError(f"With {precision} it renders otherwise than with float32: {difference}. Use float32.")


def _rendered(network: FilmNetwork, pair: Pictures) -> Pictures:
    before, after = (network.prepare(image) for image in pair)
    rendered: Pictures = network.render(before, after, 0.5).numpy()
    return rendered
