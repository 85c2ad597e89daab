"""Which pairs of frames make the times wanted between two frames.

The published weights were trained at t = 0.5 only, and far from it they are worse. So the time nearest the middle is
made first; what lies before and after it is then made between that new frame and its neighbour, the same way:

    wanted    1/5 2/5 3/5 4/5         2/5 from (0, 1) at t = 2/5;   1/5 from (0, 2/5) at t = 1/2
                                      3/5 from (2/5, 1) at t = 1/3; 4/5 from (3/5, 1) at t = 1/2

With 1, 3, 7, … evenly spaced times this is plain halving, and t is 1/2 every time. Where only some of the new frames
are to be returned, those are made as well from which they are made, and no others.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TypeVar

T = TypeVar("T")

_MIDDLE = Fraction(1, 2)


def between(
    before: T, after: T, times: Sequence[Fraction], make: Callable[[T, T, Fraction], T], *, returned: range
) -> Iterator[T]:
    """Yield what is wanted between `before` (time 0) and `after` (time 1), in order.

    `times` ascend, 0 < t < 1; `returned` are places in it, without steps. `make(a, b, t)` makes one frame; its t is
    relative to its a and b. At most log2(len(times)) + 1 made frames are alive at once when the times are evenly
    spaced.
    """
    if not returned:
        return
    nearest = min(range(len(times)), key=lambda index: abs(times[index] - _MIDDLE))
    t = times[nearest]
    made = make(before, after, t)
    earlier = range(returned.start, min(returned.stop, nearest))
    later = range(max(returned.start - nearest - 1, 0), returned.stop - nearest - 1)
    yield from between(before, made, [time / t for time in times[:nearest]], make, returned=earlier)
    if nearest in returned:
        yield made
    yield from between(made, after, [(time - t) / (1 - t) for time in times[nearest + 1 :]], make, returned=later)
