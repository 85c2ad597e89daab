"""An interpolator with weights of its own, as it would lie in `slowmo_pipeline/interpolation`: a fade that dims.

A new frame is the cross-fade of its two neighbours, times the percentage in the weights' file, but `floor` at least.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.base import ALL

PERCENT = "percent.txt"
"""The weights: a file with a whole number."""


class Dimmed:
    """Makes new frames; see the module."""

    def __init__(self, percent: int, floor: int) -> None:
        self._percent = percent
        self._floor = floor
        self.model_id = f"dimmed-1-{percent}.{floor}"

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        """As `Interpolator.render`."""
        places = ((*pair, t) for pair, wanted in zip(pairwise(frames), times, strict=False) for t in wanted)
        for left, right, t in islice(places, returned.start, returned.stop):
            mixed = left + float(t) * (right.astype(np.float64) - left)
            dimmed = (mixed * self._percent / 100).round()
            dimmed[dimmed < self._floor] = self._floor
            yield dimmed.astype(left.dtype)


def load_dimmed(folder: str, *, floor: int = 0) -> Dimmed:
    """Load the weights."""
    return Dimmed(int(Path(folder, PERCENT).read_text()), floor)
