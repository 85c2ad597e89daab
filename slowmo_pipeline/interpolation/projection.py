"""Carrying a motion field, known at one frame, to a time between the frames."""

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
"""Values at each pixel, shape (height, width) or (height, width, channels)."""

_COARSER_WEIGHT = 0.01
"""How much the next coarser level counts against a level's own values: less than any pixel that something landed on,
more than the far tail of the blur around it."""


def pixel_grid(height: int, width: int) -> Field:
    """Each pixel's own (x, y), shape (height, width, 2)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([x, y])


def carry(flow: Field, share: float, weight: Field) -> tuple[Field, Field]:
    """Move each vector of `flow` (height, width, 2) along `share` of itself and read the field off at the pixels.

    Where several vectors land, the weighted mean by `weight` (height, width) > 0 is taken: an occluded pixel should
    weigh little, so the surface in front of it wins. Where none lands, the surroundings fill in, coarser and coarser
    (the pull-push of Gortler et al., "The Lumigraph", 1996).

    Returns the carried vectors and the mean weight of what landed.
    """
    height, width = weight.shape
    landing = np.rint(pixel_grid(height, width) + np.float32(share) * flow).astype(np.int32)
    x, y = landing[..., 0], landing[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    target = (y * width + x)[inside]
    mass = weight[inside]

    def sums(values: Field) -> Field:
        return np.bincount(target, mass * values[inside], height * width).reshape(height, width).astype(np.float32)

    landed = np.dstack([sums(flow[..., 0]), sums(flow[..., 1]), sums(weight), sums(np.ones_like(weight))])
    carried = _fill(cv2.GaussianBlur(landed, (0, 0), 1.0))
    return np.ascontiguousarray(carried[..., :2]), np.ascontiguousarray(carried[..., 2])


def _fill(landed: Field) -> Field:
    """Divide the sums in `landed` by the weights in its last channel, leaning on coarser levels where these are small."""
    sums, weight = landed[..., :-1], landed[..., -1:]
    if min(weight.shape[:2]) == 1:
        return sums / np.maximum(weight, np.finfo(np.float32).tiny)
    height, width = weight.shape[:2]
    coarser = cv2.resize(_fill(cv2.pyrDown(landed)), (width, height), interpolation=cv2.INTER_LINEAR)
    return (sums + _COARSER_WEIGHT * coarser) / (weight + _COARSER_WEIGHT)
