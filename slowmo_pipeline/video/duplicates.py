"""Finding frames that repeat the one before them: animation on twos, pulldown, what a camera dropped.

    difference to the frame before   9  0  8  1  9  0  8     on twos: every second one is a repeat
                                     9  8  0  9  8  9        one frame was dropped, and filled
                                     9  0  0  0  0  0  9     a still: nothing is missing
                                     2  1  2  1  2  2  1     noise, or a dark scene: nothing to go by

A repeat differs from the frame before by what encoding adds, and much less than its neighbours on both sides do.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from slowmo_pipeline.video.likeness import SmallPicture

_MOST_IN_A_ROW = 4
"""More frames that stay the same are a still."""
_TILE = 4
"""Pixels of a small picture: small enough for one hand to fill."""
_NEAR = _MOST_IN_A_ROW + 1
"""Frames to either side in which something must move."""
_MOVES = 6.0
"""Levels of 255 by which a tile changes where something moves, at least: more than noise and encoding do."""
_SHARE = 0.25
"""Of the least that moves nearby: what a repeat may differ by."""


class RepeatFinder:
    """Tells which of the pictures are repeats. Memory does not grow with them, but for one number each."""

    def __init__(self) -> None:
        # Imports NumPy and OpenCV: only where repeats are looked for.
        from slowmo_pipeline.video.likeness import Shrinker

        self._shrinker = Shrinker()
        self._before: SmallPicture | None = None
        self._changes: list[float] = []

    def add(self, picture: VideoFrame) -> None:
        """Take the next picture, of any pixel format."""
        small = self._shrinker.shrink(picture)
        self._changes.append(0.0 if self._before is None else _largest_change(self._before, small))
        self._before = small

    def repeats(self) -> list[int]:
        """Numbers of the pictures that show the one before them once more, ascending."""
        return repeats_in(self._changes)


def repeats_in(changes: list[float]) -> list[int]:
    """The repeats among pictures, by how much each differs from the one before it, in levels of 255."""
    found = [number for number in range(1, len(changes)) if _is_small(changes, number)]
    runs = ([number for _, number in run] for _, run in groupby(enumerate(found), key=lambda each: each[1] - each[0]))
    return [number for run in runs if _are_repeats(changes, run) for number in run]


def _largest_change(before: SmallPicture, after: SmallPicture) -> float:
    """By how many levels of 255 the tile differs that differs most."""
    import cv2

    height, width = before.luma.shape[:2]
    difference = cv2.absdiff(before.luma, after.luma)
    tiles = cv2.resize(difference, (width // _TILE, height // _TILE), interpolation=cv2.INTER_AREA)
    return float(tiles.max())


def _is_small(changes: list[float], number: int) -> bool:
    sides = changes[max(number - _NEAR, 1) : number], changes[number + 1 : number + 1 + _NEAR]
    least = min(max(side, default=0.0) for side in sides)
    return least >= _MOVES and changes[number] <= _SHARE * least


def _are_repeats(changes: list[float], run: list[int]) -> bool:
    """Whether a run of small changes stands alone: motion that fades away and comes back is none."""
    beside = min(changes[run[0] - 1], changes[run[-1] + 1])
    largest = max(changes[number] for number in run)
    return len(run) <= _MOST_IN_A_ROW and beside >= _MOVES and largest <= _SHARE * beside
