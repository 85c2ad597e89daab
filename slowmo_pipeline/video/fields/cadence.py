"""Which fields show the same moment, from how combed they are when two neighbours are woven.

    pictures   0     1     2     3     4        of 3:2 pulldown; two fields each
    fields     0 1   2 3   4 5   6 7   8 9
    moments    A A   B B   B C   C D   D D      cadence "23": groups of 2, 3, 2 and 3 fields
    combed      .  X  .  .  X  .  X  .  .       between groups, and not within one

What is found is the sequence of groups that contradicts least of what was measured (Viterbi's algorithm). It takes a
reason to change from one cadence to another, or to another place in the same.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, cycle, islice, pairwise
from typing import NamedTuple

INTERLACED = "1"
"""Each field is a moment of its own."""

WHOLE = "2"
"""Both fields of a picture show one moment, or its second one and the first of the next."""

FILM = (WHOLE, "23", "2332")
"""Lengths of the groups of a cycle: as above, 3:2 pulldown, and the kind that cameras call 24pA."""

_SWITCH = 6.0
"""What it costs to leave a cadence, in pairs of fields that contradict it outright."""

_RARE = {"23": 0.02, "2332": 0.05}
"""What a field costs in cadences that are less usual: they must fit better, since longer cycles fit by chance."""

_FAINT = 10
"""At so much combing (see `combing.py`) a measurement counts half."""

_EMPHASIS = 4
"""If fields that are three apart are more combed by a quarter, all fields surely are moments of their own."""

_AROUND = 4
"""Pairs on either side among which each is judged: of these nine, three lie between moments in every cadence."""


class Run(NamedTuple):
    """Groups of fields whose lengths repeat."""

    cadence: str
    """A digit for each length of a cycle, from the first group on."""
    groups: int
    """How many. The last cycle need not be whole, nor the last group, if it has two fields at least."""

    @property
    def fields(self) -> int:
        """How many these are."""
        cycles, rest = divmod(self.groups, len(self.cadence))
        return cycles * sum(map(int, self.cadence)) + sum(map(int, self.cadence[:rest]))


def lengths(runs: Sequence[Run]) -> Iterator[int]:
    """How many fields each group has."""
    for run in runs:
        yield from islice(cycle(map(int, run.cadence)), run.groups)


def group_at(runs: Sequence[Run], picture: int) -> int:
    """The number of the first group that begins with a picture, or behind its begin."""
    return sum(begin < 2 * picture for begin in accumulate(lengths(runs), initial=0))


def are_whole(runs: Sequence[Run]) -> bool:
    """Whether each picture is a group."""
    return [run.cadence for run in runs] == [WHOLE]


class Pairs(NamedTuple):
    """What was measured of fields in their order: pair k is that of fields k and k + 1. Even ones are one picture's."""

    combed: Sequence[int]
    """How combed they are, 0 or more."""
    apart: Sequence[int]
    """How combed fields k - 1 and k + 2 are, three moments apart if each field is one; 0 where either is missing."""


class _State(NamedTuple):
    """A field's place in a cadence."""

    cadence: str
    group: int
    """Which one of the cycle."""
    field: int
    """Which one of the group."""

    @property
    def ends_group(self) -> bool:
        return self.field + 1 == int(self.cadence[self.group])

    @property
    def next(self) -> "_State":
        if not self.ends_group:
            return self._replace(field=self.field + 1)
        return _State(self.cadence, (self.group + 1) % len(self.cadence), 0)


def grouped(pairs: Pairs, *, cadences: Sequence[str], reluctance: float) -> list[Run]:
    """Group fields, one more than there are pairs, by some cadences.

    `reluctance` is the cost of parting the fields of one picture, or of joining those of two.
    """
    states = [
        _State(name, group, field)
        for name in cadences
        for group, length in enumerate(name)
        for field in range(int(length))
    ]
    before = [next(index for index, other in enumerate(states) if other.next == state) for state in states]
    starting = [state.field == 0 for state in states]
    ending = [index for index, state in enumerate(states) if state.ends_group]
    totals = [0.0] * len(states)
    steps: list[bytes] = []
    for costs in _costs(pairs, states, reluctance):
        reached = [total + cost for total, cost in zip(totals, costs, strict=True)]
        best = min(ending, key=reached.__getitem__)
        switched = reached[best] + _SWITCH
        step = bytes(
            best if starts and switched < reached[index] else index
            for starts, index in zip(starting, before, strict=True)
        )
        totals = [
            min(reached[index], switched) if starts else reached[index]
            for starts, index in zip(starting, before, strict=True)
        ]
        steps.append(step)
    path = [min(range(len(states)), key=totals.__getitem__)]
    for step in reversed(steps):
        path.append(step[path[-1]])
    return _runs([states[index] for index in reversed(path)])


def _costs(pairs: Pairs, states: Sequence[_State], reluctance: float) -> Iterator[list[float]]:
    """For each pair, how much what was measured contradicts each state of its first field."""
    kinds = [(state.ends_group, state.cadence == INTERLACED, _RARE.get(state.cadence, 0.0)) for state in states]
    judged = list(_judged(pairs.combed))
    for number, (combed, apart) in enumerate(zip(pairs.combed, pairs.apart, strict=True)):
        weight, share = judged[number]
        most = max(combed, apart)
        ordered = min(max(_EMPHASIS * (apart - combed) / (most + _FAINT), 0.0), 1.0)
        # In film, the pairs beside one between moments are not combed, or what is seen tells nothing of order.
        beside = sum(share for _, share in judged[max(number - 1, 0) : number + 2]) - share
        joined = weight * share
        parted = weight * (1 - share) + _faint(most) * ordered * min(beside, 1) / 2
        alone = weight * (1 - share) + _faint(most) * (1 - ordered)
        if number % 2 == 0:
            parted, alone = parted + reluctance, alone + reluctance
        else:
            joined += reluctance
        yield [rare + (alone if single else parted if ends else joined) for ends, single, rare in kinds]


def _judged(combed: Sequence[int]) -> Iterator[tuple[float, float]]:
    """For each pair how much it counts, and how combed it is beside the pairs around it, both 0..1."""
    for number, found in enumerate(combed):
        around = sorted(combed[max(number - _AROUND, 0) : number + _AROUND + 1], reverse=True)
        usual = around[min(2, len(around) - 1)]
        yield _faint(usual), min(found / usual, 1) if usual else 0


def _faint(combed: int) -> float:
    """How much it counts, 0..1, what is so combed."""
    return combed / (combed + _FAINT)


def _runs(fields: Sequence[_State]) -> list[Run]:
    """The groups that fields belong to; the first and the last may be cut."""
    runs: list[Run] = []
    expected: _State | None = None
    begins = [number for number, state in enumerate(fields) if number == 0 or state.field == 0]
    for begin, end in pairwise((*begins, len(fields))):
        first, last = fields[begin], fields[end - 1]
        # A single field is none of those that are woven; what was cut off at the end of a longer group is not missed.
        is_whole = first.field == 0 and (last.ends_group or end - begin > 1)
        if not is_whole:
            runs.append(Run(str(end - begin), 1))
        elif first == expected:
            runs[-1] = runs[-1]._replace(groups=runs[-1].groups + 1)
        else:
            runs.append(Run(first.cadence[first.group :] + first.cadence[: first.group], 1))
        expected = last.next if is_whole else None
    return runs
