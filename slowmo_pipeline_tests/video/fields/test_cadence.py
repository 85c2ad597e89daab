"""Groups of fields from measurements that are made up, so that the truth is known."""

import random
from collections.abc import Sequence

import pytest

from slowmo_pipeline.video.fields.cadence import FILM, INTERLACED, Pairs, Run, grouped

ALL = (INTERLACED, *FILM)


def pairs_of(moments: Sequence[int], *, seed: int = 0) -> Pairs:
    """What would be measured of fields that show these moments: more, the farther they lie apart; never the same."""
    chance = random.Random(seed)

    def measured(one: int, other: int) -> int:
        return round((400 * abs(moments[one] - moments[other]) + 40) * chance.uniform(0.7, 1.3))

    last = len(moments) - 1
    return Pairs(
        [measured(field, field + 1) for field in range(last)],
        [measured(field - 1, field + 2) if 0 < field < last - 1 else 0 for field in range(last)],
    )


def moments_of(pattern: str, groups: int) -> list[int]:
    return [group for group in range(groups) for _ in range(int(pattern[group % len(pattern)]))]


def found(pairs: Pairs) -> list[tuple[str, int]]:
    return [(run.cadence, run.groups) for run in grouped(pairs, cadences=ALL, reluctance=0.02)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pattern", ["1", "2", "23", "32", "2332", "3322", "3223", "2233"])
def test_every_cadence_is_found_in_every_phase(pattern: str, seed: int) -> None:
    assert found(pairs_of(moments_of(pattern, 80), seed=seed)) == [(pattern, 80)]


def test_what_is_cut_off_at_the_ends_is_a_group_of_its_own() -> None:
    assert found(pairs_of(moments_of("2", 41)[1:-1])) == [("1", 1), ("2", 39), ("1", 1)]


def test_a_longer_group_that_is_cut_off_at_the_end_counts_as_one() -> None:
    assert found(pairs_of(moments_of("23", 80)[:-1])) == [("23", 80)]


def test_nothing_that_moves_is_taken_as_it_is() -> None:
    assert found(Pairs([0] * 59, [0] * 59)) == [("2", 30)]


def test_a_pause_does_not_end_a_cadence() -> None:
    pairs = pairs_of(moments_of("23", 80))
    for place in range(60, 120):
        pairs.combed[place] = pairs.apart[place] = 0  # type: ignore[index]  # a list
    assert found(pairs) == [("23", 80)]


def test_a_cut_in_telecined_film_goes_on_with_another_phase() -> None:
    before, after = moments_of("23", 40), moments_of("23", 80)[3:]
    moments = [*before, *(100 + moment for moment in after)]
    runs = grouped(pairs_of(moments), cadences=ALL, reluctance=0.02)
    assert runs[0].cadence == "23"
    assert runs[0].groups == pytest.approx(40, abs=2)
    assert sum(run.fields for run in runs) == len(moments)
    assert sum(run.groups for run in runs) == pytest.approx(119, abs=2)


def test_the_fields_of_a_run_count_its_cut_cycle() -> None:
    assert [Run("23", groups).fields for groups in (1, 2, 3)] == [2, 5, 7]
