"""Cutting a large frame into overlapping tiles, and joining what was made of them without a seam.

    one side of the frame   ├───────────────────────────────────┤
        tile 0              ▇▇▇▇▇▇▇▇▇▇▇▆▅▃▂▁
        tile 1                         ▁▂▃▅▆▇▇▇▇▆▅▃▂▁
        tile 2                                  ▁▂▃▅▆▇▇▇▇▇▇▇▇▇▇▇

Heights are weights: they sum to 1 everywhere. Along both sides they multiply.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

Made = npt.NDArray[np.float32]
"""Shape (height, width, channels)."""

OVERLAP = 64
"""Pixels that neighbouring tiles share at least, and over which they fade into each other: even tiles that differ by
64 levels of 255 then climb no more than one level a pixel. From 16 pixels on, `flow` made in tiles is within 2 levels
of `flow` made whole; the rest is for FILM, whose coarsest level has one pixel for 64. Four tiles of a 1920 x 1080
frame have 9 % more pixels for it, 14 % where their sides are multiples of 64."""


@dataclass(frozen=True)
class Span:
    """A tile along one side of the frame: half-open ranges of the frame's pixels."""

    start: int
    """Negative where the tile holds padding."""
    stop: int
    """Beyond the frame where the tile holds padding."""
    shown_start: int
    """Never outside the frame. What is left of the tile beyond the shown range counts nothing."""
    shown_stop: int
    fade_in: int
    """Pixels at the beginning of the shown range where the weight rises; 0 at the frame's edge."""
    fade_out: int

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """What each shown pixel counts, 0 to 1, shape (shown_stop - shown_start,)."""
        weights = np.ones(self.shown_stop - self.shown_start, np.float32)
        weights[: self.fade_in] = _ramp(self.fade_in)
        weights[len(weights) - self.fade_out :] = _ramp(self.fade_out)[::-1]
        return weights


def _ramp(width: int) -> npt.NDArray[np.float32]:
    # Taken at the pixels' centres, so that a ramp and its mirror image sum to 1.
    ramp: npt.NDArray[np.float32] = (np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(max(width, 1))
    return ramp


@dataclass(frozen=True)
class Tile:
    """A rectangle of the frame that is worked on alone."""

    rows: Span
    columns: Span


@dataclass(frozen=True)
class Side:
    """How one side of the frame is cut.

    The frame, padded to a multiple, lies on a grid, and tiles begin and end on its lines. A network that halves its
    input again and again then pools the same pixels in a tile as in the whole frame.
    """

    length: int
    """Of the frame, in pixels."""
    multiple: int
    """Pixels from one line of the grid to the next."""
    count: int
    """Tiles."""
    cells: int
    """Of the grid, in every tile."""

    @classmethod
    def cuts(cls, length: int, multiple: int, overlap: int) -> "Iterator[Side]":
        """All that make sense, coarsest first: each has more tiles than the one before, and smaller ones.

        Each has the smallest tiles with which its `count` and this overlap reach across. Left out are counts that
        make no tile smaller, and those whose tiles lie so close that their ramps would be narrower than `overlap`.
        """
        across, shared = _ceil_div(length, multiple), _ceil_div(overlap, multiple)
        cells = None
        # From the third tile on each takes a step of an overlap or more, so there are no more than fit in the length.
        for count in range(1, max(2, across // max(shared, 1)) + 1):
            cut = cls(length, multiple, count, _ceil_div(across + (count - 1) * shared, count))
            if (cells is None or cut.cells < cells) and (count == 1 or cut.ramp >= overlap):
                cells = cut.cells
                yield cut

    @property
    def size(self) -> int:
        """Of every tile, in pixels."""
        return self.cells * self.multiple

    @property
    def _across(self) -> int:
        return _ceil_div(self.length, self.multiple)

    @property
    def ramp(self) -> int:
        """Pixels over which neighbours fade into each other: as wide as their overlap, and no two ramps touch.

        So no more than two tiles mix at any position.
        """
        if self.count == 1:
            return 0
        step, rest = divmod(self._across - self.cells, self.count - 1)
        narrowest_overlap = self.cells - step - (rest > 0)
        return self.multiple * (narrowest_overlap if self.count == 2 else min(narrowest_overlap, step))

    @property
    def spans(self) -> list[Span]:
        """The tiles in order, spread as evenly as the grid allows.

        The first and the last hold the padding: alike on both sides, one more at the end if that is odd.
        """
        padding = (self._across * self.multiple - self.length) // 2
        steps = max(self.count - 1, 1)
        lines = [number * (self._across - self.cells) // steps for number in range(self.count)]
        starts = [line * self.multiple - padding for line in lines]
        # Each ramp lies in the middle of its overlap, far from the edges beyond which a tile knows nothing.
        joins = [(before + self.size + start - self.ramp) // 2 for before, start in pairwise(starts)]
        return [
            Span(
                start,
                start + self.size,
                shown_start=joins[number - 1] if number > 0 else 0,
                shown_stop=joins[number] + self.ramp if number < len(joins) else self.length,
                fade_in=self.ramp if number > 0 else 0,
                fade_out=self.ramp if number < len(joins) else 0,
            )
            for number, start in enumerate(starts)
        ]


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


@dataclass(frozen=True)
class Tiling:
    """A frame cut into rows and columns of tiles, all of one shape: a graph compiled for a shape is traced once."""

    rows: Side
    columns: Side
    multiple: int
    overlap: int

    @classmethod
    def of(
        cls, height: int, width: int, *, rows: int = 1, columns: int = 1, multiple: int = 1, overlap: int = OVERLAP
    ) -> "Tiling":
        """Cut a frame into at most `rows` x `columns` tiles; fewer where more would be of no use (see `Side.cuts`).

        The tiles' sides and the distances between them are multiples of `multiple` pixels, and neighbours share at
        least `overlap`. The frame is padded to a multiple as well.

        Raises ValueError for a number below 1 (`overlap`: 0).
        """
        counts = {"height": height, "width": width, "rows": rows, "columns": columns, "multiple": multiple}
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} = {value} must be at least 1.")
        if overlap < 0:
            raise ValueError(f"overlap = {overlap} must be at least 0.")
        *_, down = takewhile(lambda cut: cut.count <= rows, Side.cuts(height, multiple, overlap))
        *_, across = takewhile(lambda cut: cut.count <= columns, Side.cuts(width, multiple, overlap))
        return cls(down, across, multiple, overlap)

    @classmethod
    def within(cls, height: int, width: int, *, pixels: int, multiple: int = 1, overlap: int = OVERLAP) -> "Tiling":
        """Return the first of whole, finer, finer still, … whose tile has at most `pixels`; if none has, the finest.

        Raises ValueError as `of` does.
        """
        tiling = cls.of(height, width, multiple=multiple, overlap=overlap)
        while tiling.tile_height * tiling.tile_width > pixels:
            finer = tiling.finer()
            if finer is None:
                break
            tiling = finer
        return tiling

    def finer(self) -> "Tiling | None":
        """Cut the tile's longer side once more, or the other where that is impossible; None at the finest."""
        down = self._finer_side(self.rows)
        across = self._finer_side(self.columns)
        if down is not None and (across is None or self.tile_height >= self.tile_width):
            return replace(self, rows=down)
        return None if across is None else replace(self, columns=across)

    def _finer_side(self, side: Side) -> Side | None:
        cuts = Side.cuts(side.length, self.multiple, self.overlap)
        return next((cut for cut in cuts if cut.count > side.count), None)

    @property
    def tile_height(self) -> int:
        """Pixels, of every tile."""
        return self.rows.size

    @property
    def tile_width(self) -> int:
        """Pixels, of every tile."""
        return self.columns.size

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """Row by row."""
        return tuple(Tile(rows, columns) for rows in self.rows.spans for columns in self.columns.spans)

    def cut(self, image: npt.NDArray[Any], tile: Tile) -> npt.NDArray[Any]:
        """Return the tile's pixels of `image` (height, width, channels), as (tile_height, tile_width, channels).

        The type of number stays. It is a view, unless the tile holds padding: that repeats the frame's edge. (Zeros
        would darken it.)

        Raises ValueError for an image of another size.
        """
        _check_size(image, self.rows.length, self.columns.length)
        inside = image[max(tile.rows.start, 0) : tile.rows.stop, max(tile.columns.start, 0) : tile.columns.stop]
        if inside.shape[:2] == (self.tile_height, self.tile_width):
            return inside
        padding = [
            (max(-span.start, 0), max(span.stop - side.length, 0))
            for span, side in ((tile.rows, self.rows), (tile.columns, self.columns))
        ]
        return np.pad(inside, [*padding, (0, 0)], mode="edge")


class Canvas:
    """Joins what was made of the tiles, one at a time and in any order; each can be forgotten once it is added."""

    def __init__(self, tiling: Tiling, channels: int) -> None:
        self._tiling = tiling
        self.image: Made = np.zeros((tiling.rows.length, tiling.columns.length, channels), np.float32)
        """Shape (height, width, channels); complete once every tile is added. A view of what was made if that was all
        in a single tile."""

    def add(self, tile: Tile, made: Made) -> None:
        """Add what was made of a tile, shape (tile_height, tile_width, channels); ValueError for another size."""
        _check_size(made, self._tiling.tile_height, self._tiling.tile_width)
        rows, columns = tile.rows, tile.columns
        shown = made[
            rows.shown_start - rows.start : rows.shown_stop - rows.start,
            columns.shown_start - columns.start : columns.shown_stop - columns.start,
        ]
        if len(self._tiling.tiles) == 1:
            self.image = shown
            return
        # Repeated for each channel, as NumPy is several times slower where its innermost loop has three steps.
        weighted = shown * np.repeat(columns.weights, made.shape[2]).reshape(-1, made.shape[2])
        weighted *= rows.weights[:, np.newaxis, np.newaxis]
        self.image[rows.shown_start : rows.shown_stop, columns.shown_start : columns.shown_stop] += weighted


def _check_size(image: npt.NDArray[Any], height: int, width: int) -> None:
    if image.shape[:2] != (height, width):
        raise ValueError(f"The image is {image.shape[1]} x {image.shape[0]} pixels, not {width} x {height}.")
