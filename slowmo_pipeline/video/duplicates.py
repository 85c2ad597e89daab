"""Recognising repeated frames: those that show the same as the one before while the footage around them moves."""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

_LONGEST_HOLD = 5
"""Frames. What stays longer is at rest."""
_LEAST_MOTION = 2.0
"""Levels of 8 bits. Beside less motion than this nothing is a repeat."""
_SHARE = 0.25
"""What coding leaves of motion in a repeat is at most this share of the motion beside it."""

_HOLDS_OF_A_PATTERN = 3


def repeated_frames(motions: Sequence[float], cuts: Collection[int] = ()) -> list[int]:
    """The numbers of the frames that repeat the one before them, ascending.

    `motions` holds what `CutScorer.motions` tells, one for each gap; `cuts` the gaps that hold a cut, which is no
    motion. A hold of two to five frames counts when the footage moves on both sides of it. At the ends of a shot one
    side is enough, if the shot has three such holds elsewhere, and for holds no longer than those.

        motions     5.1   0.2   4.8   0.3   5.0
        frames    0     1     2     3     4     5     frame 2 repeats frame 1, frame 4 repeats frame 3
    """
    ends = [-1, *sorted(cuts), len(motions)]
    shots = [(before + 1, after) for before, after in pairwise(ends)]
    return [first + gap + 1 for first, end in shots for gap in _still_gaps(motions[first:end])]


def _still_gaps(motions: Sequence[float]) -> list[int]:
    """The gaps of one shot in which nothing moves though it should."""
    holds = list(_holds(motions))
    gaps = {gap for hold in holds for gap in hold}
    longest = max(map(len, holds)) if len(holds) >= _HOLDS_OF_A_PATTERN else 0
    for length in range(1, longest + 1):
        start, end = range(length), range(len(motions) - length, len(motions))
        for hold, beside in ((start, start.stop), (end, end.start - 1)):
            if _is_still(motions, hold, motions[beside]):
                gaps.update(hold)
    return sorted(gaps)


def _holds(motions: Sequence[float]) -> Iterator[range]:
    """Yield the gaps of each hold with motion on both sides."""
    for before in range(len(motions)):
        for after in range(before + 2, min(before + 1 + _LONGEST_HOLD, len(motions))):
            hold = range(before + 1, after)
            if _is_still(motions, hold, min(motions[before], motions[after])):
                yield hold


def _is_still(motions: Sequence[float], hold: range, beside: float) -> bool:
    return beside >= _LEAST_MOTION and all(motions[gap] <= _SHARE * beside for gap in hold)
