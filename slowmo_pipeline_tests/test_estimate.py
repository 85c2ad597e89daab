"""The estimate of a stage, while units come in ways that mislead a plain average."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import pytest

from slowmo_pipeline.estimate import Estimate, duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows: a list of one number."""
    now = [1000.0]
    monkeypatch.setattr("slowmo_pipeline.estimate.time.monotonic", lambda: now[0])
    return now


def looks(clock: list[float], ends: Sequence[float], *, found: int = 0) -> Iterator[tuple[float, float | None]]:
    """The true seconds left and the estimate, each second while units end at these seconds."""
    began, estimate = clock[0], Estimate(found)
    for second in range(int(ends[-1])):
        clock[0] = began + second
        estimate.update(found + sum(end <= second for end in ends))
        yield ends[-1] - second, estimate.seconds_left(found + len(ends))


def one_after_another(seconds: Callable[[int], float], count: int) -> list[float]:
    return [*accumulate(seconds(number) for number in range(count))]


def test_it_counts_down_between_units_that_take_long(clock: list[float]) -> None:
    shown = [*looks(clock, one_after_another(lambda _: 40, 5))]
    assert all(left == true for true, left in shown[40:])
    assert {left for _, left in shown[:40]} == {None}


def test_units_of_workers_that_end_together_are_one_burst(clock: list[float]) -> None:
    ends = [10.0 * turn + slip for turn in range(1, 9) for slip in (0, 1, 1)]
    for second, (true, left) in enumerate(looks(clock, ends)):
        if second > 20 and second % 10:  # when a burst has come whole
            assert left == pytest.approx(true, abs=1)


def test_what_came_before_the_first_unit_counts_only_until_the_second(clock: list[float]) -> None:
    loading = 60
    shown = [*looks(clock, [loading + 10.0 * number for number in range(1, 11)])]
    assert shown[loading + 10] == (90, 630)
    assert all(left == true for true, left in shown[loading + 20 :])


def test_what_an_earlier_run_made_is_not_taken_for_fast(clock: list[float]) -> None:
    shown = [*looks(clock, one_after_another(lambda _: 10, 4), found=96)]
    assert shown[12] == (28, 28)


def test_it_follows_a_change_of_pace(clock: list[float]) -> None:
    ends = one_after_another(lambda number: 1 if number < 30 else 4, 90)
    for true, left in [*looks(clock, ends)][75:]:
        assert left == pytest.approx(true, rel=0.05)


def test_an_overdue_unit_makes_it_grow(clock: list[float]) -> None:
    shown = [left for _, left in looks(clock, [10, 20, 30, 90])]
    assert [shown[second] for second in (30, 35)] == [10, 5]
    assert {*shown[41:]} == {None}  # it should be over: no number is better than a wrong one

    longer = [left for _, left in looks(clock, [10, 20, 30, 90, 100])]
    assert [longer[second] for second in (30, 40, 60)] == [20, 10, 30]


@pytest.mark.parametrize(("total", "left"), [(0, None), (5, 0.0), (9, None)])
def test_a_stage_that_has_only_begun(clock: list[float], total: int, left: float | None) -> None:
    assert Estimate(5).seconds_left(total) == left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7505, "2 h 05 min"),
    ],
)
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
