"""How much of a picture cannot be told from another one, however that moved or was lit. Needs NumPy and OpenCV."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import cv2.typing
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

Image: TypeAlias = cv2.typing.MatLike
"""uint8 or float32, shape (height, width) or (height, width, channels)."""

_LONG, _SHORT = 128, 72
"""Pixels of a small picture, whatever the shape of its source: an optical flow of it takes a third of a millisecond."""
ALIKE = 0.2
"""Pictures that differ by less show the same."""
_TILE = 8
_BAR_RANGE, _BAR_LEVEL = 5, 40
_TILE_FLOOR = 0.5
"""Variance of a tile that comes from noise and rounding, and says nothing."""
_PIXEL_FLOOR, _PIXEL_SHARE = 0.5, 0.3
"""By how much a pixel's Y, U and V together may differ: levels of 8 bits, and times the contrast."""


@dataclass(frozen=True)
class SmallPicture:
    """What is kept of a picture."""

    luma: Image
    colours: Image
    """Y, U and V."""
    inside: Image
    """1 for the pixels between the black bars, 0 for others."""
    contrast: float
    """Standard deviation of the luma between the bars."""


class Shrinker:
    """Makes small pictures; one for all of a video, so that libswscale prepares once."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def shrink(self, picture: VideoFrame) -> SmallPicture:
        """Scale a picture of any size and pixel format."""
        width, height = (_LONG, _SHORT) if picture.width >= picture.height else (_SHORT, _LONG)
        small = self._reformatter.reformat(picture, width, height, "yuv444p", interpolation="AREA")
        planes = small.to_ndarray().reshape(3, height, width)
        inside = _inside(planes[0])
        _, deviation = cv2.meanStdDev(planes[0], mask=inside)
        return SmallPicture(planes[0], cv2.merge(list(planes)), inside, deviation.item())


class Likeness:
    """Compares small pictures."""

    def __init__(self) -> None:
        self._quick = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._thorough = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        rows, columns = np.mgrid[0:_LONG, 0:_LONG].astype(np.float32)
        self._grid = np.stack((columns, rows), axis=-1)

    def difference(self, before: SmallPicture, after: SmallPicture) -> float:
        """Tell how much of `after` is not in `before`, 0 (nothing) to 1.

        Two things must differ, however `before` is moved: the structure of a tile, which light leaves as it is, and the
        colour of a pixel, which stays beside a title that appears. What takes longer to find is tried last.
        """
        inside = before.inside | after.inside
        contrast = max(before.contrast, after.contrast)
        least = 1.0
        for moved in self._moved(before, after):
            colour = _colour(moved, after.colours, inside, contrast)
            least = min(least, colour if colour < ALIKE else colour * _structure(moved, after.luma, inside))
            if least < ALIKE:
                break
        return least

    def _moved(self, before: SmallPicture, after: SmallPicture) -> Iterator[Image]:
        """Yield the colours of `before` where they would be in `after`."""
        yield before.colours
        yield self._carried(self._quick, before.colours, before.luma, after.luma)
        yield self._carried(self._thorough, before.colours, before.luma, after.luma)
        # A pan that is too wide for a flow alone.
        shift, _ = cv2.phaseCorrelate(after.luma.astype(np.float32), before.luma.astype(np.float32))
        matrix = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]])
        height, width = after.luma.shape
        panned = cv2.warpAffine(before.colours, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        yield self._carried(self._thorough, panned, cv2.extractChannel(panned, 0), after.luma)

    def _carried(self, flow: cv2.DISOpticalFlow, colours: Image, luma: Image, truth: Image) -> Image:
        # The type hints do not tell that without a flow to begin with (None) the search begins at stillness.
        motion = flow.calc(truth, luma, None)  # type: ignore[call-overload]
        height, width = luma.shape
        places = self._grid[:height, :width] + motion
        return cv2.remap(colours, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _structure(moved: Image, truth: Image, inside: Image) -> float:
    """What share of the tiles' structure differs; a tile counts by its contrast."""
    one, other = cv2.extractChannel(moved, 0).astype(np.float32), truth.astype(np.float32)
    one_mean, other_mean = _tiles(one), _tiles(other)
    both = _tiles(one * one + other * other) - one_mean**2 - other_mean**2
    common = np.maximum(2 * (_tiles(one * other) - one_mean * other_mean), 0)
    differing = 1 - (common + _TILE_FLOOR) / (both + _TILE_FLOOR)
    weight = np.sqrt(np.maximum(both, 0)) * (_tiles(inside.astype(np.float32)) == 1)
    return float((differing * weight).sum() / (weight.sum() + 1e-6))


def _colour(moved: Image, truth: Image, inside: Image, contrast: float) -> float:
    """What share of the pixels differ."""
    # Adds up the channels, up to 255.
    difference = cv2.transform(cv2.absdiff(moved, truth), np.ones((1, 3)))
    differing = (difference > _PIXEL_FLOOR + _PIXEL_SHARE * contrast) & (inside == 1)
    return float(np.count_nonzero(differing) / np.count_nonzero(inside))


def _tiles(plane: Image) -> Image:
    """The mean of each tile."""
    height, width = plane.shape
    return cv2.resize(plane, (width // _TILE, height // _TILE), interpolation=cv2.INTER_AREA)


def _inside(luma: Image) -> Image:
    """Which pixels lie between black bars, without the row or column beside a bar; all of a picture that is black."""
    inside = np.ones(luma.shape, np.uint8)
    if min(luma[0].max(), luma[-1].max(), luma[:, 0].max(), luma[:, -1].max()) > _BAR_LEVEL:
        return inside
    for axis, lines in ((1, inside), (0, inside.T)):
        highest = cv2.reduce(luma, axis, cv2.REDUCE_MAX).ravel()
        lowest = cv2.reduce(luma, axis, cv2.REDUCE_MIN).ravel()
        lit = np.flatnonzero((highest > _BAR_LEVEL) | (highest - lowest > _BAR_RANGE))
        if not len(lit):
            return np.ones(luma.shape, np.uint8)
        if lit[0]:
            lines[: lit[0] + 1] = 0
        if lit[-1] + 1 < len(lines):
            lines[lit[-1] :] = 0
    return inside
