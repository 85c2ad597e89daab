"""How long the rest of a stage takes, from when its units came."""

import time
from collections import deque
from itertools import pairwise
from typing import NamedTuple

_WINDOW_SECONDS = 30.0
_BURST_SECONDS = (0.5, 3.0)
"""How long a burst lasts at least and at most."""


class _Burst(NamedTuple):
    """Units that came together, as those of several workers do."""

    began: float
    ended: float
    done: int
    """How many were finished at its end, counted from the stage's start."""


class Estimate:
    """The seconds left of one stage.

    The pace is that of the last half of the stage, or of its last half minute if that is longer. It is measured from
    burst to burst: until the second one, what a stage does before its first unit, such as loading a model, counts.
    Between bursts the estimate counts down; once one is overdue, later than any in the window, it grows.
    """

    def __init__(self, done: int) -> None:
        """Starts a stage that finds `done` units finished, of an earlier run, which tell nothing of the pace."""
        now = time.monotonic()
        self._done = done
        self._started = _Burst(now, now, done)
        self._bursts: deque[_Burst] = deque()

    def update(self, done: int) -> None:
        """So many units are finished now."""
        if done == self._done:
            return
        now, self._done = time.monotonic(), done
        if self._bursts and now - self._bursts[-1].began <= self._burst_seconds():
            self._bursts[-1] = _Burst(self._bursts[-1].began, now, done)
            return
        self._bursts.append(_Burst(now, now, done))
        kept_from = now - max(_WINDOW_SECONDS, (now - self._started.began) / 2)
        while len(self._bursts) > 3 and self._bursts[1].ended < kept_from:
            self._bursts.popleft()

    def seconds_left(self, total: int) -> float | None:
        """Seconds until `total` units are finished; None while nothing can be said, or when it should be over."""
        if self._done >= total:
            return 0.0 if total else None
        if not self._bursts or self._done <= self._base.done:
            return None
        seconds, units = self._bursts[-1].ended - self._base.ended, self._done - self._base.done
        waited, patience = time.monotonic() - self._bursts[-1].ended, self._longest_wait()
        left = seconds / units * (total - self._done) - min(waited, patience)
        return left * max(1.0, waited / patience) if left > 0 and patience > 0 else None

    @property
    def _base(self) -> _Burst:
        """Where the pace is measured from."""
        return self._bursts[0] if len(self._bursts) > 1 else self._started

    def _longest_wait(self) -> float:
        known = pairwise([self._base, *self._bursts])
        return max(later.began - earlier.ended for earlier, later in known)

    def _burst_seconds(self) -> float:
        """Within what time units count as one burst: a fifth of the longest wait."""
        least, most = _BURST_SECONDS
        return min(max(least, self._longest_wait() / 5), most)


def duration(seconds: float) -> str:
    """Such as "2 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
