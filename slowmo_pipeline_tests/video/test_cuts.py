import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.cuts import CUT_THRESHOLD, CutScorer
from slowmo_pipeline_tests.support.media import in_depth, write_clip

WIDTH, HEIGHT = 192, 108


def world(seed: int) -> Frame:
    """A picture of rectangles, three times as large as a frame."""
    rng = np.random.default_rng(seed)
    image = np.full((3 * HEIGHT, 3 * WIDTH, 3), rng.integers(40, 200, 3), np.uint8)
    for _ in range(150):
        left, top = rng.integers(0, 3 * WIDTH), rng.integers(0, 3 * HEIGHT)
        image[top : top + rng.integers(8, 70), left : left + rng.integers(8, 70)] = rng.integers(20, 235, 3)
    return cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.uint8)


def shot(seed: int, length: int, *, speed: float = 3) -> list[Frame]:
    """A camera that pans over a world, `speed` pixels a frame."""
    seen = world(seed)
    lefts = [WIDTH + round(speed * (number - length / 2)) for number in range(length)]
    return [seen[HEIGHT : 2 * HEIGHT, left : left + WIDTH].copy() for left in lefts]


def cuts(path: Path, threshold: float = CUT_THRESHOLD) -> list[int]:
    scorer = CutScorer()
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            scorer.add(picture)
    return [gap for gap, score in enumerate(scorer.scores()) if score >= threshold]


def joined(*lengths: int) -> list[Frame]:
    return [frame for seed, length in enumerate(lengths) for frame in shot(seed, length)]


def coded(folder: Path, frames: Iterable[Frame]) -> Path:
    """Coded with loss, as uploads are."""
    return write_clip(folder / "clip.mp4", frames, options={"qp": "28"})


def lit(frames: list[Frame], light: dict[int, int]) -> list[Frame]:
    return [np.clip(frame.astype(int) + light.get(n, 0), 0, 255).astype(np.uint8) for n, frame in enumerate(frames)]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((7, 9, 5), [6, 15]),
        ((1, 6, 1), [0, 6]),
        ((6, 1, 2, 3, 4, 5, 6), [5, 6, 8, 11, 15, 20]),
        ((1, 1), [0]),
    ],
    ids=["long shots", "second frame and last gap", "shots of one to five frames", "two frames"],
)
def test_cuts_lie_where_shots_meet(tmp_path: Path, lengths: Sequence[int], expected: list[int]) -> None:
    assert cuts(coded(tmp_path, joined(*lengths))) == expected


def test_black_bars_hide_no_cut(tmp_path: Path) -> None:
    frames = joined(6, 2, 6)
    for frame in frames:
        frame[:14] = 0
        frame[-14:] = 0
    assert cuts(coded(tmp_path, frames)) == [5, 7]


def test_darkness_hides_no_cut(tmp_path: Path) -> None:
    dark = [(frame * 0.12).astype(np.uint8) for frame in joined(6, 2, 6)]
    assert cuts(coded(tmp_path, dark)) == [5, 7]


def test_like_colours_hide_no_cut(tmp_path: Path) -> None:
    turned = [frame[::-1, ::-1] for frame in shot(0, 6)]
    assert cuts(coded(tmp_path, [*shot(0, 6), *turned])) == [5]


def test_a_cut_to_black_is_one(tmp_path: Path) -> None:
    black = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 5
    assert cuts(coded(tmp_path, [*shot(0, 6), *black, *shot(1, 6)])) == [5, 10]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(tmp_path: Path, length: int) -> None:
    light = dict.fromkeys(range(6, 6 + length), 190)
    assert cuts(coded(tmp_path, lit(shot(0, 14), light))) == []


def test_a_flash_of_plain_white_is_no_cut(tmp_path: Path) -> None:
    assert cuts(coded(tmp_path, lit(shot(0, 14), {6: 255, 7: 255}))) == []


def test_lightning_is_no_cut(tmp_path: Path) -> None:
    dim = [frame // 3 for frame in shot(0, 16)]
    assert cuts(coded(tmp_path, lit(dim, {5: 120, 7: 200, 8: 90, 11: 150}))) == []


def test_a_fade_to_black_and_back_is_no_cut(tmp_path: Path) -> None:
    shares = np.clip(np.abs(np.arange(20) - 9) / 6, 0, 1)
    fading = [(frame * share).astype(np.uint8) for frame, share in zip(shot(0, 20), shares, strict=True)]
    assert cuts(coded(tmp_path, fading)) == []


def test_a_dissolve_of_six_frames_is_no_cut(tmp_path: Path) -> None:
    shares = np.clip((np.arange(18) - 5) / 6, 0, 1)
    pairs = zip(shot(0, 18), shot(1, 18), shares, strict=True)
    assert cuts(coded(tmp_path, [((1 - s) * one + s * other).astype(np.uint8) for one, other, s in pairs])) == []


def test_a_fast_pan_is_no_cut(tmp_path: Path) -> None:
    # A quarter of the width a frame.
    assert cuts(coded(tmp_path, shot(0, 7, speed=WIDTH / 4))) == []


def test_missing_frames_of_a_pan_are_no_cut(tmp_path: Path) -> None:
    frames = shot(0, 24, speed=5)
    assert cuts(coded(tmp_path, [*frames[:9], *frames[14:]])) == []


def test_a_title_that_appears_is_no_cut(tmp_path: Path) -> None:
    frames = shot(0, 12)
    for frame in frames[5:9]:
        cv2.putText(frame, "SLOW", (10, 50), 0, 1.4, (255, 255, 255), 3)
        cv2.putText(frame, "MOTION", (10, 90), 0, 1.2, (255, 255, 255), 3)
    assert cuts(coded(tmp_path, frames)) == []


def test_grain_is_no_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [np.clip(frame + rng.normal(0, 15, frame.shape), 0, 255).astype(np.uint8) for frame in shot(0, 10)]
    assert cuts(coded(tmp_path, frames)) == []


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "gray"])
def test_other_pixel_formats_are_scored(tmp_path: Path, pixel_format: str) -> None:
    frames = [in_depth(frame.astype(int), 16) for frame in joined(4, 4)]
    assert cuts(write_clip(tmp_path / "clip.mkv", frames, codec="ffv1", pixel_format=pixel_format)) == [3]


def test_upright_video_is_scored(tmp_path: Path) -> None:
    assert cuts(coded(tmp_path, [np.rot90(frame) for frame in joined(5, 5)])) == [4]


def test_scores_so_far_can_be_asked_for_at_any_time(tmp_path: Path) -> None:
    scorer = CutScorer()
    lengths = []
    with av.open(str(coded(tmp_path, joined(5, 5)))) as container:
        for picture in container.decode(video=0):
            scorer.add(picture)
            lengths.append(len(scorer.scores()))
    assert lengths == list(range(10))


def test_scores_have_two_decimals_and_end_at_1(tmp_path: Path) -> None:
    scorer = CutScorer()
    with av.open(str(coded(tmp_path, joined(3, 1, 2)))) as container:
        for picture in container.decode(video=0):
            scorer.add(picture)
    assert all(0 <= score <= 1 and score == round(score, 2) for score in scorer.scores())


def test_importing_the_scorer_imports_neither_numpy_nor_opencv() -> None:
    program = "import sys, slowmo_pipeline.video.cuts; sys.exit(bool({'numpy', 'cv2'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
