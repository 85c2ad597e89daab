"""The `film` interpolator: frames in, new frames out. Tiles, memory and rounding; the network is network.py's."""

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.base import ALL, render_gaps
from slowmo_pipeline.interpolation.film.comparison import Difference
from slowmo_pipeline.interpolation.film.devices import Precision
from slowmo_pipeline.interpolation.film.network import FilmNetwork, Prepared
from slowmo_pipeline.interpolation.film.options import FilmOptions
from slowmo_pipeline.interpolation.film.recursion import between
from slowmo_pipeline.interpolation.tiling import OVERLAP, Canvas, Made, Tile, Tiling

ALGORITHM = 2
"""Raised whenever the arithmetic changes, so that results of before and after are never taken for each other's."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TileChoice:
    """How frames are cut: by the numbers of tiles if one is given, else so that a tile has at most `tile_pixels`."""

    block_height: int | None
    """Tiles along the height."""
    block_width: int | None
    tile_pixels: int

    def of(self, height: int, width: int, multiple: int) -> Tiling:
        """The cutting of frames of this size into tiles whose sides are multiples of `multiple`."""
        if self.block_height is None and self.block_width is None:
            return Tiling.within(height, width, pixels=self.tile_pixels, multiple=multiple)
        return Tiling.of(height, width, rows=self.block_height or 1, columns=self.block_width or 1, multiple=multiple)


class _Picture:
    """A source or rendered picture as the network takes it, and what the network makes of it, once that is needed."""

    def __init__(self, network: FilmNetwork, pixels: tf.Tensor | npt.NDArray[np.float32]) -> None:
        self._network = network
        self.pixels = pixels
        """float32 (1, height, width, 3) in [0, 1]; not clipped if rendered."""

    @cached_property
    def prepared(self) -> Prepared:
        return self._network.prepare(self.pixels)

    def between(self, after: "_Picture", t: Fraction) -> "_Picture":
        """Render the picture at time t on the way from this one to `after`."""
        return _Picture(self._network, self._network.render(self.prepared, after.prepared, float(t)))


class _Source:
    """A source frame, for both of its gaps."""

    def __init__(self, network: FilmNetwork, frame: Frame) -> None:
        self.frame = frame
        self._network = network
        self._whole: tuple[Tiling, _Picture] | None = None

    def picture(self, tiling: Tiling, tile: Tile) -> _Picture:
        """The frame's part in a tile. Kept only if the tile is the whole: the features of all tiles fill memory."""
        if self._whole is not None and self._whole[0] == tiling:
            return self._whole[1]
        self._whole = None
        scaled = np.divide(tiling.cut(self.frame, tile), np.iinfo(self.frame.dtype).max, dtype=np.float32)
        picture = _Picture(self._network, scaled[np.newaxis])
        if len(tiling.tiles) == 1:
            self._whole = tiling, picture
        return picture


class FilmInterpolator:
    """Makes new frames by FILM; see `load_film`."""

    def __init__(
        self,
        network: FilmNetwork,
        *,
        weights_sha256: str,
        parameters: int,
        tiles: TileChoice,
        differences: Mapping[Precision, Difference],
    ) -> None:
        self.options: FilmOptions = network.options
        self.device = network.device
        """Of TensorFlow's, such as `GPU:0`."""
        self.precision = network.precision
        self.differences = differences
        """What was compared when it was loaded: float32 with the model's own graph, other precisions with float32."""
        self.parameters = parameters
        """Numbers in the weights."""
        self._network = network
        self._weights_sha256 = weights_sha256
        self._tiles = tiles

    @property
    def model_id(self) -> str:
        """`film-<algorithm>-<hash of the weights, the options and the tiles>`, with the precision if not float32.

        TensorFlow's version and the device are no part of it: they change results by rounding only.
        """
        # float32 stands as 32 since models had ids before it had a name.
        precision = {"float32": "32"}.get(self._network.precision, self._network.precision)
        decisive = f"{self._weights_sha256} {self.options} {self._tiles} {OVERLAP} {precision}"
        named = "" if self._network.precision == "float32" else f"{self._network.precision}-"
        return f"film-{ALGORITHM}-{named}{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        """As `Interpolator.render`; all new frames of a gap are made before its first is yielded.

        When memory runs out the gap, and those after it, are cut into finer tiles; at the finest the error of
        TensorFlow or MemoryError is raised.
        """
        tiling: Tiling | None = None

        def new_frames(before: _Source, after: _Source, times: Sequence[Fraction], returned: range) -> Iterator[Frame]:
            nonlocal tiling
            height, width = before.frame.shape[:2]
            tiling = tiling or self._tiles.of(height, width, self.options.multiple)
            made, tiling = _made_in_memory(before, after, times, returned, tiling)
            while made:
                yield made.popleft()  # whoever takes it may be the last to hold it

        prepare = partial(_Source, self._network)
        return render_gaps(frames, times, returned=returned, prepare=prepare, make=new_frames)


def _made_in_memory(
    before: _Source, after: _Source, times: Sequence[Fraction], returned: range, tiling: Tiling
) -> tuple[deque[Frame], Tiling]:
    """The new frames of one gap, and how it was cut: finer than asked for where memory ran out."""
    while True:
        try:
            return _made(before, after, times, returned, tiling), tiling
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            finer = tiling.finer()
            if finer is None:
                raise
            logger.warning(
                "Memory ran out over a tile of %d x %d pixels; trying %d x %d. It said: %s",
                *(tiling.tile_width, tiling.tile_height, finer.tile_width, finer.tile_height),
                str(error).partition("\n")[0],
            )
            tiling = finer


def _made(before: _Source, after: _Source, times: Sequence[Fraction], returned: range, tiling: Tiling) -> deque[Frame]:
    """The new frames of one gap, tile by tile: a tile's pictures serve all times before the next tile is begun."""
    canvases = deque(Canvas(tiling, 3) for _ in returned)
    finished: deque[Frame] = deque()
    for tile in tiling.tiles:
        pair = before.picture(tiling, tile), after.picture(tiling, tile)
        # One round: each canvas in turn gets its tile, and with the last one its floats go.
        for picture in between(*pair, times, _Picture.between, returned=returned):
            canvas = canvases.popleft()
            canvas.add(tile, np.asarray(picture.pixels)[0])
            if tile is tiling.tiles[-1]:
                finished.append(_rounded(canvas.image, before.frame.dtype))
            else:
                canvases.append(canvas)
    return finished


def _rounded(image: Made, dtype: npt.DTypeLike) -> Frame:
    largest = np.iinfo(dtype).max
    rounded: Frame = np.rint(np.clip(image, 0, 1) * np.float32(largest)).astype(dtype)
    return rounded
