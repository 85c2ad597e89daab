"""Finding cuts: a score for each gap between neighbouring frames, made while pictures are decoded.

Imports NumPy and OpenCV when the first scorer is made, not before.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from slowmo_pipeline.video.likeness import SmallPicture

CUT_THRESHOLD = 0.5
"""A cut lies in a gap whose score, 0..1, is at least this."""

_REACH = 4
"""Frames within which a flash is over, and within which a fade shows as one."""
_DOUBTFUL = 0.25
"""Below this nothing is looked at twice."""


class CutScorer:
    """Tells how surely a cut lies in each gap between neighbouring frames.

    And how much moves in each, from the same small pictures. Memory does not grow with the number of pictures, but for
    two numbers a gap.
    """

    def __init__(self) -> None:
        from slowmo_pipeline.video.likeness import Likeness, Shrinker, motion

        self._motion = motion
        self._shrinker = Shrinker()
        self._likeness = Likeness()
        self._recent: deque[SmallPicture] = deque(maxlen=2 * _REACH)
        self._count = 0
        self._scores: list[float] = []
        """Those of the last gaps are judged when the pictures after them are known."""
        self._motions: list[float] = []

    def add(self, picture: VideoFrame) -> None:
        """Take the next picture, of any pixel format."""
        small = self._shrinker.shrink(picture)
        if self._recent:
            self._scores.append(self._likeness.difference(self._recent[-1], small))
            self._motions.append(self._motion(self._recent[-1], small))
        self._recent.append(small)
        self._count += 1
        if self._count > _REACH:
            gap = self._count - 1 - _REACH
            self._scores[gap] = self._judged(gap)

    def scores(self) -> list[float]:
        """One for each gap, 0..1, rounded to two decimals. Gap n lies between frames n and n + 1."""
        judged = max(self._count - _REACH, 0)
        ahead = [self._judged(gap) for gap in range(judged, len(self._scores))]
        return [round(score, 2) for score in self._scores[:judged] + ahead]

    def motions(self) -> list[float]:
        """How much moves in each gap, in levels of 8 bits, rounded to two decimals: what `repeated_frames` takes."""
        return [round(level, 2) for level in self._motions]

    def _judged(self, gap: int) -> float:
        score = self._scores[gap]
        if score < _DOUBTFUL:
            return score
        oldest = self._count - len(self._recent)
        middle = gap + 1 - oldest
        pictures = list(self._recent)
        before, after = pictures[max(middle - _REACH, 0) : middle], pictures[middle : middle + _REACH]
        return min(score * _part_of_fade(before, after), self._beyond_flash(before, after))

    def _beyond_flash(self, before: list[SmallPicture], after: list[SmallPicture]) -> float:
        """How much the pictures before and after a flash differ that the gap is a side of; 1 without a flash."""
        shown = before + after
        lowest = 1.0
        for first in range(len(before)):
            for last in range(len(before), min(len(shown), first + _REACH + 1)):
                between = shown[first + 1 : last]
                if between and all(_only_brighter(shown[first], shown[last], flash) for flash in between):
                    lowest = min(lowest, self._likeness.difference(shown[first], shown[last]))
        return lowest


def _only_brighter(before: SmallPicture, after: SmallPicture, flash: SmallPicture) -> bool:
    """Whether light was added nearly everywhere."""
    least = (before.luma // 2 + after.luma // 2).astype(int)
    return float((flash.luma < least - 4).mean()) < 0.1 and float(flash.luma.mean()) > least.mean() + 4


def _part_of_fade(before: list[SmallPicture], after: list[SmallPicture]) -> float:
    """By how much less contrast there is beside a flat picture than a few frames off; 1 without a flat picture."""
    near, far = before[::-1], after
    if near[0].contrast < far[0].contrast:
        near, far = far, near
    if far[0].contrast >= 0.3 * near[0].contrast:
        return 1.0
    return near[0].contrast / max(picture.contrast for picture in near)
