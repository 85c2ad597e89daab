"""The time line against its definition, computed the slow and obvious way."""

import math
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.planning.timeline import (
    STANDARD_RATES,
    ConstantRate,
    FrameTimes,
    Position,
    TimeLine,
    VariableRate,
    _simplest_between,
    frame_times,
)
from slowmo_pipeline_tests.support.positions import positions

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)

RATES = st.one_of(
    st.sampled_from(STANDARD_RATES),
    st.fractions(min_value=1, max_value=240, max_denominator=1001),
)
SLOWDOWNS = st.one_of(
    st.integers(1, 12).map(Fraction),
    st.fractions(min_value=1, max_value=20, max_denominator=50),
)
CONSTANT = st.builds(ConstantRate, rate=RATES, count=st.integers(1, 15))


@st.composite
def variable_sources(draw: st.DrawFn) -> VariableRate:
    time_base = Fraction(1, draw(st.sampled_from((24, 30, 600, 1000, 12288, 90000))))
    longest = max(1, round(Fraction(1, 5) / time_base))
    gaps = draw(st.lists(st.integers(1, longest), max_size=14))
    return VariableRate((0, *accumulate(gaps)), time_base, draw(st.integers(1, longest)))


# Of at most 400 outputs, so that the slow and obvious way stays quick.
TIMELINES = st.builds(TimeLine, st.one_of(CONSTANT, variable_sources()), SLOWDOWNS, RATES).filter(
    lambda timeline: timeline.output_count <= 400
)


def at(frame: int, t: Fraction = Fraction(0)) -> Position:
    return Position(frame, t)


def position_by_definition(timeline: TimeLine, output: int) -> Position:
    """A linear search; in a variable source, a moment within the tolerance of a frame is that frame."""
    source, step = timeline.source, 1 / timeline.frame_rate / timeline.slowdown
    moment = output * step
    tolerance = min(source.time_base, step / 2) if isinstance(source, VariableRate) else Fraction(0)
    gap = max(frame for frame in range(source.count) if source.time(frame) - tolerance <= moment)
    begin = source.time(gap)
    if gap == source.count - 1 or moment < begin + tolerance:
        return at(gap)
    return Position(gap, (moment - begin) / (source.time(gap + 1) - begin))


@given(TIMELINES)
def test_positions_follow_the_definition(timeline: TimeLine) -> None:
    expected = [position_by_definition(timeline, output) for output in range(timeline.output_count)]

    assert list(positions(timeline)) == expected
    assert [timeline.position(output) for output in range(timeline.output_count)] == expected


@given(TIMELINES)
def test_gaps_part_the_outputs_in_order(timeline: TimeLine) -> None:
    outputs = [output for gap in range(timeline.source.count) for output in timeline.outputs_of_gap(gap)]

    assert outputs == list(range(timeline.output_count))


@given(TIMELINES)
def test_positions_ascend(timeline: TimeLine) -> None:
    last = at(timeline.source.count - 1)

    assert all(one < other or one == other == last for one, other in pairwise(positions(timeline)))
    assert all(0 <= position.t < 1 for position in positions(timeline))


@given(TIMELINES)
def test_outputs_last_as_long_as_the_slowed_source(timeline: TimeLine) -> None:
    exact = timeline.source.duration * timeline.slowdown * timeline.frame_rate

    assert timeline.output_count == math.ceil(exact)
    assert timeline.duration == timeline.output_count / timeline.frame_rate


@given(TIMELINES)
def test_new_outputs_are_those_strictly_between_two_frames(timeline: TimeLine) -> None:
    for gap in range(timeline.source.count):
        between = [output for output in timeline.outputs_of_gap(gap) if timeline.t(gap, output) > 0]

        assert list(timeline.new_outputs_of_gap(gap)) == between


@given(TIMELINES)
def test_new_outputs_are_counted(timeline: TimeLine) -> None:
    assert timeline.new_count == sum(t > 0 for _, t in positions(timeline))


@given(TIMELINES)
def test_a_frame_is_shown_as_itself_once_at_most_but_for_the_last(timeline: TimeLine) -> None:
    shown = [position.gap for position in positions(timeline) if position.t == 0]
    inner = [frame for frame in shown if frame < timeline.source.count - 1]

    assert len(inner) == len(set(inner))


@given(RATES, st.integers(1, 40))
def test_four_times_slower_at_the_sources_rate(rate: Fraction, count: int) -> None:
    timeline = TimeLine(ConstantRate(rate, count), Fraction(4), rate)
    found = list(positions(timeline))

    assert len(found) == 4 * count
    assert found[::4] == [at(frame) for frame in range(count)]
    assert found[-4:] == [at(count - 1)] * 4
    assert [position.t for position in found[:4]] == [
        0,
        Fraction(1, 4),
        Fraction(1, 2),
        Fraction(3, 4),
    ] or count == 1


@given(CONSTANT, st.integers(1, 30))
def test_whole_slowdown_at_the_sources_rate_shows_every_original(source: ConstantRate, slowdown: int) -> None:
    timeline = TimeLine(source, Fraction(slowdown), source.rate)

    assert timeline.output_count == slowdown * source.count
    assert all(timeline.position(slowdown * frame) == at(frame) for frame in range(source.count))


def test_slowdown_of_one_at_twice_the_rate_makes_motion_smooth() -> None:
    timeline = TimeLine(ConstantRate(Fraction(25), 3), Fraction(1), Fraction(50))

    half = Fraction(1, 2)
    assert list(positions(timeline)) == [at(0), at(0, half), at(1), at(1, half), at(2), at(2)]


def test_fractional_slowdown_shows_every_second_original() -> None:
    timeline = TimeLine(ConstantRate(Fraction(24), 3), Fraction(5, 2), Fraction(24))

    fifth = Fraction(1, 5)
    assert list(positions(timeline)) == [
        *(at(0), at(0, 2 * fifth), at(0, 4 * fifth), at(1, fifth), at(1, 3 * fifth)),
        *(at(2), at(2), at(2)),
    ]


def test_lower_rate_leaves_frames_out() -> None:
    timeline = TimeLine(ConstantRate(Fraction(60), 6), Fraction(1), Fraction(20))

    assert list(positions(timeline)) == [at(0), at(3)]
    assert [len(timeline.outputs_of_gap(gap)) for gap in range(6)] == [1, 0, 0, 1, 0, 0]


def test_last_frame_of_a_variable_source_is_held_for_its_own_duration() -> None:
    timeline = TimeLine(VariableRate((0, 40, 100), Fraction(1, 1000), 200), Fraction(1), Fraction(50))

    assert timeline.output_count == 15
    assert timeline.outputs_of_gap(2) == range(5, 15)


def test_only_frame_is_held() -> None:
    timeline = TimeLine(ConstantRate(Fraction(25), 1), Fraction(4), Fraction(25))

    assert list(positions(timeline)) == [at(0)] * 4


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=30),
    st.sampled_from((FILM, NTSC, Fraction(25), Fraction(30), Fraction(60))),
    st.sampled_from((600, 1000, 12288, 90000)),
    st.integers(1, 8),
)
def test_rounded_times_cost_a_variable_source_no_original(
    gaps: list[int], rate: Fraction, ticks_per_second: int, slowdown: int
) -> None:
    """Frames lie on a grid of the source's rate, some missing, their times rounded to ticks."""
    places = [0, *accumulate(gaps)]
    ticks = tuple(round(place / rate * ticks_per_second) for place in places)
    timeline = TimeLine(VariableRate(ticks, Fraction(1, ticks_per_second), ticks[1]), Fraction(slowdown), rate)

    assert timeline.frame_rate * slowdown <= ticks_per_second, "else a tick is longer than a step, and no rule helps"
    assert all(timeline.position(slowdown * place) == at(frame) for frame, place in enumerate(places))


@given(variable_sources(), SLOWDOWNS, RATES)
def test_a_shown_original_is_off_by_one_tick_at_most(source: VariableRate, slowdown: Fraction, rate: Fraction) -> None:
    timeline = TimeLine(source, slowdown, rate)
    for output, (frame, t) in enumerate(positions(timeline)):
        if t == 0 and frame < source.count - 1:
            assert abs(output / rate / slowdown - source.time(frame)) <= min(source.time_base, 1 / rate / slowdown / 2)


CONTAINER_RATES = (FILM, NTSC, Fraction(25), Fraction(30), Fraction(60), Fraction(25, 2))
TIME_BASES = (1000, 90000, 12288, 600, 24000)


def rounded_ticks(rate: Fraction, ticks_per_second: int, count: int, *, first: Fraction = Fraction(0)) -> list[int]:
    return [round((first + frame / rate) * ticks_per_second) for frame in range(count)]


def recognised(ticks: list[int], ticks_per_second: int, **given: Any) -> FrameTimes:
    return frame_times(ticks, Fraction(1, ticks_per_second), **{"last_duration": None, "declared_rate": None, **given})


@pytest.mark.parametrize("first", [Fraction(0), Fraction(1, 7), Fraction(-1, 3)])
@pytest.mark.parametrize("ticks_per_second", TIME_BASES)
@pytest.mark.parametrize("rate", CONTAINER_RATES)
def test_constant_rate_behind_rounded_times(rate: Fraction, ticks_per_second: int, first: Fraction) -> None:
    ticks = rounded_ticks(rate, ticks_per_second, 2000, first=first)

    for declared in (rate, None, Fraction(24), Fraction(90000), Fraction(359, 12)):
        assert recognised(ticks, ticks_per_second, declared_rate=declared) == ConstantRate(rate, 2000)


@pytest.mark.parametrize("ticks_per_second", TIME_BASES)
def test_declared_rate_decides_between_neighbours_in_a_short_clip(ticks_per_second: int) -> None:
    """20 frames in milliseconds are both 23.976 and 24 frames a second."""
    for rate in (FILM, Fraction(24)):
        ticks = rounded_ticks(rate, ticks_per_second, 20)

        assert recognised(ticks, ticks_per_second, declared_rate=rate) == ConstantRate(rate, 20)


@given(st.fractions(min_value=1, max_value=200, max_denominator=99), st.integers(2, 400), st.sampled_from(TIME_BASES))
def test_any_constant_rate_is_recognised_within_a_tick(rate: Fraction, count: int, ticks_per_second: int) -> None:
    ticks = rounded_ticks(rate, ticks_per_second, count)
    source = recognised(ticks, ticks_per_second)

    assert isinstance(source, ConstantRate)
    assert all(
        abs(source.time(frame) - Fraction(tick, ticks_per_second)) <= Fraction(1, ticks_per_second)
        for frame, tick in enumerate(ticks)
    )


def test_declared_rate_that_is_no_standard_one_is_exact() -> None:
    rate = Fraction(1234, 57)

    assert recognised(rounded_ticks(rate, 1000, 500), 1000, declared_rate=rate) == ConstantRate(rate, 500)


def test_standard_rate_wins_over_an_odd_declared_one() -> None:
    """Phones declare what they measured over the clip."""
    ticks = rounded_ticks(Fraction(30), 1000, 5)

    assert recognised(ticks, 1000, declared_rate=Fraction(359, 12)) == ConstantRate(Fraction(30), 5)


def test_of_several_standard_rates_the_one_in_the_middle_is_taken() -> None:
    assert recognised([0, 33], 1000) == ConstantRate(Fraction(30), 2), "29.97 would fit as well"


def test_rate_that_nobody_declares_is_the_simplest() -> None:
    assert recognised(rounded_ticks(Fraction(17), 1000, 500), 1000) == ConstantRate(Fraction(17), 500)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=20), st.sampled_from([*CONTAINER_RATES, None]))
def test_times_are_constant_if_and_only_if_a_period_fits_all(gaps: list[int], declared: Fraction | None) -> None:
    ticks = [0, *accumulate(gaps)]
    source = recognised(ticks, 1000, declared_rate=declared)
    # The best period touches two of the bounds (tick ± 1) / frame: trying them all is enough.
    bounds = {Fraction(tick + off, frame) for frame, tick in enumerate(ticks) if frame for off in (-1, 1)}
    fits = any(
        period >= Fraction(1, 2) and all(abs(tick - frame * period) <= 1 for frame, tick in enumerate(ticks))
        for period in bounds
    )

    assert isinstance(source, ConstantRate) == fits
    if isinstance(source, VariableRate):
        assert source.ticks == tuple(ticks)


def test_jitter_of_more_than_a_tick_is_variable() -> None:
    ticks = rounded_ticks(Fraction(25), 1000, 50)
    ticks[20] += 2

    assert isinstance(recognised(ticks, 1000, declared_rate=Fraction(25)), VariableRate)


def test_dropped_frame_is_variable() -> None:
    ticks = rounded_ticks(NTSC, 90000, 50)
    del ticks[20]
    source = recognised(ticks, 90000, declared_rate=NTSC)

    assert isinstance(source, VariableRate)
    assert source.nominal_rate == NTSC


@pytest.mark.parametrize(("told", "expected"), [(None, 40), (0, 40), (70, 70)])
def test_last_duration_is_the_median_gap_unless_told(told: int | None, expected: int) -> None:
    source = recognised([5, 45, 85, 185, 200], 1000, last_duration=told)

    assert source == VariableRate((0, 40, 80, 180, 195), Fraction(1, 1000), expected)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.fractions(min_value=0, max_value=5))
def test_simplest_fraction_has_the_smallest_denominator(low: Fraction, width: Fraction) -> None:
    found = _simplest_between(low, low + width)

    assert low <= found <= low + width
    smaller = range(1, min(found.denominator, 2000))
    assert not any(math.ceil(low * denominator) <= (low + width) * denominator for denominator in smaller)


def test_an_hour_in_milliseconds_is_recognised() -> None:
    ticks = rounded_ticks(FILM, 1000, 86_400)

    assert recognised(ticks, 1000, declared_rate=FILM) == ConstantRate(FILM, 86_400)
