"""When the frames made of fields are shown.

    fields     0  1  2  3  4  5  6  7  8  9  10         of 3:2 pulldown, 59.94 a second
    groups     A--A  B--B--B  C--C  D--D--D  E          are shown for two fields and three in turn
    film       A      .B      C      .D      E          was taken evenly: a frame every 2.5 fields

So the frames of a cycle follow each other evenly. Times are exact: ticks are divided where need be.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from slowmo_pipeline.video.fields.cadence import INTERLACED, Run

_PARTS = 8
"""Of a picture: fields begin at halves, the frames of four that share five pictures at eighths."""

_FIELD_RATES = (Fraction(50), Fraction(60000, 1001), Fraction(60), Fraction(48), Fraction(48000, 1001))
"""Fields a second that are usual."""

_STRETCH = 10
"""Steps of three fields and of two in turn: fewer in a row may be chance."""


class Times(NamedTuple):
    """When pictures or frames are shown."""

    ticks: Sequence[int]
    time_base: Fraction
    """Seconds per tick."""
    last_duration: int | None
    """Ticks; None where the source does not say."""
    declared_rate: Fraction | None
    """A second."""


class _Clock(NamedTuple):
    """Times after that of the first picture, which `_PARTS` divides."""

    times: list[int]
    end: int
    """Of the last picture."""
    unit: Fraction
    """Seconds."""

    def at(self, place: int) -> int:
        """The time of a place, counted in parts of pictures; before the first one they are as long as that."""
        picture, part = (0, place) if place < 0 else divmod(place, _PARTS)
        after = self.times[picture + 1] if picture + 1 < len(self.times) else self.end
        return self.times[picture] + (after - self.times[picture]) // _PARTS * part


def is_pulled_down(pictures: Times) -> bool:
    """Whether pictures are shown for three fields and two in turn, as players are told for film on a 60 Hz screen."""
    clock = _on_grid(pictures)
    return clock is not None and _evened(clock) != clock


def times_of_frames(pictures: Times, runs: Sequence[Run]) -> Times:
    """The times of the frames that pictures make, whose fields, two a picture, these runs group."""
    on_grid = _on_grid(pictures)
    clock = _evened(on_grid) if on_grid else _as_told(pictures)
    times = [clock.at(place) for place in _places(runs)]
    steps = {after - before for before, after in pairwise((*times, clock.end))}
    step = clock.unit * math.gcd(*steps)
    time_base = _common_divisor(pictures.time_base, step)
    first = pictures.ticks[0] * int(pictures.time_base / time_base)
    scale = clock.unit / time_base
    return Times(
        ticks=[first + int(time * scale) for time in times],
        time_base=time_base,
        last_duration=int((clock.end - times[-1]) * scale),
        declared_rate=1 / step if len(steps) == 1 else None,
    )


def _places(runs: Sequence[Run]) -> Iterator[int]:
    """Where each group's frame belongs, in parts of a picture from the first one on."""
    begin = 0
    for number, run in enumerate(runs):
        before, after = runs[number - 1 : number], runs[number + 1 : number + 2]
        # Rests of groups that were cut at the ends keep to the cadence.
        if not before and after and run.groups == 1 and after[0].cadence != INTERLACED:
            yield _place(run.fields, after[0], -1)
        elif before and not after and run.groups == 1 and before[0].cadence != INTERLACED:
            yield _place(begin - before[0].fields, before[0], before[0].groups)
        else:
            yield from (_place(begin, run, group) for group in range(run.groups))
        begin += run.fields


def _place(begin: int, run: Run, group: int) -> int:
    """That of a group of a run that begins with some field."""
    fields, groups = sum(map(int, run.cadence)), len(run.cadence)
    cycle, place = divmod(group, groups)
    return (begin + cycle * fields) * _PARTS // 2 + fields * place * _PARTS // (2 * groups)


def _as_told(pictures: Times) -> _Clock:
    times = [(tick - pictures.ticks[0]) * _PARTS for tick in pictures.ticks]
    last = pictures.last_duration * _PARTS if pictures.last_duration else times[-1] - times[-2]
    return _Clock(times, times[-1] + last, pictures.time_base / _PARTS)


def _on_grid(pictures: Times) -> _Clock | None:
    """Times in whole fields, if there is a rate from which the container's differ by two ticks at most.

    Each is rounded, and so is the first, from which they are counted; some programs add up what they have rounded.
    """
    declared = () if pictures.declared_rate is None else (2 * pictures.declared_rate, pictures.declared_rate)
    for rate in (*declared, *_FIELD_RATES):
        if (fields := _in_fields(pictures, rate)) is not None:
            last = round((pictures.last_duration or 0) * pictures.time_base * rate) or fields[-1] - fields[-2]
            # Half a field is a time, too: see `_evened`.
            scale = 2 * _PARTS
            return _Clock([field * scale for field in fields], (fields[-1] + last) * scale, 1 / rate / scale)
    return None


def _in_fields(pictures: Times, rate: Fraction) -> list[int] | None:
    fields_a_tick = pictures.time_base * rate
    part, whole = fields_a_tick.numerator, fields_a_tick.denominator
    tolerance = 2 * part if 8 * part <= whole else 0
    fields: list[int] = []
    for tick in pictures.ticks:
        passed = (tick - pictures.ticks[0]) * part
        field = (2 * passed + whole) // (2 * whole)
        if abs(passed - field * whole) > tolerance or (fields and field <= fields[-1]):
            return None
        fields.append(field)
    return fields


def _evened(clock: _Clock) -> _Clock:
    """Film as it was taken: of pictures that are shown for three fields and two in turn, every second one moves."""
    field = 2 * _PARTS
    steps = [after - before for before, after in pairwise(clock.times)]
    times = list(clock.times)
    begin = 0
    for end in range(1, len(steps) + 1):
        if end < len(steps) and {steps[end - 1], steps[end]} == {2 * field, 3 * field}:
            continue
        # How long the picture before the last one is shown is often lost where a stream ends.
        if end == len(steps) - 1 and steps[end] in (2 * field, 3 * field):
            continue
        if end - begin >= _STRETCH:
            for picture in range(begin + 1, end + 1, 2):
                times[picture] = times[picture - 1] + 5 * field // 2
            if end == len(steps):
                times[end] = times[end - 1] + 5 * field // 2
        begin = end
    return clock._replace(times=times)


def _common_divisor(one: Fraction, other: Fraction) -> Fraction:
    return Fraction(
        math.gcd(one.numerator * other.denominator, other.numerator * one.denominator),
        one.denominator * other.denominator,
    )
