"""What `flow` promises beyond the contract of all interpolators."""

import dataclasses
import itertools
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from benchmarks.clips import clip
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.flow import interpolator as flow
from slowmo_pipeline.interpolation.flow.forward_warp import forward_warp, pixel_grid
from slowmo_pipeline.interpolation.flow.interpolator import FlowInterpolator
from slowmo_pipeline.interpolation.flow.parameters import PARAMETERS


@pytest.fixture(scope="module")
def bikes() -> list[Frame]:
    """Frames 60, 61 and 62 of a real clip: a car passes in front of others."""
    with av.open(str(clip("bikes.mp4"))) as container:
        wanted = itertools.islice(container.decode(video=0), 60, 63)
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in wanted]


def render(before: Frame, after: Frame, *times: Fraction) -> list[Frame]:
    return list(FlowInterpolator().render([before, after], [times]))


def error(one: Frame, other: Frame) -> float:
    """Mean squared error."""
    return float(np.mean((one.astype(np.float64) - other) ** 2))


@pytest.mark.parametrize("t", [Fraction(1, 2), Fraction(1, 3), Fraction(1, 10), Fraction(6, 7)])
@pytest.mark.parametrize("scale", [1, 257])
def test_swapped_frames_and_the_time_left_give_the_same_image(bikes: list[Frame], t: Fraction, scale: int) -> None:
    before, after = (frame if scale == 1 else frame.astype(np.uint16) * np.uint16(257) for frame in bikes[::2])

    (new,), (mirrored,) = render(before, after, t), render(after, before, 1 - t)

    assert np.abs(new.astype(int) - mirrored).max() <= scale


def test_a_real_frame_made_again_is_closer_than_a_blend(bikes: list[Frame]) -> None:
    before, truth, after = bikes
    blend = ((before.astype(np.uint16) + after) // 2).astype(np.uint8)

    (new,) = render(before, after, Fraction(1, 2))

    assert error(new, truth) < error(blend, truth) / 2


def test_a_gap_s_motion_serves_every_time(bikes: list[Frame]) -> None:
    thirds = [Fraction(1, 3), Fraction(2, 3)]

    together = render(bikes[0], bikes[2], *thirds)

    assert [new.tobytes() for new in together] == [render(bikes[0], bikes[2], t)[0].tobytes() for t in thirds]


def test_background_is_found_beside_what_moves_across_it() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 240, 360, 3))
    background, square = (128 + 500 * np.asarray(cv2.GaussianBlur(each, (0, 0), 5.0)) for each in noise)

    def at(x: int) -> Frame:
        picture = background.copy()
        picture[40:200, x : x + 160] = square[40:200, :160]
        image: Frame = np.clip(picture, 0, 255).astype(np.uint8)
        return image

    before, truth, after = at(80), at(84), at(88)
    (new,) = render(before, after, Fraction(1, 2))

    laid_bare, still_bare = np.s_[60:180, 80:84], np.s_[60:180, 244:248]
    for strip in (laid_bare, still_bare):
        blend = (before[strip].astype(np.uint16) + after[strip]) // 2
        assert error(new[strip], truth[strip]) < error(blend.astype(np.uint8), truth[strip]) / 2


def test_the_number_of_threads_does_not_matter(bikes: list[Frame]) -> None:
    usual = cv2.getNumThreads()
    made = []
    try:
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            made += render(bikes[0], bikes[2], Fraction(1, 2))
    finally:
        cv2.setNumThreads(usual)

    assert made[0].tobytes() == made[1].tobytes()


def test_the_model_id_names_the_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = FlowInterpolator().model_id

    monkeypatch.setattr(flow, "PARAMETERS", dataclasses.replace(PARAMETERS, patch_stride=PARAMETERS.patch_stride + 1))

    assert FlowInterpolator().model_id != usual
    assert usual.startswith(f"flow-{flow.ALGORITHM}-")


def test_a_carried_motion_is_found_where_it_leads() -> None:
    motion = np.zeros((40, 60, 2), np.float32)
    motion[10:20, 10:20] = (16, 0)

    carried, _ = forward_warp(motion, 0.5, np.ones((40, 60), np.float32))

    assert carried[30, 23] == pytest.approx((0, 0), abs=0.5)
    assert carried[15, 23, 0] == pytest.approx(8, abs=1), "both the moving and the standing pixels land here"


def test_where_two_motions_land_the_trusted_one_wins() -> None:
    motion = np.zeros((40, 60, 2), np.float32)
    motion[10:20, 10:20] = (16, 0)
    trust = np.where(motion[..., 0] > 0, 1, PARAMETERS.least_trust / 10).astype(np.float32)

    carried, _ = forward_warp(motion, 0.5, trust)

    assert carried[15, 23] == pytest.approx((16, 0), abs=1)


def test_where_no_motion_lands_the_surroundings_fill_in() -> None:
    motion = np.full((40, 60, 2), (30, 0), np.float32)

    carried, weight = forward_warp(motion, 1.0, np.ones((40, 60), np.float32))

    assert carried[20, 5] == pytest.approx((30, 0), abs=2)
    assert weight[20, 5] == pytest.approx(1, abs=0.1)


def test_motion_out_of_the_picture_leaves_stillness() -> None:
    motion = np.full((40, 60, 2), (500, 0), np.float32)

    carried, _ = forward_warp(motion, 1.0, np.ones((40, 60), np.float32))

    assert np.abs(carried).max() == 0


def test_the_pixel_grid_counts_across_then_down() -> None:
    assert pixel_grid(3, 4)[2, 1].tolist() == [1, 2]
