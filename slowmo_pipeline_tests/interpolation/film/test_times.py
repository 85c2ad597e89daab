"""Which pairs of frames make the times wanted: held against the rule, done by brute force."""

import math
import weakref
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.interpolation.film.recursion import between

Call = tuple[Fraction, Fraction, Fraction]
"""The times of the two frames, and the time between them that the network is asked for."""

IRREGULAR = [Fraction(1, 100), Fraction(1, 9), Fraction(2, 9), Fraction(7, 10), Fraction(99, 100)]


def evenly(count: int) -> list[Fraction]:
    return [Fraction(number, count + 1) for number in range(1, count + 1)]


def calls(times: list[Fraction]) -> list[Call]:
    """What the network is asked, where a frame is nothing but its time."""
    made: list[Call] = []

    def make(left: Fraction, right: Fraction, t: Fraction) -> Fraction:
        made.append((left, right, t))
        return left + t * (right - left)

    assert list(between(Fraction(0), Fraction(1), times, make, returned=range(len(times)))) == times
    return made


def rule(times: list[Fraction]) -> set[Call]:
    """In the widest gap with something wanted, first the time nearest its middle (the earlier of two)."""
    existing, wanted, made = [Fraction(0), Fraction(1)], list(times), set()
    while wanted:
        gaps = [(left, right) for left, right in pairwise(existing) if any(left < time < right for time in wanted)]
        left, right = max(gaps, key=lambda gap: gap[1] - gap[0])
        inside = [time for time in wanted if left < time < right]
        time = min(inside, key=lambda time: abs(time - (left + right) / 2))
        made.add((left, right, (time - left) / (right - left)))
        wanted.remove(time)
        existing = sorted([*existing, time])
    return made


@pytest.mark.parametrize("times", [[], *map(evenly, (1, 2, 3, 4, 7)), IRREGULAR])
def test_the_network_is_asked_as_the_rule_says(times: list[Fraction]) -> None:
    asked = calls(times)

    assert set(asked) == rule(times)
    assert len(asked) == len(times)


@given(st.sets(st.fractions(min_value=0, max_value=1, max_denominator=50).filter(lambda t: 0 < t < 1), max_size=12))
def test_any_times_follow_the_rule(times: set[Fraction]) -> None:
    assert set(calls(sorted(times))) == rule(sorted(times))


def test_two_new_frames_are_a_third_and_half_of_the_rest() -> None:
    third = Fraction(1, 3)

    assert calls(evenly(2)) == [(Fraction(0), Fraction(1), third), (third, Fraction(1), Fraction(1, 2))]


@pytest.mark.parametrize("count", [1, 3, 7, 15])
def test_plain_halving_asks_for_the_middle_only(count: int) -> None:
    assert {t for _, _, t in calls(evenly(count))} == {Fraction(1, 2)}


@pytest.mark.parametrize("count", [1, 5, 15, 99])
def test_a_part_is_made_from_the_same_frames_as_in_the_whole(count: int) -> None:
    times = evenly(count)
    for returned in (range(1), range(count // 2, count), range(count // 3, count // 3 + 1), range(0)):
        asked: list[Call] = []

        def make(left: Fraction, right: Fraction, t: Fraction, asked: list[Call] = asked) -> Fraction:
            asked.append((left, right, t))
            return left + t * (right - left)

        made = list(between(Fraction(0), Fraction(1), times, make, returned=returned))

        assert made == times[returned.start : returned.stop]
        assert set(asked) <= set(calls(times))
        assert len(asked) <= len(returned) + 2 * math.log2(count + 1)


@pytest.mark.parametrize("count", [4, 7, 31])
def test_few_made_frames_are_alive_at_once(count: int) -> None:
    class Picture:
        pass

    alive: weakref.WeakSet[Picture] = weakref.WeakSet()

    def make(left: Picture, right: Picture, t: Fraction) -> Picture:
        picture = Picture()
        alive.add(picture)
        return picture

    most = 0
    for made in between(Picture(), Picture(), evenly(count), make, returned=range(count)):
        most = max(most, len(alive))
        del made

    assert most <= math.floor(math.log2(count)) + 1
