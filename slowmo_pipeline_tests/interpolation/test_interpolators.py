"""What every interpolator promises, held against each of them."""

import gc
import re
import weakref
from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.interpolation.catalog import spec_of
from slowmo_pipeline_tests.support.film_models import average_film

HALF = [Fraction(1, 2)]


@pytest.fixture(scope="module")
def flow() -> Interpolator:
    return spec_of("flow").make()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Interpolator:
    """FILM with weights that average, whatever moves; see film_models.py."""
    folder = average_film(tmp_path_factory.mktemp("film"), pyramid_levels=2)
    return spec_of("film", saved_model_dir=str(folder), pyramid_levels=2).make()


@pytest.fixture(params=["flow", "film"], scope="module")
def interpolator(request: pytest.FixtureRequest) -> Interpolator:
    """One of each kind."""
    made: Interpolator = request.getfixturevalue(request.param)
    return made


def textured(height: int, width: int, seed: int = 0) -> Frame:
    """Smooth random colours, which a shift changes at every pixel."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4.0)).reshape(height, width, 3)
    image: Frame = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return image


def moving(positions: list[int], height: int = 96, width: int = 128) -> list[Frame]:
    """A texture seen through a window that stands at each of `positions`, in pixels to the right."""
    wide = textured(height, width + max(positions))
    return [wide[:, x : x + width] for x in positions]


def deep(frame: Frame) -> Frame:
    """The same picture with 16 bits."""
    widened: Frame = frame.astype(np.uint16) * np.uint16(257)
    return widened


def difference(one: Frame, other: Frame) -> int:
    """The largest difference of any sample."""
    return int(np.abs(one.astype(np.int64) - other).max())


def test_new_frames_come_in_order_at_the_times_wanted(interpolator: Interpolator) -> None:
    greys = [np.full((32, 32, 3), grey, np.uint8) for grey in (0, 100, 100, 200)]
    times = [[Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)], [], HALF]

    new = interpolator.render(greys, times)

    assert [round(frame.mean()) for frame in new] == [25, 50, 75, 150]


@pytest.mark.parametrize("returned", [range(1), range(2, 4), range(3, 9), range(5, 6), range(3, 3)])
def test_a_part_is_the_same_as_in_the_whole(interpolator: Interpolator, returned: range) -> None:
    frames = moving([0, 6, 9, 20])
    times = [[Fraction(step, 4) for step in (1, 2, 3)], [], [Fraction(step, 4) for step in (1, 2, 3)]]

    whole = list(interpolator.render(frames, times))
    part = list(interpolator.render(frames, times, returned=returned))

    assert len(whole) == 6
    assert len(part) == len(range(6)[returned.start : returned.stop])
    assert [difference(*pair) for pair in zip(part, whole[returned.start :], strict=False)] == [0] * len(part)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 2), (2, 3), (7, 9), (31, 33), (16, 2000), (2000, 16), (1, 300)])
@pytest.mark.parametrize("depth", [8, 16])
def test_any_shape_and_depth_come_back(interpolator: Interpolator, shape: tuple[int, int], depth: int) -> None:
    frames = [textured(*shape, seed) for seed in (1, 2)]
    if depth == 16:
        frames = [deep(frame) for frame in frames]

    (new,) = interpolator.render(frames, [HALF])

    assert FrameShape.of(new) == FrameShape(width=shape[1], height=shape[0], depth=depth)


@pytest.mark.parametrize("t", [Fraction(1, 2), Fraction(3, 10), Fraction(9, 10)])
def test_what_moves_is_shown_on_its_way(flow: Interpolator, t: Fraction) -> None:
    before, truth, after = moving([0, int(20 * t), 20])

    (new,) = flow.render([before, after], [[t]])

    inner = np.s_[8:-8, 24:-24]
    assert np.abs(new[inner].astype(int) - truth[inner]).mean() < 1.0


def test_a_time_close_to_a_frame_shows_that_frame(flow: Interpolator) -> None:
    before, after = moving([0, 12])

    first, last = flow.render([before, after], [[Fraction(1, 10_000), Fraction(9_999, 10_000)]])

    assert difference(first, before) <= 1
    assert difference(last, after) <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_what_stands_still_stays_the_same_to_the_bit(interpolator: Interpolator, depth: int) -> None:
    frame = textured(67, 91) if depth == 8 else deep(textured(67, 91)) + np.uint16(101)

    new = interpolator.render([frame, frame], [[Fraction(1, 3), Fraction(1, 2), Fraction(6, 7)]])

    assert [difference(each, frame) for each in new] == [0, 0, 0]


def test_extremes_do_not_wrap_around(interpolator: Interpolator) -> None:
    frames = [np.where(frame > 128, 255, 0).astype(np.uint8) for frame in moving([0, 9])]

    (new,) = interpolator.render(frames, [HALF])

    blurred = [cv2.blur(frame, (31, 31)).astype(int) for frame in (*frames, new)]
    assert np.abs(blurred[2] - (blurred[0] + blurred[1]) / 2).mean() < 8


def test_sixteen_bits_show_the_same_picture(interpolator: Interpolator) -> None:
    frames = moving([0, 7])

    (shallow,) = interpolator.render(frames, [HALF])
    (fine,) = interpolator.render([deep(frame) for frame in frames], [HALF])

    assert np.abs(fine / 257 - shallow).max() <= 1


def test_sixteen_bits_are_finer_than_eight(interpolator: Interpolator) -> None:
    dark, light = (np.full((16, 16, 3), grey, np.uint16) for grey in (10_000, 10_006))

    (new,) = interpolator.render([dark, light], [HALF])

    assert np.unique(new).tolist() == [10_003]


def test_every_run_gives_the_same_bytes(interpolator: Interpolator) -> None:
    frames = moving([0, 9, 20])

    runs = [[new.tobytes() for new in interpolator.render(frames, [HALF, HALF])] for _ in range(2)]

    assert runs[0] == runs[1]


def test_a_gap_does_not_depend_on_its_neighbours(interpolator: Interpolator) -> None:
    frames = moving([0, 9, 20])

    _, second = interpolator.render(frames, [HALF, HALF])
    (alone,) = interpolator.render(frames[1:], [HALF])

    assert second.tobytes() == alone.tobytes()


def test_one_frame_alone_gives_nothing(interpolator: Interpolator) -> None:
    assert list(interpolator.render([textured(8, 8)], [])) == []


def test_source_frames_are_left_as_they_were(interpolator: Interpolator) -> None:
    frames = moving([0, 9])
    copies = [frame.copy() for frame in frames]

    list(interpolator.render(frames, [HALF]))

    assert [difference(*pair) for pair in zip(frames, copies, strict=True)] == [0, 0]


def test_no_more_than_two_source_frames_are_held(interpolator: Interpolator) -> None:
    alive: list[weakref.ref[Frame]] = []

    def source() -> Iterator[Frame]:
        for seed in range(5):
            frame = textured(24, 24, seed)
            alive.append(weakref.ref(frame))
            yield frame

    held = []
    for _ in interpolator.render(source(), [HALF] * 4):
        gc.collect()
        held.append(sum(reference() is not None for reference in alive))

    assert max(held) <= 3, "two, and the one that this test's own generator still names"
    assert len(held) == 4


def test_no_more_times_are_taken_than_there_are_gaps(interpolator: Interpolator) -> None:
    times = iter([[], [], HALF])

    list(interpolator.render([textured(8, 8)] * 3, times))

    assert next(times) == HALF


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        ([], [], "frames is empty"),
        ([textured(8, 8), textured(8, 9)], [HALF], "Frame 1 is 9x8, 8 bit, frame 0 is 8x8, 8 bit"),
        ([textured(8, 8), deep(textured(8, 8))], [HALF], "Frame 1 is 8x8, 16 bit"),
        ([textured(8, 8).astype(np.float32)], [], "uint8 or uint16, not (8, 8, 3) float32"),
        ([textured(8, 8)[..., 0]], [], "(height, width, 3)"),
        ([np.zeros((0, 8, 3), np.uint8)], [], "no pixels"),
        ([textured(8, 8)] * 3, [HALF], "times ends before the gap between frames 1 and 2"),
        ([textured(8, 8)] * 2, [[Fraction(0)]], "times[0] = [0]"),
        ([textured(8, 8)] * 2, [[Fraction(1)]], "times[0] = [1]"),
        ([textured(8, 8)] * 2, [[Fraction(1, 2), Fraction(1, 3)]], "times[0] = [1/2, 1/3]"),
        ([textured(8, 8)] * 2, [[Fraction(1, 2), Fraction(1, 2)]], "times[0] = [1/2, 1/2]"),
    ],
)
def test_bad_input_is_refused(
    interpolator: Interpolator, frames: list[Frame], times: list[list[Fraction]], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        list(interpolator.render(frames, times))


def test_the_model_id_can_stand_in_a_path(interpolator: Interpolator) -> None:
    assert re.fullmatch(r"[a-z0-9._-]+-[0-9a-f]{8}", interpolator.model_id)
