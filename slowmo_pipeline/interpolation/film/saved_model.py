"""A published FILM: a SavedModel, its variables, and its own graph, which always renders t = 1/2."""

import os
from collections.abc import Callable
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


Inputs = dict[str, Any]
"""x0 and x1: tf.float32 (batch, height, width, 3); time: tf.float32 (batch, 1)."""

_INPUTS = {"x0", "x1", "time"}
_FRAME = "image"
"""The frame among what a model returns when it is called; the authors' configurations return flows and warped frames
beside it. In the signature of such an export all of these have names of Keras layers, which tell nothing."""


@dataclass(frozen=True)
class SavedFilm:
    """A SavedModel that takes part in the published contract."""

    options: FilmOptions
    weights: Weights
    _render: Callable[[Inputs], Any]
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
            return cls(options, weights, _renderer(restored), restored)
        except ModelError as error:
            raise ModelError(f"{folder}: {error}") from None

    def render(self, before: npt.ArrayLike, after: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The frame half-way, by the SavedModel's own graph.

        Takes and returns float32 (batch, height, width, 3), RGB in [0, 1]; the result is not clipped. Height and width
        are multiples of `options.multiple`. Raises ModelError when the graph cannot.
        """
        x0, x1 = (tf.convert_to_tensor(frames, tf.float32) for frames in (before, after))
        time = tf.fill([x0.shape[0], 1], 0.5)
        try:
            rendered: npt.NDArray[np.float32] = self._render({"x0": x0, "x1": x1, "time": time}).numpy()
        except (tf.errors.OpError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ModelError(
                f"Its own graph cannot render {x0.shape[2]} x {x0.shape[1]} pixels: {getattr(error, 'message', error)}"
            ) from error
        return rendered


def _renderer(restored: Any) -> Callable[[Inputs], Any]:
    """What a restored SavedModel renders with: its signature where that tells the frame, else itself.

    The latter is how its authors call it.
    """
    signature = getattr(restored, "signatures", {}).get("serving_default")
    if signature is not None and set(signature.structured_input_signature[1]) == _INPUTS:
        outputs = set(signature.structured_outputs)
        if _FRAME in outputs or len(outputs) == 1:
            # The only output may have a generated name.
            name = _FRAME if _FRAME in outputs else outputs.pop()
            return lambda inputs: signature(**inputs)[name]
    if callable(restored):
        return lambda inputs: restored(inputs, training=False)[_FRAME]
    raise ModelError(
        f"It has no signature serving_default of x0, x1 and time with an output {_FRAME}, and cannot be called: is "
        "this another model?"
    )
