"""When the frames of a source are shown: the exact times behind those that its container keeps.

milliseconds     0   42   83  125  167      rounded: 24000/1001 frames a second, exactly
ticks of 1/18 s  0    1    2    4    5      exact: 18 frames a second, and one is missing
a phone          0   33   67  103  134      variable: the times are taken as they are
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

STANDARD_RATES = tuple(
    sorted(
        [Fraction(rate) for rate in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 200, 240)]
        + [Fraction(rate, 1001) for rate in (12000, 15000, 24000, 30000, 48000, 60000, 120000, 240000)]
        + [Fraction(25, 2)]
    )
)
"""Frame rates that cameras, broadcast and screens use, per second."""

_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class FrameTimes:
    """When each frame of a source is shown."""

    ticks: Sequence[int]
    """Presentation times in units of `time_base`, strictly ascending, the first one 0; a range at a constant rate."""
    time_base: Fraction
    """Seconds per tick."""
    end: int
    """The tick at which the last frame ends."""
    rounding: int
    """Ticks by which the container may have rounded a time: 1, or 0 where the times are exact."""
    usual_gap: int
    """Ticks between most neighbouring frames of the clip, at least 1."""
    rate: Fraction
    """Frames per second: the exact one at a constant rate, else the standard one nearest to the usual gap's."""

    @property
    def is_constant(self) -> bool:
        """Whether all frames stand at exact multiples of 1 / rate; some may be missing."""
        return self.rate * self.time_base == 1


def constant_rate(rate: Fraction, count: int) -> FrameTimes:
    """Frame times i / rate: a tick is a frame."""
    return FrameTimes(range(count), 1 / rate, count, 0, 1, rate)


def frame_times(
    ticks: Sequence[int],
    time_base: Fraction,
    *,
    last_duration: int | None,
    declared_rate: Fraction | None,
    usual_gap: int | None = None,
    starts: Sequence[int] = (0,),
) -> FrameTimes:
    """The times behind a container's ticks, of which there are two or more, strictly ascending.

    A clock that ticks once a frame is exact, AVI's say, and what it leaves out is missing: within one tick anything
    would fit. So is one on whose ticks the frames of the declared rate fall exactly.

    Other containers round: Matroska and WebM keep milliseconds, MPEG-TS cannot express 24000/1001. There the source
    counts as constant when a rate exists whose times differ from the container's by at most one tick each. Of all such
    rates the declared one is taken if it is standard, else the standard one nearest to the middle, else the declared
    one, else the simplest. Where no rate fits and all times are whole milliseconds, they count as rounded to those.

    `starts` are the frames, 0 among them, at which the container's clock began anew: what it rounded there adds up, so
    that only times after the same start are held against each other.

    `last_duration` of None or 0 means the usual gap, and `usual_gap` of None the median one: for a part, that of the
    clip is asked for, since a part may lie in a still.
    """
    ticks = tuple(tick - ticks[0] for tick in ticks)
    usual = usual_gap or median_gap(ticks)
    last = last_duration or usual
    if _is_exact(ticks, usual, time_base, declared_rate):
        rate = 1 / (usual * time_base)
        frames = tuple(tick // usual for tick in ticks)
        if frames[-1] == len(frames) - 1:
            return constant_rate(rate, len(frames))
        return FrameTimes(frames, 1 / rate, frames[-1] + max(round(Fraction(last, usual)), 1), 0, 1, rate)
    # |ticks[i] - i * period| <= 1 for every i bounds the period (in ticks) from both sides; frames that were rounded
    # to different ticks are at least half a tick apart.
    counted = list(_since_start(ticks, starts))
    shortest = max([Fraction(1, 2), *(Fraction(tick - 1, i) for i, tick in counted)])
    longest = min((Fraction(tick + 1, i) for i, tick in counted), default=Fraction(0))
    if shortest <= longest and shortest - 2 <= usual <= longest + 2:
        return constant_rate(
            _likely_rate(1 / (longest * time_base), 1 / (shortest * time_base), declared_rate), len(ticks)
        )
    # What was copied from Matroska into another container keeps the milliseconds that it was rounded to.
    finer = _MILLISECOND / time_base
    if finer > 1 and all(tick % finer == 0 for tick in ticks):
        return frame_times(
            [int(tick / finer) for tick in ticks],
            _MILLISECOND,
            last_duration=round(last / finer),
            declared_rate=declared_rate,
            usual_gap=round(usual / finer),
            starts=starts,
        )
    return FrameTimes(ticks, time_base, ticks[-1] + last, 1, usual, _usual_rate(ticks, usual, time_base, declared_rate))


def _since_start(ticks: Sequence[int], starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Frames and ticks since the last start, for every frame but those."""
    for start, end in pairwise((*starts, len(ticks))):
        yield from ((i, ticks[start + i] - ticks[start]) for i in range(1, end - start))


def median_gap(ticks: Sequence[int]) -> int:
    """The gap in the middle of all, of two ticks or more."""
    gaps = sorted(after - before for before, after in pairwise(ticks))
    return gaps[len(gaps) // 2]


def _is_exact(ticks: Sequence[int], usual: int, time_base: Fraction, declared: Fraction | None) -> bool:
    # A rate that is declared may be the mean over frames that are missing.
    on_its_ticks = usual == 1 or (declared is not None and declared * usual * time_base == 1)
    return on_its_ticks and all(tick % usual == 0 for tick in ticks)


def _likely_rate(low: Fraction, high: Fraction, declared: Fraction | None) -> Fraction:
    fits = [rate for rate in STANDARD_RATES if low <= rate <= high]
    if declared is not None and low <= declared <= high and (declared in fits or not fits):
        return declared
    if fits:
        return min(fits, key=lambda rate: abs(rate - (low + high) / 2))
    return _simplest_between(low, high)


def _usual_rate(ticks: Sequence[int], usual: int, time_base: Fraction, declared: Fraction | None) -> Fraction:
    """The rate of the gaps that are about as long as most: stills and missing frames do not slow it."""
    near = [gap for gap in (after - before for before, after in pairwise(ticks)) if usual < 2 * gap < 3 * usual]
    measured = len(near) / (sum(near) * time_base) if near else 1 / (usual * time_base)
    if declared in STANDARD_RATES and abs(1 / declared - 1 / measured) <= time_base:
        return declared
    return nearest_standard_rate(measured)


def nearest_standard_rate(rate: Fraction) -> Fraction:
    """The standard rate nearest to one; below all of them the nearest whole one, at least 1."""
    if rate < STANDARD_RATES[0]:
        return Fraction(max(round(rate), 1))
    return min(STANDARD_RATES, key=lambda standard: abs(standard - rate))


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator in [low, high], 0 < low <= high (Stern-Brocot descent)."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    below = math.floor(low)
    return below + 1 / _simplest_between(1 / (high - below), 1 / (low - below))
