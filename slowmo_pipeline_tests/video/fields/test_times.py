"""Times of frames made of fields, against what they must be."""

from fractions import Fraction
from itertools import pairwise

import pytest

from slowmo_pipeline.video.fields.cadence import Run
from slowmo_pipeline.video.fields.times import Times, is_pulled_down, times_of_frames

NTSC = Fraction(30000, 1001)


def pictures(count: int, rate: Fraction, time_base: Fraction, *, first: int = 7) -> Times:
    """At a constant rate, rounded as containers do."""
    ticks = [first + round(number / rate / time_base) for number in range(count)]
    return Times(ticks, time_base, ticks[1] - ticks[0], rate)


def seconds(times: Times) -> list[Fraction]:
    return [(tick - times.ticks[0]) * times.time_base for tick in times.ticks]


@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 15360), 1 / NTSC])
@pytest.mark.parametrize("rate", [Fraction(25), NTSC, Fraction(18)])
def test_the_second_field_lies_half_way(rate: Fraction, time_base: Fraction) -> None:
    if rate != NTSC and time_base == 1 / NTSC:
        time_base = 1 / rate
    told = pictures(20, rate, time_base)
    made = times_of_frames(told, [Run("1", 40)])
    assert seconds(made) == [number / rate / 2 for number in range(40)]
    assert made.ticks[0] * made.time_base == told.ticks[0] * told.time_base
    assert made.declared_rate == 2 * rate


@pytest.mark.parametrize("cadence", ["23", "32", "2332", "3223"])
@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000)])
def test_telecined_film_has_the_times_of_film(cadence: str, time_base: Fraction) -> None:
    made = times_of_frames(pictures(25, NTSC, time_base), [Run(cadence, 20)])
    assert seconds(made) == [number * Fraction(1001, 24000) for number in range(20)]
    assert (made.declared_rate, made.last_duration) == (Fraction(24000, 1001), made.ticks[1] - made.ticks[0])


def test_the_rest_of_a_group_that_began_before_lies_a_frame_before_the_next() -> None:
    made = times_of_frames(pictures(10, Fraction(25), Fraction(1, 1000)), [Run("1", 1), Run("2", 9), Run("1", 1)])
    assert seconds(made) == [Fraction(number, 25) for number in range(11)]


@pytest.mark.parametrize("runs", [[Run("1", 1), Run("32", 7), Run("1", 1)], [Run("2", 1), Run("32", 7)]])
def test_what_is_cut_at_the_ends_of_telecined_film_keeps_to_its_times(runs: list[Run]) -> None:
    made = times_of_frames(pictures(10, NTSC, Fraction(1, 90000)), runs)
    assert {after - before for before, after in pairwise(seconds(made))} == {Fraction(1001, 24000)}


def test_uneven_pictures_keep_their_times() -> None:
    told = Times([0, 40, 90, 131, 180], Fraction(1, 1000), 40, Fraction(25))
    made = times_of_frames(told, [Run("1", 10)])
    assert seconds(made)[0::2] == [Fraction(tick, 1000) for tick in told.ticks]
    assert seconds(made)[3] == Fraction(65, 1000)


@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 60000)])
def test_pictures_for_three_fields_and_two_in_turn_are_pulled_down(time_base: Fraction) -> None:
    fields = [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28]
    told = Times([round(each * Fraction(1001, 60000) / time_base) for each in fields], time_base, None, None)
    assert is_pulled_down(told)
    made = times_of_frames(told, [Run("2", 12)])
    assert {after - before for before, after in pairwise(seconds(made))} == {Fraction(1001, 24000)}


@pytest.mark.parametrize("fields", [range(0, 40, 2), [0, 3, 5, 8, 10, 13, 16, 18, 21], [0, 2, 4, 7, 9, 12, 14, 16, 19]])
def test_other_pictures_are_not(fields: list[int]) -> None:
    told = Times([round(each * Fraction(90000, 60)) for each in fields], Fraction(1, 90000), None, None)
    assert not is_pulled_down(told)
