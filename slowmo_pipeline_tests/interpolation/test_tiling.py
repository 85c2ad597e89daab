"""Cutting a frame into tiles, and joining them so that nobody sees where."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.flow.interpolator import FlowInterpolator
from slowmo_pipeline.interpolation.tiling import OVERLAP, Canvas, Made, Side, Tiling


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    sides, counts = st.integers(1, 160), st.integers(1, 8) | st.just(30)
    return Tiling.of(
        draw(sides),
        draw(sides),
        rows=draw(counts),
        columns=draw(counts),
        multiple=draw(st.sampled_from([1, 2, 7, 16, 64])),
        overlap=draw(st.integers(0, 70)),
    )


def noise(tiling: Tiling, seed: int = 0) -> Made:
    shape = (tiling.rows.length, tiling.columns.length, 3)
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def chain(tiling: Tiling) -> Iterator[Tiling]:
    """The tiling and all that are finer."""
    finer: Tiling | None = tiling
    while finer is not None:
        yield finer
        finer = finer.finer()


@given(tilings())
def test_weights_sum_to_one_at_every_pixel(tiling: Tiling) -> None:
    canvas = Canvas(tiling, 1)

    for tile in tiling.tiles:
        canvas.add(tile, np.ones((tiling.tile_height, tiling.tile_width, 1), np.float32))

    np.testing.assert_allclose(canvas.image, 1, atol=1e-6)


@given(tilings())
def test_no_more_than_two_tiles_mix_along_a_side(tiling: Tiling) -> None:
    for side in (tiling.rows, tiling.columns):
        shown = np.zeros(side.length, int)
        for span in side.spans:
            shown[span.shown_start : span.shown_stop] += 1
        assert set(shown) <= {1, 2}


@given(tilings(), st.integers(0, 1000))
def test_tiles_that_differ_meet_in_a_slope_without_a_step(tiling: Tiling, seed: int) -> None:
    offsets = np.random.default_rng(seed).random(len(tiling.tiles)).astype(np.float32)
    canvas = Canvas(tiling, 1)

    for tile, offset in zip(tiling.tiles, offsets, strict=True):
        canvas.add(tile, np.full((tiling.tile_height, tiling.tile_width, 1), offset))

    for axis in (0, 1):
        steps = np.abs(np.diff(canvas.image, axis=axis))
        assert steps.max(initial=0) <= np.ptp(offsets) / max(tiling.overlap, 1) + 1e-6


@given(tilings())
def test_tiles_cut_and_joined_give_the_frame(tiling: Tiling) -> None:
    frame = noise(tiling)
    canvas = Canvas(tiling, 3)

    for tile in reversed(tiling.tiles):
        canvas.add(tile, tiling.cut(frame, tile))

    np.testing.assert_allclose(canvas.image, frame, atol=1e-6)


@given(tilings())
def test_tiles_lie_on_a_grid_that_the_whole_frame_shares(tiling: Tiling) -> None:
    for side in (tiling.rows, tiling.columns):
        (whole,) = next(Side.cuts(side.length, tiling.multiple, tiling.overlap)).spans
        spans = side.spans
        assert len(spans) == side.count
        assert side.size % tiling.multiple == 0
        assert {span.stop - span.start for span in spans} == {side.size}
        assert all((span.start - whole.start) % tiling.multiple == 0 for span in spans)
        assert (spans[0].start, spans[-1].stop) == (whole.start, whole.stop)
        assert all(left.stop - right.start >= tiling.overlap for left, right in pairwise(spans))


@given(tilings())
def test_a_frame_is_padded_evenly_and_no_more_than_needed(tiling: Tiling) -> None:
    for side in (tiling.rows, tiling.columns):
        before, after = -side.spans[0].start, side.spans[-1].stop - side.length
        assert before in (after, after - 1)
        assert 0 <= before + after < tiling.multiple


@given(tilings())
def test_the_padding_repeats_the_frames_edge(tiling: Tiling) -> None:
    frame = noise(tiling)

    for tile in tiling.tiles:
        y, x = (
            np.clip(np.arange(span.start, span.stop), 0, side.length - 1)
            for span, side in ((tile.rows, tiling.rows), (tile.columns, tiling.columns))
        )
        np.testing.assert_array_equal(tiling.cut(frame, tile), frame[np.ix_(y, x)])


def test_cutting_copies_nothing_where_nothing_is_padded() -> None:
    tiling = Tiling.of(200, 304, rows=2, columns=2, multiple=8)
    frame = noise(tiling)

    assert all(np.shares_memory(tiling.cut(frame, tile), frame) for tile in tiling.tiles)


def test_joining_a_single_tile_copies_nothing() -> None:
    tiling = Tiling.of(60, 100, multiple=64)
    made = np.random.default_rng(0).random((64, 128, 3), dtype=np.float32)
    canvas = Canvas(tiling, 3)

    canvas.add(tiling.tiles[0], made)

    assert np.shares_memory(canvas.image, made)
    np.testing.assert_array_equal(canvas.image, made[2:62, 14:114])


def test_joining_leaves_what_was_made_as_it_is() -> None:
    tiling = Tiling.of(200, 300, rows=2, columns=2)
    made = np.ones((tiling.tile_height, tiling.tile_width, 3), np.float32)

    Canvas(tiling, 3).add(tiling.tiles[0], made)

    assert made.min() == 1


@pytest.mark.parametrize(
    ("rows", "columns", "tile"),
    [(1, 1, (1088, 1920)), (2, 2, (576, 1024)), (1, 3, (1088, 704)), (4, 1, (320, 1920))],
)
def test_a_tile_is_as_small_as_count_and_overlap_allow(rows: int, columns: int, tile: tuple[int, int]) -> None:
    tiling = Tiling.of(1080, 1920, rows=rows, columns=columns, multiple=64, overlap=64)

    assert (tiling.rows.count, tiling.columns.count) == (rows, columns)
    assert (tiling.tile_height, tiling.tile_width) == tile


@pytest.mark.parametrize(
    ("length", "wanted", "overlap", "count"),
    [(5, 100, 0, 5), (64, 9, 64, 1), (66, 9, 64, 2), (1000, 10**9, 64, 14)],
    ids=["no more tiles than pixels", "all is overlap", "two share nearly all", "ramps lie side by side"],
)
def test_tiles_that_would_be_of_no_use_are_not_made(length: int, wanted: int, overlap: int, count: int) -> None:
    assert Tiling.of(length, 1, rows=wanted, overlap=overlap).rows.count == count


@given(tilings())
def test_finer_shrinks_the_tile_and_comes_to_an_end(tiling: Tiling) -> None:
    coarser: Tiling | None = None
    for finer in chain(tiling):
        if coarser is not None:
            assert finer.rows.count * finer.columns.count > coarser.rows.count * coarser.columns.count
            assert finer.tile_height * finer.tile_width < coarser.tile_height * coarser.tile_width
        coarser = finer


def test_finer_cuts_the_longer_side_of_the_tile() -> None:
    counts = [(each.rows.count, each.columns.count) for each in chain(Tiling.of(1080, 1920, multiple=64))]

    assert counts[:5] == [(1, 1), (1, 2), (2, 2), (2, 3), (2, 4)]


@given(st.integers(1, 600), st.integers(1, 600), st.integers(1, 400_000))
def test_within_takes_the_coarsest_whose_tile_has_no_more_pixels(height: int, width: int, pixels: int) -> None:
    tiling = Tiling.within(height, width, pixels=pixels, multiple=16, overlap=24)

    all_of_them = list(chain(Tiling.of(height, width, multiple=16, overlap=24)))
    fitting = [each for each in all_of_them if each.tile_height * each.tile_width <= pixels]
    assert tiling == (fitting[0] if fitting else all_of_them[-1])


def test_within_takes_a_tile_of_exactly_so_many_pixels() -> None:
    exactly, less = (Tiling.within(1080, 1920, pixels=576 * 1024 - spare, multiple=64) for spare in (0, 1))

    assert (exactly.rows.count, exactly.columns.count) == (2, 2)
    assert (less.rows.count, less.columns.count) == (2, 3)


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"columns": -1}, {"multiple": 0}, {"overlap": -1}])
def test_a_number_out_of_bounds_is_named(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} = .* must be at least"):
        Tiling.of(10, 10, **wrong)


def test_an_image_of_another_size_is_refused() -> None:
    tiling = Tiling.of(64, 96, rows=1, columns=2, overlap=8)
    image = np.zeros((64, 95, 3), np.float32)

    with pytest.raises(ValueError, match="95 x 64 pixels, not 96 x 64"):
        tiling.cut(image, tiling.tiles[0])
    with pytest.raises(ValueError, match="95 x 64 pixels, not 52 x 64"):
        Canvas(tiling, 3).add(tiling.tiles[0], image)


def warped(length: float, *, height: int = 256, width: int = 384) -> tuple[Frame, Frame]:
    """Two frames of a detailed texture; each part of it moves its own way between them, by `length` pixels at most."""
    rng = np.random.default_rng(2)
    layers: list[npt.NDArray[np.float32]] = []
    for sigma, contrast in ((1.5, 6), (4, 15), (16, 45)):
        blurred = np.asarray(cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), sigma))
        layers.append((blurred / blurred.std() * contrast).astype(np.float32))
    before = 128 + np.sum(layers, axis=0, dtype=np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx = length * np.sin(2 * np.pi * y / height + 1) * np.cos(np.pi * x / width)
    dy = length * np.sin(1.5 * np.pi * x / width)
    after = cv2.remap(
        before, (x + dx).astype(np.float32), (y + dy).astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    first, second = (np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in (before, np.asarray(after)))
    return first, second


def middle(before: Frame, after: Frame) -> npt.NDArray[np.float32]:
    (new,) = FlowInterpolator().render([before, after], [[Fraction(1, 2)]])
    return new.astype(np.float32)


def tiled_and_whole_differ_by(overlap: int) -> float:
    """The most that a tiled frame differs from one made whole, in levels of 255.

    16 pixels along the frame's own edge are left out: what comes in from outside is guessed, and single pixels of the
    guess differ by 5 to 20 levels at any overlap.
    """
    before, after = warped(6)
    tiling = Tiling.of(256, 384, rows=2, columns=2, multiple=2, overlap=overlap)
    canvas = Canvas(tiling, 3)
    for tile in tiling.tiles:
        canvas.add(tile, middle(tiling.cut(before, tile), tiling.cut(after, tile)))
    return float(np.abs(canvas.image - middle(before, after))[16:-16, 16:-16].max())


def test_flow_made_in_tiles_is_within_2_levels_of_flow_made_whole() -> None:
    # Measured: 1.1 here, and over 12 pairs of frames 1.2 at 64 pixels, 1.3 at 48, 1.4 at 32, 1.9 at 24, 2.0 at 16,
    # 4.1 at 8. 1 is the rounding of frames that were made apart.
    assert tiled_and_whole_differ_by(OVERLAP) <= 2


def test_flow_made_in_tiles_without_an_overlap_shows_the_joins() -> None:
    # Measured: 18.
    assert tiled_and_whole_differ_by(0) > 4
