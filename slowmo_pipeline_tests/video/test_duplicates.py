from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.cuts import CUT_THRESHOLD, CutScorer
from slowmo_pipeline.video.duplicates import repeated_frames
from slowmo_pipeline_tests.support.media import write_clip

WIDTH, HEIGHT = 320, 180


def walk(length: int, *, seed: int = 0) -> list[Frame]:
    """A patch that crosses a room of soft stripes, 6 pixels a frame: what stands behind it does not move."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    room = 120 + 50 * np.sin(columns / 9 + rng.uniform(0, 6)) * np.cos(rows / rng.uniform(8, 20))
    frames: list[Frame] = []
    for number in range(length):
        image = np.repeat(room[..., np.newaxis], 3, axis=-1)
        left = 20 + 6 * number
        image[60:120, left : left + 40] = (220, 60, 40)
        frames.append(image.astype(np.uint8))
    return frames


def held(frames: Iterable[Frame], *times: int) -> list[Frame]:
    """Show each frame so many times, in turns."""
    return [frame for number, frame in enumerate(frames) for _ in range(times[number % len(times)])]


def repeats(folder: Path, frames: Sequence[Frame], *, qp: int = 24) -> list[int]:
    """Those found in frames that were coded, with loss unless `qp` is 0."""
    scorer = CutScorer()
    with av.open(str(write_clip(folder / "clip.mp4", frames, options={"qp": str(qp)}))) as container:
        for picture in container.decode(video=0):
            scorer.add(picture)
    cuts = [gap for gap, score in enumerate(scorer.scores()) if score >= CUT_THRESHOLD]
    return repeated_frames(scorer.motions(), cuts)


@pytest.mark.parametrize("qp", [0, 28], ids=["exact", "coded again"])
def test_animation_on_twos_repeats_every_second_frame(tmp_path: Path, qp: int) -> None:
    assert repeats(tmp_path, held(walk(9), 2), qp=qp) == list(range(1, 18, 2))


def test_animation_on_threes_repeats_two_of_three(tmp_path: Path) -> None:
    assert repeats(tmp_path, held(walk(6), 3)) == [number for number in range(18) if number % 3]


def test_one_in_five_repeats_where_24_frames_became_30(tmp_path: Path) -> None:
    assert repeats(tmp_path, held(walk(16), 1, 1, 2, 1)) == [3, 8, 13, 18]


def test_a_dropped_frame_that_was_filled_is_a_repeat(tmp_path: Path) -> None:
    frames = walk(20)
    frames[7], frames[13] = frames[6], frames[12]
    assert repeats(tmp_path, frames) == [7, 13]


def test_repeats_end_at_cuts_and_begin_anew_behind_them(tmp_path: Path) -> None:
    two_shots = [*held(walk(5), 2), *held(walk(5, seed=1), 2)]
    assert repeats(tmp_path, two_shots) == list(range(1, 20, 2))


def test_repeats_are_found_under_grain(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grainy = [np.clip(frame + rng.normal(0, 10, frame.shape), 0, 255).astype(np.uint8) for frame in walk(9)]
    assert repeats(tmp_path, held(grainy, 2)) == list(range(1, 18, 2))


def test_steady_motion_repeats_nothing(tmp_path: Path) -> None:
    assert repeats(tmp_path, walk(24)) == []


def test_steady_motion_in_the_dark_repeats_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dark = [np.clip(frame / 12 + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8) for frame in walk(24)]
    assert repeats(tmp_path, dark) == []


@pytest.mark.parametrize("qp", [0, 28])
@pytest.mark.parametrize("sigma", [5, 20])
def test_grain_over_a_still_repeats_nothing(tmp_path: Path, qp: int, sigma: float) -> None:
    rng = np.random.default_rng(0)
    still = walk(1)[0]
    grainy = [np.clip(still + rng.normal(0, sigma, still.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    assert repeats(tmp_path, held(grainy, 2), qp=qp) == []


def test_a_hold_of_six_frames_is_rest(tmp_path: Path) -> None:
    frames = walk(16)
    assert repeats(tmp_path, [*frames[:8], *[frames[8]] * 6, *frames[9:]]) == []


def test_a_still_scene_repeats_nothing(tmp_path: Path) -> None:
    assert repeats(tmp_path, walk(1) * 12) == []


def test_stills_of_a_few_frames_between_cuts_repeat_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slides = [rng.integers(0, 256, (9, 16, 3), np.uint8).repeat(20, axis=0).repeat(20, axis=1) for _ in range(5)]
    assert repeats(tmp_path, held(slides, 3)) == []


def test_motion_that_slows_down_and_gains_speed_repeats_nothing() -> None:
    assert repeated_frames([9.0, 6.0, 3.0, 1.0, 0.2, 0.9, 3.0, 6.0]) == []


def test_at_the_ends_of_a_shot_frames_repeat_only_where_others_do() -> None:
    assert repeated_frames([0.0, 8.0, 8.0, 8.0, 0.0]) == []
    assert repeated_frames([0.0, 8.0, 0.1, 8.0, 0.1, 8.0, 0.1, 8.0, 0.0]) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("motions", [[], [0.0], [9.0], [0.0, 9.0]])
def test_clips_of_few_gaps_repeat_nothing(motions: list[float]) -> None:
    assert repeated_frames(motions) == []
