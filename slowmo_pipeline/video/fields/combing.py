"""How combed pictures are when their fields are woven, one with another.

    moments    0      1        2      3        4      5       fields of three pictures, top field first
               T0     B0       T1     B1       T2     B2
    within     T0 ─── B0                                      a picture as it is
    top               B0 ───── T1                             one's bottom field and the next one's top field
    bottom     T0 ──────────────────── B1                     its top field and the next one's bottom field
    far_top           B0 ───────────────────── T2             the same with the one after the next
    far_bottom T0 ──────────────────────────────────── B2

A sample is combed where it is brighter than both lines around it, or darker, while something moves there, and the next
sample of its field is, too: else it is a thin line, or noise. What counts is how many there are in a block.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

_Samples = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]

_COMBED = 8
"""Of 255: how much brighter or darker than both lines around it a combed sample is."""

_MOVED = 5
"""Of 255: by how much a sample changes from a picture to the next where something moves."""

_LINES, _COLUMNS = 8, 16
"""Of a field, in a block."""

_NOISE = 4
"""Combed samples of a block that do not count."""

_WIDTH = 480
"""Samples of a line that are looked at, at most: of wider pictures every second, third and so on."""


class Combing(NamedTuple):
    """Combed samples beyond noise, for each picture; 0 where a picture that would be woven in is missing."""

    within: list[int]
    top: list[int]
    bottom: list[int]
    far_top: list[int]
    far_bottom: list[int]


class _Fields(NamedTuple):
    top: _Samples
    bottom: _Samples
    """But for its last line, which has no other below it."""
    brightest: _Samples
    """What is brighter is combed: of the lines above and below each one of `bottom`."""
    darkest: _Samples

    @classmethod
    def of(cls, picture: VideoFrame) -> "_Fields":
        luma = (
            picture.reformat(format="gray")
            .to_ndarray()
            .astype(np.uint8, copy=False)[: picture.height // 2 * 2, :: -(-picture.width // _WIDTH)]
        )
        top, bottom = luma[0::2], luma[1:-1:2]
        high, low = np.maximum(top[:-1], top[1:]), np.minimum(top[:-1], top[1:])
        return cls(
            top,
            bottom,
            np.minimum(high, 255 - _COMBED) + np.uint8(_COMBED),
            np.maximum(low, _COMBED) - np.uint8(_COMBED),
        )


def measured(pictures: Iterable[VideoFrame]) -> Combing:
    """Measure pictures of one size. Memory does not grow with their number, but for the results."""
    combing = Combing([], [], [], [], [])
    earlier: _Fields | None = None
    before: _Fields | None = None
    moved: _Mask | None = None
    for fields in map(_Fields.of, pictures):
        for numbers in combing:
            numbers.append(0)
        if before is not None:
            moving = _moving(before, fields)
            combing.within[-2] = max(combing.within[-2], _combed(before, before.bottom, moving))
            combing.within[-1] = _combed(fields, fields.bottom, moving)
            combing.top[-2] = _combed(fields, before.bottom, moving)
            combing.bottom[-2] = _combed(before, fields.bottom, moving)
            if earlier is not None and moved is not None:
                combing.far_top[-3] = _combed(fields, earlier.bottom, moving | moved)
                combing.far_bottom[-3] = _combed(earlier, fields.bottom, moving | moved)
            moved = moving
        earlier, before = before, fields
    return combing


def _moving(before: _Fields, after: _Fields) -> _Mask:
    """Where something moves: at the lines of the bottom fields, and at those above and below."""
    top, bottom = _distance(before.top, after.top), _distance(before.bottom, after.bottom)
    return np.maximum(np.maximum(top[:-1], top[1:]), bottom) > _MOVED


def _distance(one: _Samples, other: _Samples) -> _Samples:
    return np.maximum(one, other) - np.minimum(one, other)


def _combed(around: _Fields, bottom: _Samples, moving: _Mask) -> int:
    brighter, darker = (bottom > around.brightest) & moving, (bottom < around.darkest) & moving
    mask = (brighter[:-1] & brighter[1:]) | (darker[:-1] & darker[1:])
    rows = np.add.reduceat(mask, range(0, mask.shape[0], _LINES), axis=0, dtype=np.int32)
    blocks = np.add.reduceat(rows, range(0, mask.shape[1], _COLUMNS), axis=1)
    return int(np.maximum(blocks - _NOISE, 0).sum())
