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
_BAR_RANGE, _BAR_LEVEL = 5, 24
_TILE_FLOOR = 0.2
"""Variance of a tile that comes from noise and rounding, and says nothing."""
_COLOUR_FLOOR, _COLOUR_SHARE = 0.5, 0.25
"""By how much a tile's Y, U and V together may differ: levels of 8 bits, and times the contrast."""

_MOVING_TILES = 4
"""Of 144: a mouth that speaks."""
_SLOPE_FLOOR = 0.25


@dataclass(frozen=True)
class SmallPicture:
    """What is kept of a picture."""

    colours: Image
    """Y, U and V, smoothed against grain."""
    luma: Image
    """Their Y."""
    inside: tuple[int, int, int, int]
    """First row, end, first column and end of what lies between black bars."""
    contrast: float
    """Standard deviation of the luma between the bars."""


class Shrinker:
    """Makes small pictures; one for all of a video, so that libswscale prepares once."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def shrink(self, picture: VideoFrame) -> SmallPicture:
        """Scale a picture of any size and pixel format."""
        width, height = (_LONG, _SHORT) if picture.width >= picture.height else (_SHORT, _LONG)
        small = self._reformatter.reformat(picture, width, height, "yuv444p", interpolation="AREA", threads=1)
        planes = small.to_ndarray().reshape(3, height, width)
        top, bottom, left, right = inside = _inside(planes[0])
        _, deviation = cv2.meanStdDev(planes[0][top:bottom, left:right])
        colours = cv2.blur(cv2.merge(list(planes)), (3, 3))
        return SmallPicture(colours, cv2.extractChannel(colours, 0), inside, deviation.item())


class Likeness:
    """Compares small pictures."""

    def __init__(self) -> None:
        self._quick = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._thorough = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._rows, self._columns = np.mgrid[0:_LONG, 0:_LONG].astype(np.float32)

    def difference(self, before: SmallPicture, after: SmallPicture) -> float:
        """Tell how much of `after` is not in `before`, 0 (nothing) to 1.

        Two things must differ, however `before` is moved: the structure of a tile, which light leaves as it is, and the
        colour of a pixel, which stays beside a title that appears. What takes longer to find is tried last.
        """
        one, other = _without_bars(before, after)
        least = 1.0
        for moved in self._moved(one, other):
            colour = _colour(moved, other, max(before.contrast, after.contrast))
            least = min(least, colour if colour < ALIKE else colour * _structure(moved, other))
            if least < ALIKE:
                break
        return least

    def _moved(self, picture: Image, truth: Image) -> Iterator[Image]:
        """Yield a picture in the ways that it might have become another one."""
        yield picture
        yield self._carried(self._quick, picture, truth)
        yield self._carried(self._thorough, picture, truth)
        yield self._carried(self._thorough, _panned(picture, truth), truth)

    def _carried(self, flow: cv2.DISOpticalFlow, picture: Image, truth: Image) -> Image:
        luma, true_luma = cv2.extractChannel(picture, 0), cv2.extractChannel(truth, 0)
        # The type hints do not tell that without a flow to begin with (None) the search begins at stillness.
        motion = flow.calc(true_luma, luma, None)  # type: ignore[call-overload]
        height, width = luma.shape
        right, down = self._columns[:height, :width] + motion[..., 0], self._rows[:height, :width] + motion[..., 1]
        return cv2.remap(picture, right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def motion(before: SmallPicture, after: SmallPicture) -> float:
    """Tell how strongly the most moving tiles move, in levels of 8 bits.

    It is the part of their difference that a shift explains, so noise and what coding leaves hardly count. A small
    shift counts by its length and the contrast; a great one by the contrast alone.
    """
    luma = after.luma.astype(np.float32)
    difference = luma - before.luma
    right, down = cv2.Scharr(luma, cv2.CV_32F, 1, 0, scale=1 / 32), cv2.Scharr(luma, cv2.CV_32F, 0, 1, scale=1 / 32)
    means = _tiles(cv2.merge([difference * right, difference * down, right * right + down * down]))
    shift = np.hypot(means[..., 0], means[..., 1]) / np.sqrt(means[..., 2] + _SLOPE_FLOOR)
    return float(np.partition(shift, -_MOVING_TILES, axis=None)[-_MOVING_TILES:].mean())


def _panned(picture: Image, truth: Image) -> Image:
    """Shift a picture, by up to two fifths of its size, to where the greatest part of another one fits best."""
    luma, true_luma = cv2.extractChannel(picture, 0), cv2.extractChannel(truth, 0)
    height, width = luma.shape
    best, right, down = -1.0, 0, 0
    for top, bottom, left, rest in ((0.2, 0.8, 0, 0.6), (0.2, 0.8, 0.4, 1), (0, 0.6, 0.2, 0.8), (0.4, 1, 0.2, 0.8)):
        row, column = round(top * height), round(left * width)
        part = true_luma[row : round(bottom * height), column : round(rest * width)]
        _, fit, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(luma, part, cv2.TM_CCOEFF_NORMED))
        if fit > best:
            best, right, down = fit, column - x, row - y
    shift = np.array([[1.0, 0, right], [0, 1, down]])
    return cv2.warpAffine(picture, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _structure(moved: Image, truth: Image) -> float:
    """What share of the tiles' structure differs; a tile counts by its contrast."""
    one, other = (cv2.extractChannel(image, 0).astype(np.float32) for image in (moved, truth))
    one_mean, other_mean = _tiles(one), _tiles(other)
    both = _tiles(one * one + other * other) - one_mean**2 - other_mean**2
    common = np.maximum(2 * (_tiles(one * other) - one_mean * other_mean), 0)
    differing = 1 - (common + _TILE_FLOOR) / (both + _TILE_FLOOR)
    weight = np.sqrt(np.maximum(both, 0))
    return float((differing * weight).sum() / (weight.sum() + 1e-6))


def _colour(moved: Image, truth: Image, contrast: float) -> float:
    """What share of the picture differs in colour: of the tiles, which grain leaves, or of the pixels if fewer do."""
    difference = cv2.absdiff(moved, truth)
    allowed = _COLOUR_FLOOR + _COLOUR_SHARE * contrast
    means = np.abs(_tiles(moved.astype(np.float32)) - _tiles(truth.astype(np.float32)))
    tiles = np.count_nonzero(means.sum(axis=-1) > allowed) / means[..., 0].size
    # Adds up the channels, up to 255.
    pixels = np.count_nonzero(cv2.transform(difference, np.ones((1, 3))) > allowed) / difference[..., 0].size
    return float(min(tiles, pixels))


def _tiles(plane: Image) -> Image:
    """The mean of each tile."""
    height, width = plane.shape[:2]
    return cv2.resize(plane, (width // _TILE, height // _TILE), interpolation=cv2.INTER_AREA)


def _inside(luma: Image) -> tuple[int, int, int, int]:
    """Where the black bars end; all of a picture that is black."""
    height, width = luma.shape
    if min(luma[0].max(), luma[-1].max(), luma[:, 0].max(), luma[:, -1].max()) > _BAR_LEVEL:
        return 0, height, 0, width
    (top, bottom), (left, right) = (_lit(luma, axis) for axis in (1, 0))
    return top, bottom, left, right


def _lit(luma: Image, axis: int) -> tuple[int, int]:
    """First and end of the lines, along an axis, that are no bar; without the two that a bar blurs into."""
    highest, lowest = (cv2.reduce(luma, axis, kind).ravel() for kind in (cv2.REDUCE_MAX, cv2.REDUCE_MIN))
    lines = np.flatnonzero((highest > _BAR_LEVEL) | (highest - lowest > _BAR_RANGE))
    if len(lines) < _TILE:
        return 0, len(highest)
    first, end = int(lines[0]), int(lines[-1]) + 1
    return first + 2 * (first > 0), end - 2 * (end < len(highest))


def _without_bars(before: SmallPicture, after: SmallPicture) -> tuple[Image, Image]:
    """Colours of two pictures without the bars that both have, at the size of a small picture all the same."""
    height, width = before.colours.shape[:2]
    top, left = (min(before.inside[n], after.inside[n]) for n in (0, 2))
    bottom, right = (max(before.inside[n], after.inside[n]) for n in (1, 3))
    if (top, bottom, left, right) == (0, height, 0, width):
        return before.colours, after.colours
    one, other = (cv2.resize(picture.colours[top:bottom, left:right], (width, height)) for picture in (before, after))
    return one, other
