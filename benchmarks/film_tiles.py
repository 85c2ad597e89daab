"""FILM over large frames: whole and in tiles, how long and in how much memory, and how far the results differ.

Each is made in a process of its own. With random weights only arithmetic and memory can be judged: how far published
weights see, and so how visible a join would be, cannot be measured here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table

from benchmarks.film_setup import read_frames
from benchmarks.fresh_process import forget_peak_memory, in_fresh_process, peak_memory
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.interpolation.film.loading import TILE_PIXELS
from slowmo_pipeline.interpolation.tiling import Side, Tiling

MULTIPLE = 64
"""What the sides of tiles are multiples of in the published network, which has seven levels."""
LEVEL = 65535 / 255
"""A step of 8 bits in frames of 16."""


@dataclass(frozen=True)
class Result:
    """One new frame of a large pair."""

    frame: Frame
    seconds: float
    """The features of both frames included."""
    peak: float
    """Memory of the process, in GB."""


def middle(model: Path, *, height: int, width: int, rows: int, columns: int) -> Result:
    """Make the frame half-way in `rows` x `columns` tiles."""
    interpolator = load_film(model, block_height=rows, block_width=columns)
    frames = read_frames(2, height, width)
    forget_peak_memory()
    started = time.perf_counter()
    (made,) = interpolator.render(frames, [[Fraction(1, 2)]])
    return Result(made, time.perf_counter() - started, peak_memory())


def tiles_table(model: Path, height: int, width: int, *, automatic_only: bool = False) -> Table:
    """Measure each cutting."""
    automatic = Tiling.within(height, width, pixels=TILE_PIXELS, multiple=MULTIPLE)
    cuttings = [
        Tiling.of(height, width, multiple=MULTIPLE),
        Tiling.of(height, width, rows=1, columns=2, multiple=MULTIPLE),
        Tiling.of(height, width, rows=2, columns=2, multiple=MULTIPLE),
        automatic,
        Tiling.within(height, width, pixels=512 * 512, multiple=MULTIPLE),
    ]
    title = f"One new frame of {width}x{height}; differences from the whole, largest / mean, in levels of 255"
    shown = Table("tiles", title=title)
    for heading in ("of pixels", "worked on", "seconds", "peak GB", "at joins", "elsewhere"):
        shown.add_column(heading, justify="right")
    whole: Frame | None = None
    # The automatic cutting may be one of the others.
    for tiling in [automatic] if automatic_only else dict.fromkeys(cuttings):
        rows, columns = tiling.rows.count, tiling.columns.count
        result = in_fresh_process(middle, model, height=height, width=width, rows=rows, columns=columns)
        whole = result.frame if rows * columns == 1 else whole
        area = tiling.tile_height * tiling.tile_width * len(tiling.tiles)
        shown.add_row(
            f"{rows} x {columns}{' (automatic)' if tiling == automatic else ''}",
            f"{tiling.tile_width}x{tiling.tile_height}",
            f"{area / (height * width):.2f}",
            f"{result.seconds:.0f}",
            f"{result.peak:.1f}",
            *_differences(result.frame, whole, tiling),
        )
    return shown


def _differences(made: Frame, whole: Frame | None, tiling: Tiling) -> Sequence[str]:
    """The largest and the mean where tiles fade into each other, and elsewhere."""
    if whole is None or len(tiling.tiles) == 1:
        return "", ""
    difference = np.abs(made.astype(np.int32) - whole).max(axis=-1) / LEVEL
    joins = _fading(tiling.rows)[:, np.newaxis] | _fading(tiling.columns)
    return [f"{part.max():.1f} / {part.mean():.2f}" for part in (difference[joins], difference[~joins])]


def _fading(side: Side) -> npt.NDArray[np.bool_]:
    """Which pixels along a side two tiles share."""
    fading = np.zeros(side.length, np.bool_)
    for span in side.spans:
        fading[span.shown_start : span.shown_start + span.fade_in] = True
    return fading
