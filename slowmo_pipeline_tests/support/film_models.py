"""SavedModels of the published contract, small enough for a test: random weights, and one that averages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slowmo_pipeline.frames import Frame
from slowmo_pipeline_tests.support.plain_film import PlainFilm

# What TensorFlow's optimizer does to a graph takes longer than small networks compute; see `optimizing`.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

Pixels = npt.NDArray[np.float32]
"""Pictures of values in [0, 1], shape (batch, height, width, 3)."""

SMALL: dict[str, Any] = {
    "pyramid_levels": 4,
    "fusion_pyramid_levels": 3,
    "specialized_levels": 2,
    "sub_levels": 3,
    "filters": 4,
    "flow_convs": (2, 2, 2),
    "flow_filters": (4, 4, 8),
}
"""Every part of the network occurs; frames are padded to multiples of 8 pixels."""

TINY: dict[str, Any] = {
    "pyramid_levels": 2,
    "fusion_pyramid_levels": 2,
    "specialized_levels": 0,
    "sub_levels": 1,
    "filters": 4,
    "flow_convs": (1,),
    "flow_filters": (4,),
}
"""Loaded in a quarter of the time that SMALL takes, where it is of no matter what is loaded."""

TIES_UP = 1 / 32 / 65535
"""What the averaging film adds: more than float32 loses, far less than a step of 16 bits. So x.5 always rounds up."""


@contextmanager
def optimizing() -> Iterator[None]:
    """Let TensorFlow optimize graphs, as it does everywhere but in the process of the tests."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def small_film(**options: Any) -> PlainFilm:
    """A plain FILM of the options `SMALL`, but for those given."""
    return PlainFilm(**{**SMALL, **options})


def random_film(folder: Path, **options: Any) -> Path:
    """Write the SavedModel of `small_film`; return `folder`."""
    return small_film(**options).export(folder)


def average_film(folder: Path, *, pyramid_levels: int = 7) -> Path:
    """Write a SavedModel that renders (x0 + x1) / 2 + TIES_UP at every time; return `folder`.

    Its motion is zero. The fusion's centre taps carry the two images to the output, and nothing else: values in
    [0, 1] pass the leaky ReLUs unchanged.
    """
    film = PlainFilm(
        pyramid_levels=pyramid_levels,
        fusion_pyramid_levels=2,
        specialized_levels=1,
        sub_levels=1,
        filters=3,
        flow_convs=(1, 1),
        flow_filters=(2, 2),
    )
    weights = {variable.name: np.zeros(variable.shape, np.float32) for variable in film.variables}
    image_0, image_1 = slice(0, 3), slice(3 + 3, 3 + 3 + 3)
    for image in (image_0, image_1):
        weights["fusion/conv2d_1/kernel:0"][1, 1, image] = np.eye(3) / 2
    weights["fusion/conv2d_2/kernel:0"][1, 1] = np.eye(3)
    weights["fusion/conv2d_3/kernel:0"][0, 0] = np.eye(3)
    weights["fusion/conv2d_3/bias:0"][:] = TIES_UP
    for variable in film.variables:
        variable.assign(weights[variable.name])
    return film.export(folder)


def average(one: Frame, other: Frame) -> Frame:
    """What the averaging film makes of two frames, to the bit, where each image is rounded once: a half rounds up."""
    doubled = one.astype(np.uint32) + other + 1
    return (doubled // 2).astype(np.uint8 if one.dtype == np.uint8 else np.uint16)


def moving_images(height: int, width: int, *, shift: int = 6, seed: int = 0) -> tuple[Pixels, Pixels]:
    """Two pictures (1, height, width, 3) in [0, 1]: smooth random colours, seen `shift` pixels apart."""
    noise = np.random.default_rng(seed).normal(size=(height, width + shift, 3))
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4.0))
    wide = np.clip(0.5 + 0.16 * smooth / smooth.std(), 0, 1).astype(np.float32)[np.newaxis]
    return wide[:, :, :width], wide[:, :, shift:]


def noise(height: int, width: int, *, depth: int = 8, seed: int = 0) -> Frame:
    """A frame of random bytes or 16-bit numbers."""
    random = np.random.default_rng(seed)
    if depth == 8:
        return random.integers(0, 2**8, (height, width, 3), np.uint8)
    return random.integers(0, 2**16, (height, width, 3), np.uint16)
