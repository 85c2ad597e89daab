"""Carrying a motion field that is known at one frame to a time between the frames."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from slowmo_pipeline.interpolation.tuning import TUNING

Field: TypeAlias = npt.NDArray[np.float32]
"""Values at each pixel: (height, width) or (height, width, channels). A motion field has the channels (dx, dy)."""


def pixel_grid(height: int, width: int) -> Field:
    """Each pixel's own (x, y), shape (height, width, 2)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.merge([x, y])


def sample(values: Field, where: Field, interpolation: int = cv2.INTER_LINEAR, out: Field | None = None) -> Field:
    """Look `values` up at the (x, y) of `where`; outside, the border repeats. `out` receives the result if given."""
    return cv2.remap(values, where, None, interpolation, dst=out, borderMode=cv2.BORDER_REPLICATE)


def carry(motion: Field, share: float, weight: Field) -> tuple[Field, Field]:
    """Move each vector of `motion` along `share` of itself, and read off which motion passes each pixel there.

    Where several vectors land, their mean by `weight` (height, width; positive) counts: let occluded pixels weigh
    little, and the surface in front of them wins. Where none lands, coarser and coarser means of the surroundings
    fill in (pull-push: Gortler et al., "The Lumigraph", 1996).

    Returns the motion and the mean of the weight itself, both at the pixels.
    """
    height, width = weight.shape
    landing = np.rint(cv2.scaleAdd(motion, share, pixel_grid(height, width))).astype(np.int32)
    x, y = landing[..., 0], landing[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    target = (y * width + x)[inside]
    landed_weight = weight[inside]

    def landed(values: Field) -> Field:
        sums = np.bincount(target, values, minlength=height * width)
        return sums.astype(np.float32).reshape(height, width)

    products = [landed_weight * channel[inside] for channel in (motion[..., 0], motion[..., 1], weight)]
    sums = cv2.merge([landed(values) for values in (*products, landed_weight)])
    means = _divided(cv2.GaussianBlur(sums, (0, 0), TUNING.landing_sigma))
    return np.ascontiguousarray(means[..., :2]), np.ascontiguousarray(means[..., 2])


def _divided(sums: Field) -> Field:
    """The first channels of `sums` over the last one, which counts what landed; where that is little, coarser means."""
    values, weight = sums[..., :-1], sums[..., -1:]
    height, width = sums.shape[:2]
    if height == 1 or width == 1:
        return values / np.maximum(weight, np.finfo(np.float32).tiny)
    coarser = cv2.resize(_divided(cv2.pyrDown(sums)), (width, height), interpolation=cv2.INTER_LINEAR)
    means: Field = (values + TUNING.coarser_weight * coarser) / (weight + TUNING.coarser_weight)
    return means
