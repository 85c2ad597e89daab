"""Presentation times as they are stored and told: by their steps."""

from collections.abc import Sequence
from itertools import groupby, pairwise


def runs_of_steps(ticks: Sequence[int]) -> dict[str, object]:
    """[step, how often] pairs: an hour of film at a constant rate is one pair in MP4, half a megabyte in Matroska."""
    steps = (after - before for before, after in pairwise(ticks))
    return {"first": ticks[0], "steps": [[step, sum(1 for _ in run)] for step, run in groupby(steps)]}
