"""A published FILM: a SavedModel, its variables, and its own graph, which always renders t = 1/2."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slowmo_pipeline.errors import ModelError
from slowmo_pipeline.interpolation.film.options import FilmOptions, options_of

Weights = list[npt.NDArray[np.float32]]
"""Kernels and biases in the order of `FilmOptions.variables`."""


@dataclass(frozen=True)
class SavedFilm:
    """A SavedModel that takes part in the published contract."""

    options: FilmOptions
    weights: Weights
    _restored: Any
    """Keeps the graph's variables alive."""

    @classmethod
    def load(cls, saved_model_dir: str | os.PathLike[str], *, pyramid_levels: int = 7) -> "SavedFilm":
        """Load a folder; ModelError when it holds no SavedModel or one of another network."""
        folder = Path(saved_model_dir)
        if not (folder / "saved_model.pb").is_file():
            raise ModelError(f"{folder} is no SavedModel: name the folder that holds saved_model.pb.")
        try:
            restored = tf.saved_model.load(str(folder))
        except Exception as error:  # TensorFlow raises what it likes for a damaged file
            raise ModelError(f"{folder} cannot be loaded: {error}. Fetch it again.") from error
        try:
            weights = [variable.numpy() for variable in getattr(restored, "variables", ())]
            options = options_of([weight.shape for weight in weights], pyramid_levels=pyramid_levels)
            signature = restored.signatures.get("serving_default")
            if signature is None or set(signature.structured_input_signature[1]) != {"x0", "x1", "time"}:
                raise ModelError("It has no signature serving_default of x0, x1 and time: is this another model?")
        except ModelError as error:
            raise ModelError(f"{folder}: {error}") from None
        return cls(options, weights, restored)

    def render(self, before: npt.ArrayLike, after: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The frame half-way, by the SavedModel's own graph.

        Takes and returns float32 (batch, height, width, 3), RGB in [0, 1]; the result is not clipped. Height and width
        are multiples of `options.multiple`.
        """
        x0, x1 = (tf.convert_to_tensor(frames, tf.float32) for frames in (before, after))
        time = tf.fill([x0.shape[0], 1], 0.5)
        # The result's key is a generated name.
        (made,) = self._restored.signatures["serving_default"](x0=x0, x1=x1, time=time).values()
        rendered: npt.NDArray[np.float32] = made.numpy()
        return rendered
