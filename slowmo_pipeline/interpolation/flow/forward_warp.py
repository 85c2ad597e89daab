"""Carrying a motion field that is known at one frame to a time between the frames."""

from functools import lru_cache
from typing import TypeAlias

import cv2
import cv2.typing
import numpy as np

from slowmo_pipeline.interpolation.flow.parameters import PARAMETERS

Field: TypeAlias = cv2.typing.MatLike
"""float32 values at each pixel, (height, width) or (height, width, channels). A motion field's channels are (dx, dy).

MatLike, as OpenCV's type hints do not tell one type of number from another."""


_SMALLEST_LEVEL = 8
"""Pixels on the shorter side below which a level is not halved again: its mean stands for all that is coarser."""


@lru_cache(maxsize=2)
def pixel_grid(height: int, width: int) -> Field:
    """Each pixel's own (x, y), shape (height, width, 2), read-only. Kept for the two sizes, full and half, in use."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grid = np.dstack([x, y])
    grid.flags.writeable = False
    return grid


def sample(values: Field, where: Field, interpolation: int = cv2.INTER_LINEAR, out: Field | None = None) -> Field:
    """Look `values` up at the (x, y) of `where`; outside, the border repeats. `out` receives the result if given."""
    # The second map must be None, which the type hints leave out: OpenCV 5.0 reads beyond an empty array.
    found: Field = cv2.remap(  # type: ignore[call-overload]
        values, where, None, interpolation, dst=out, borderMode=cv2.BORDER_REPLICATE
    )
    return found


def forward_warp(motion: Field, share: float, weight: Field) -> tuple[Field, Field]:
    """Move each vector of `motion` along `share` of itself, and read off which motion passes each pixel there.

    Where several vectors land, their mean by `weight` (height, width; positive) counts: let occluded pixels weigh
    little, and the surface in front of them wins. Where none lands, coarser and coarser means of the surroundings
    fill in (pull-push: Gortler et al., "The Lumigraph", 1996).

    Returns the motion and the mean of the weight itself, both at the pixels.
    """
    height, width = weight.shape
    landing = np.rint(cv2.scaleAdd(motion, share, pixel_grid(height, width))).astype(np.int32)
    x, y = landing[..., 0], landing[..., 1]
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    target = np.where(outside, height * width, y * width + x).ravel()

    def landed(values: Field) -> Field:
        sums = np.bincount(target, values.ravel(), minlength=height * width + 1)[:-1]
        return sums.astype(np.float32).reshape(height, width)

    dx, dy = cv2.split(motion)
    sums = cv2.merge([landed(values) for values in (weight * dx, weight * dy, weight * weight, weight)])
    dx, dy, mean_weight, _ = cv2.split(_means(cv2.GaussianBlur(sums, (0, 0), PARAMETERS.landing_sigma)))
    return cv2.merge([dx, dy]), mean_weight


def _means(sums: Field) -> Field:
    """`sums` over its own last channel, the weight that landed; where that is little, coarser means count as well."""
    height, width, channels = sums.shape
    if min(height, width) < _SMALLEST_LEVEL:
        coarser = np.broadcast_to(_overall_mean(sums), sums.shape)
    else:
        coarser = cv2.resize(_means(cv2.pyrDown(sums)), (width, height), interpolation=cv2.INTER_LINEAR)
    leaning = cv2.scaleAdd(coarser, PARAMETERS.coarser_weight, sums)
    return cv2.divide(leaning, cv2.merge([cv2.extractChannel(leaning, channels - 1)] * channels))


def _overall_mean(sums: Field) -> Field:
    """One value for each channel; stillness if nothing landed at all."""
    total = sums.sum(axis=(0, 1))
    if total[-1] == 0:
        total[-1] = 1
    means: Field = total / total[-1]
    return means
