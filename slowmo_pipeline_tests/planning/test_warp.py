"""The warp against its definition: the speed drawn over the result's time, and the area below it."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.planning.warp import Speed, Warp, even_warp, ramped_warp

HALF = Fraction(1, 2)
SPEEDS = st.fractions(min_value=Fraction(1, 1000), max_value=1, max_denominator=1000)


class Ramp(NamedTuple):
    """What a ramped warp is made of."""

    parts: tuple[Speed, ...]
    ease: Fraction

    @property
    def warp(self) -> Warp:
        return ramped_warp(self.parts, ease=self.ease)


def parts_of(begin: Fraction, lengths: Sequence[Fraction], speeds: Sequence[Fraction]) -> tuple[Speed, ...]:
    """Parts that follow each other."""
    ends = accumulate(lengths, initial=begin)
    return tuple(Speed(*span, speed) for span, speed in zip(pairwise(ends), speeds, strict=True))


def longest_ease(parts: Sequence[Speed]) -> Fraction:
    """Seconds of the result that all changes may take."""
    changes = [Fraction(0), *((one.speed + other.speed) / 4 for one, other in pairwise(parts)), Fraction(0)]
    wanted = zip(parts, pairwise(changes), strict=True)
    return min(((part.end - part.begin) / sum(both) for part, both in wanted if sum(both)), default=Fraction(60))


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    speeds = draw(st.lists(SPEEDS, min_size=1, max_size=6))
    lengths = [draw(st.fractions(Fraction(1, 50), 3, max_denominator=300)) for _ in speeds]
    parts = parts_of(draw(st.fractions(0, 2, max_denominator=100)), lengths, speeds)
    # Parts of one speed become one: then there is more room, never less.
    return Ramp(parts, longest_ease(parts) * Fraction(draw(st.integers(0, 3)), 3))


def knots_of(parts: Sequence[Speed], ease: Fraction) -> list[tuple[Fraction, Fraction]]:
    """The speed over the result's time, as the corners of its graph; two at one time where it leaps."""
    corners = [(Fraction(0), parts[0].speed)]
    for number, part in enumerate(parts):
        length = part.end - part.begin
        if number > 0:
            length -= (parts[number - 1].speed + part.speed) / 4 * ease
        if number + 1 < len(parts):
            length -= (part.speed + parts[number + 1].speed) / 4 * ease
        corners.append((corners[-1][0] + length / part.speed, part.speed))
        if number + 1 < len(parts):
            corners.append((corners[-1][0] + ease, parts[number + 1].speed))
    return corners


def area_below(corners: Sequence[tuple[Fraction, Fraction]], until: Fraction) -> Fraction:
    total = Fraction(0)
    for (begin, first), (end, last) in pairwise(corners):
        if end > begin and until > begin:
            passed = min(until, end) - begin
            reached = first + (last - first) * passed / (end - begin)
            total += (first + reached) / 2 * passed
    return total


def merged(parts: Sequence[Speed]) -> list[Speed]:
    """Parts of one speed that follow each other are one."""
    found = list(parts[:1])
    for part in parts[1:]:
        if part.speed == found[-1].speed:
            found[-1] = Speed(found[-1].begin, part.end, part.speed)
        else:
            found.append(part)
    return found


@given(ramps(), st.lists(st.fractions(0, 1, max_denominator=100), max_size=20))
def test_moment_is_the_area_below_the_speed(ramp: Ramp, shares: list[Fraction]) -> None:
    warp, corners = ramp.warp, knots_of(merged(ramp.parts), ramp.ease)

    assert warp.duration == corners[-1][0]
    for share in shares:
        output = share * warp.duration
        assert warp.source_time(output) == ramp.parts[0].begin + area_below(corners, output)


@given(ramps())
def test_it_shows_what_was_asked_for_and_all_of_it(ramp: Ramp) -> None:
    warp = ramp.warp

    assert (warp.source_begin, warp.source_end) == (ramp.parts[0].begin, ramp.parts[-1].end)
    assert warp.source_time(Fraction(0)) == ramp.parts[0].begin
    assert warp.source_time(warp.duration) == ramp.parts[-1].end


@given(ramps())
def test_without_easing_it_lasts_as_long_as_its_parts(ramp: Ramp) -> None:
    warp = ramped_warp(ramp.parts, ease=Fraction(0))

    assert warp.duration == sum((part.end - part.begin) / part.speed for part in ramp.parts)
    reached = Fraction(0)
    for part in ramp.parts:
        assert warp.source_time(reached) == part.begin
        reached += (part.end - part.begin) / part.speed


@given(ramps())
def test_segments_follow_each_other_in_both_times(ramp: Ramp) -> None:
    for one, other in pairwise(ramp.warp.segments):
        assert one.output + one.duration == other.output
        assert one.source_end == other.source == one.source_time(other.output)


@given(ramps())
def test_eased_speed_does_not_leap(ramp: Ramp) -> None:
    for one, other in pairwise(ramp.warp.segments):
        assert (one.end_speed == other.begin_speed) == (ramp.ease > 0)


@given(ramps())
def test_changes_last_as_asked_for_around_their_moment(ramp: Ramp) -> None:
    changes = [segment for segment in ramp.warp.segments if not segment.is_even]
    moments = [part.end for part in merged(ramp.parts)[:-1]] if ramp.ease else []

    assert [segment.duration for segment in changes] == [ramp.ease] * len(moments)
    assert [(segment.source + segment.source_end) / 2 for segment in changes] == moments


@given(ramps(), st.lists(st.fractions(0, 2, max_denominator=100), min_size=2, max_size=20, unique=True))
def test_moments_ascend_also_beyond_the_end(ramp: Ramp, shares: list[Fraction]) -> None:
    moments = [ramp.warp.source_time(share * ramp.warp.duration) for share in sorted(shares)]

    assert all(one < other for one, other in pairwise(moments))


@given(ramps(), st.fractions(0, 1, max_denominator=100))
def test_segment_of_a_moment_shows_it(ramp: Ramp, share: Fraction) -> None:
    warp = ramp.warp
    moment = warp.source_begin + share * (warp.source_end - warp.source_begin)
    segment = warp.segment_of(moment)

    assert segment.source <= moment <= segment.source_end


def test_moments_outside_belong_to_the_first_and_the_last_segment() -> None:
    warp = ramped_warp(parts_of(Fraction(1), [Fraction(1)] * 3, [Fraction(1), HALF, Fraction(1)]), ease=Fraction(0))

    assert warp.segment_of(Fraction(0)) == warp.segments[0]
    assert warp.segment_of(Fraction(9)) == warp.segments[-1]


def test_parts_of_one_speed_are_one() -> None:
    warp = ramped_warp(parts_of(Fraction(0), [Fraction(1)] * 3, [HALF] * 3), ease=Fraction(5))

    assert warp == even_warp(HALF, Fraction(0), Fraction(3))
    assert warp.is_even


@given(ramps())
def test_part_that_is_too_short_for_its_changes_is_refused(ramp: Ramp) -> None:
    parts = merged(ramp.parts)
    if len(parts) > 1:
        assert ramped_warp(parts, ease=longest_ease(parts)).source_end == parts[-1].end
        with pytest.raises(ValueError, match=r"^the part from .* is too short for changes of speed that take"):
            ramped_warp(parts, ease=longest_ease(parts) * Fraction(101, 100))


@given(SPEEDS, st.fractions(0, 5, max_denominator=100), st.fractions(Fraction(1, 100), 5, max_denominator=100))
def test_even_warp_has_one_speed(speed: Fraction, begin: Fraction, length: Fraction) -> None:
    warp = even_warp(speed, begin, begin + length)

    assert (warp.duration, warp.source_begin, warp.source_end) == (length / speed, begin, begin + length)
    assert warp.is_even
    assert warp.source_time(warp.duration / 3) == begin + length / 3
