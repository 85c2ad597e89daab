"""Which exact times stand behind those that a container keeps."""

import math
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.planning.clock import (
    STANDARD_RATES,
    FrameTimes,
    _simplest_between,
    constant_rate,
    frame_times,
    nearest_standard_rate,
)

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)
CONTAINER_RATES = (FILM, NTSC, Fraction(25), Fraction(30), Fraction(60), Fraction(25, 2))
TIME_BASES = (1000, 90000, 12288, 600, 24000)


def rounded_ticks(rate: Fraction, ticks_per_second: int, count: int, *, first: Fraction = Fraction(0)) -> list[int]:
    return [round((first + frame / rate) * ticks_per_second) for frame in range(count)]


def recognised(ticks: list[int], ticks_per_second: int | Fraction, **given: Any) -> FrameTimes:
    time_base = 1 / Fraction(ticks_per_second)
    return frame_times(ticks, time_base, **{"last_duration": None, "declared_rate": None, **given})


@pytest.mark.parametrize("first", [Fraction(0), Fraction(1, 7), Fraction(-1, 3)])
@pytest.mark.parametrize("ticks_per_second", TIME_BASES)
@pytest.mark.parametrize("rate", CONTAINER_RATES)
def test_constant_rate_behind_rounded_times(rate: Fraction, ticks_per_second: int, first: Fraction) -> None:
    ticks = rounded_ticks(rate, ticks_per_second, 2000, first=first)

    for declared in (rate, None, Fraction(24), Fraction(90000), Fraction(359, 12)):
        assert recognised(ticks, ticks_per_second, declared_rate=declared) == constant_rate(rate, 2000)


@pytest.mark.parametrize("ticks_per_second", TIME_BASES)
def test_declared_rate_decides_between_neighbours_in_a_short_clip(ticks_per_second: int) -> None:
    """20 frames in milliseconds are both 23.976 and 24 frames a second."""
    for rate in (FILM, Fraction(24)):
        ticks = rounded_ticks(rate, ticks_per_second, 20)

        assert recognised(ticks, ticks_per_second, declared_rate=rate) == constant_rate(rate, 20)


@given(st.fractions(min_value=1, max_value=200, max_denominator=99), st.integers(2, 400), st.sampled_from(TIME_BASES))
def test_any_constant_rate_is_recognised_within_a_tick(rate: Fraction, count: int, ticks_per_second: int) -> None:
    ticks = rounded_ticks(rate, ticks_per_second, count)
    times = recognised(ticks, ticks_per_second)

    assert times.is_constant
    assert times.ticks == range(count)
    assert all(
        abs(frame * times.time_base - Fraction(tick, ticks_per_second)) <= Fraction(1, ticks_per_second)
        for frame, tick in enumerate(ticks)
    )


def test_declared_rate_that_is_no_standard_one_is_exact() -> None:
    rate = Fraction(1234, 57)

    assert recognised(rounded_ticks(rate, 1000, 500), 1000, declared_rate=rate) == constant_rate(rate, 500)


def test_standard_rate_wins_over_an_odd_declared_one() -> None:
    """Phones declare what they measured over the clip."""
    ticks = rounded_ticks(Fraction(30), 1000, 5)

    assert recognised(ticks, 1000, declared_rate=Fraction(359, 12)) == constant_rate(Fraction(30), 5)


def test_of_several_standard_rates_the_one_in_the_middle_is_taken() -> None:
    assert recognised([0, 33], 1000) == constant_rate(Fraction(30), 2), "29.97 would fit as well"


def test_rate_that_nobody_declares_is_the_simplest() -> None:
    assert recognised(rounded_ticks(Fraction(17), 1000, 500), 1000) == constant_rate(Fraction(17), 500)


@given(st.lists(st.integers(2, 100), min_size=2, max_size=20))
def test_rounded_times_are_constant_if_and_only_if_a_period_fits_all(gaps: list[int]) -> None:
    ticks = [0, *accumulate(gaps)]
    times = recognised(ticks, 1000)
    # The best period touches two of the bounds (tick ± 1) / frame: trying them all is enough.
    bounds = {Fraction(tick + off, frame) for frame, tick in enumerate(ticks) if frame for off in (-1, 1)}
    fits = any(all(abs(tick - frame * period) <= 1 for frame, tick in enumerate(ticks)) for period in bounds)

    assert (times.ticks == range(len(ticks))) == fits
    if not fits:
        assert (times.ticks, times.rounding) == (tuple(ticks), 1)


@given(
    st.sampled_from([Fraction(18), Fraction(19), FILM, Fraction(10), NTSC]),
    st.lists(st.integers(1, 4), min_size=2, max_size=30),
)
def test_clock_that_ticks_once_a_frame_is_exact(rate: Fraction, gaps: list[int]) -> None:
    """Within one tick anything fits: nine frames at 18 a second counted as 20 a second."""
    usual = sorted(gaps)[len(gaps) // 2]
    ticks = [0, *accumulate(gap if usual == 1 else 1 for gap in gaps)]
    times = recognised(ticks, rate, last_duration=1)

    assert (times.rate, times.time_base, times.rounding, times.end) == (rate, 1 / rate, 0, ticks[-1] + 1)
    assert list(times.ticks) == ticks


@pytest.mark.parametrize("ticks_per_second", [30000, 90000, 60000])
def test_frame_that_is_missing_on_the_ticks_of_the_declared_rate_is_a_hole(ticks_per_second: int) -> None:
    ticks = rounded_ticks(NTSC, ticks_per_second, 50)
    del ticks[20:23]
    times = recognised(ticks, ticks_per_second, declared_rate=NTSC)

    assert times == FrameTimes((*range(20), *range(23, 50)), 1 / NTSC, 50, 0, 1, NTSC)
    assert times.is_constant


@pytest.mark.parametrize("declared", [None, Fraction(28), NTSC])
def test_frame_that_is_missing_in_milliseconds_leaves_the_times_and_the_usual_rate(declared: Fraction | None) -> None:
    ticks = rounded_ticks(NTSC, 1000, 50)
    del ticks[20:23]
    times = recognised(ticks, 1000, declared_rate=declared)

    assert (times.ticks, times.rounding, times.is_constant) == (tuple(ticks), 1, False)
    assert times.rate in ([NTSC] if declared == NTSC else [NTSC, 30]), "few frames in milliseconds are both"


def test_stills_do_not_slow_the_rate_of_a_variable_source() -> None:
    """Half a second of motion, three without a frame, half a second of motion: that counted as 8 frames a second."""
    ticks = [*range(0, 450, 30), *range(3450, 3900, 30)]

    assert recognised(ticks, 900, declared_rate=Fraction(29, 4)).rate == 30


@given(st.lists(st.integers(-3, 3), min_size=20, max_size=60), st.sampled_from((24, 25, 30, 60)))
def test_jitter_does_not_change_the_rate(jitter: list[int], rate: int) -> None:
    ticks = [round(Fraction(1000 * frame, rate)) + off for frame, off in enumerate(jitter)]

    assert recognised(ticks, 1000, declared_rate=Fraction(rate)).rate in (rate, Fraction(rate * 1000, 1001))


def test_jitter_of_more_than_a_tick_is_variable() -> None:
    ticks = rounded_ticks(Fraction(25), 1000, 50)
    ticks[20] += 2
    times = recognised(ticks, 1000, declared_rate=Fraction(25))

    assert not times.is_constant
    assert times.ticks == tuple(ticks)


@pytest.mark.parametrize("finer", [16, 64, 90])
@pytest.mark.parametrize("rate", [FILM, NTSC, 2 * NTSC, Fraction(24), Fraction(60)])
def test_milliseconds_on_a_finer_clock_are_as_rounded_as_ever(rate: Fraction, finer: int) -> None:
    """Copied from Matroska into MP4, of 12 originals 2 were shown."""
    ticks = [finer * tick for tick in rounded_ticks(rate, 1000, 200)]
    assert recognised(ticks, 1000 * finer, declared_rate=rate) == constant_rate(rate, 200)

    del ticks[20:23]
    times = recognised(ticks, 1000 * finer, declared_rate=rate)
    assert times == recognised([tick // finer for tick in ticks], 1000, declared_rate=rate)
    assert (times.time_base, times.rounding, times.rate) == (Fraction(1, 1000), 1, rate)


@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.sampled_from(CONTAINER_RATES))
def test_what_is_rounded_where_a_clock_begins_anew_does_not_add_up(counts: list[int], rate: Fraction) -> None:
    ticks, starts = [0], [0]
    for count in counts:
        stretch = rounded_ticks(rate, 90_000, count)
        starts.append(starts[-1] + count)
        ticks = [*ticks[:-1], *(ticks[-1] + tick for tick in stretch), ticks[-1] + stretch[-1] + int(90_000 / rate)]
    times = recognised(ticks[:-1], 90_000, declared_rate=rate, starts=starts[:-1])

    assert times == constant_rate(rate, sum(counts))


def test_clock_that_begins_anew_with_each_frame_tells_no_rate() -> None:
    assert recognised([0, 30, 70, 95], 1000, starts=[0, 1, 2, 3]).ticks == (0, 30, 70, 95)


@pytest.mark.parametrize(("told", "expected"), [(None, 40), (0, 40), (70, 70)])
def test_last_duration_is_the_median_gap_unless_told(told: int | None, expected: int) -> None:
    times = recognised([5, 45, 85, 185, 200], 1000, last_duration=told)

    assert times == FrameTimes((0, 40, 80, 180, 195), Fraction(1, 1000), 195 + expected, 1, 40, Fraction(25))
    assert times.usual_gap == 40


@pytest.mark.parametrize(("rate", "nearest"), [(Fraction(3, 10), 1), (Fraction(27, 10), 3), (26, 25), (999, 240)])
def test_nearest_standard_rate(rate: Fraction, nearest: int) -> None:
    assert nearest_standard_rate(Fraction(rate)) == nearest


@given(st.fractions(min_value=5, max_value=240))
def test_no_standard_rate_is_nearer(rate: Fraction) -> None:
    assert all(abs(nearest_standard_rate(rate) - rate) <= abs(other - rate) for other in STANDARD_RATES)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.fractions(min_value=0, max_value=5))
def test_simplest_fraction_has_the_smallest_denominator(low: Fraction, width: Fraction) -> None:
    found = _simplest_between(low, low + width)

    assert low <= found <= low + width
    smaller = range(1, min(found.denominator, 2000))
    assert not any(math.ceil(low * denominator) <= (low + width) * denominator for denominator in smaller)


def test_an_hour_in_milliseconds_is_recognised() -> None:
    ticks = rounded_ticks(FILM, 1000, 86_400)

    assert recognised(ticks, 1000, declared_rate=FILM) == constant_rate(FILM, 86_400)
