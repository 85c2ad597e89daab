"""What `flow` promises beyond the contract of all interpolators."""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from benchmarks.clips import clip
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation import flow
from slowmo_pipeline.interpolation.flow import FlowInterpolator
from slowmo_pipeline.interpolation.projection import carry, pixel_grid
from slowmo_pipeline.interpolation.tuning import TUNING


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a worker: the work is divided by the number of threads."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture(scope="module")
def bikes() -> list[Frame]:
    """Frames 60, 61 and 62 of a real clip: a car passes in front of others."""
    with av.open(str(clip("bikes.mp4"))) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(63))]
    return [frame.astype(np.uint8) for frame in frames[60:]]


def render(before: Frame, after: Frame, *times: Fraction) -> list[Frame]:
    return list(FlowInterpolator().render([before, after], [times]))


def error(one: Frame, other: Frame) -> float:
    """Mean squared error."""
    return float(np.mean((one.astype(np.float64) - other) ** 2))


@pytest.mark.parametrize("t", [Fraction(1, 2), Fraction(1, 3), Fraction(1, 10), Fraction(6, 7)])
@pytest.mark.parametrize("scale", [1, 257])
def test_swapped_frames_and_the_time_left_give_the_same_image(bikes: list[Frame], t: Fraction, scale: int) -> None:
    before, after = ((frame.astype(np.uint8 if scale == 1 else np.uint16) * scale) for frame in (bikes[0], bikes[2]))

    (new,), (mirrored,) = render(before, after, t), render(after, before, 1 - t)

    assert np.abs(new.astype(int) - mirrored).max() <= scale


def test_a_real_frame_made_again_is_far_closer_than_a_blend(bikes: list[Frame]) -> None:
    before, truth, after = bikes
    blend = ((before.astype(np.uint16) + after) // 2).astype(np.uint8)

    (new,) = render(before, after, Fraction(1, 2))

    assert error(new, truth) < error(blend, truth) / 4


def test_a_gap_s_motion_serves_every_time(bikes: list[Frame]) -> None:
    thirds = [Fraction(1, 3), Fraction(2, 3)]

    together = render(bikes[0], bikes[2], *thirds)

    assert [new.tobytes() for new in together] == [render(bikes[0], bikes[2], t)[0].tobytes() for t in thirds]


def test_background_that_is_laid_bare_is_not_smeared() -> None:
    background, square = (
        cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (160, 240, 3)).astype(np.uint8), (0, 0), 2.0)
        for seed in (1, 2)
    )
    # Twice the contrast, and red: the square is told from what it covers.
    square = np.clip(square.astype(int) + (80, -40, -40), 0, 255).astype(np.uint8)

    def at(x: int) -> Frame:
        picture = background.copy()
        picture[50:110, x : x + 60] = square[50:110, :60]
        return picture

    (new,) = render(at(80), at(96), Fraction(1, 2))

    uncovered = np.s_[55:105, 81:87]
    blend = (at(80)[uncovered].astype(float) + at(96)[uncovered]) / 2
    assert error(new[uncovered], at(88)[uncovered]) < error(blend, at(88)[uncovered]) / 2


def test_the_model_id_names_the_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = FlowInterpolator().model_id

    monkeypatch.setattr(flow, "TUNING", dataclasses.replace(TUNING, patch_stride=5))

    assert FlowInterpolator().model_id != usual
    assert usual.startswith(f"flow-{flow.ALGORITHM}-")


def test_a_carried_motion_is_found_where_it_leads() -> None:
    motion = np.zeros((40, 60, 2), np.float32)
    motion[10:20, 10:20] = (16, 0)

    carried, _ = carry(motion, 0.5, np.where(motion[..., 0] > 0, 1, 0.01).astype(np.float32))

    assert carried[15, 23] == pytest.approx((16, 0), abs=0.5)
    assert carried[30, 23] == pytest.approx((0, 0), abs=0.5)


def test_where_no_motion_lands_the_surroundings_fill_in() -> None:
    motion = np.full((40, 60, 2), (30, 0), np.float32)

    carried, weight = carry(motion, 1.0, np.ones((40, 60), np.float32))

    assert carried[20, 5] == pytest.approx((30, 0), abs=2)
    assert weight[20, 5] == pytest.approx(1, abs=0.1)


def test_motion_out_of_the_picture_leaves_stillness() -> None:
    motion = np.full((40, 60, 2), (500, 0), np.float32)

    carried, _ = carry(motion, 1.0, np.ones((40, 60), np.float32))

    assert np.abs(carried).max() == 0


def test_the_pixel_grid_counts_across_then_down() -> None:
    assert pixel_grid(3, 4)[2, 1].tolist() == [1, 2]
