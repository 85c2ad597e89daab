"""Repeated frames, in moving pictures that were encoded anew: so that a repeat is not the same to the bit."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.duplicates import RepeatFinder, repeats_in
from slowmo_pipeline_tests.support.media import write_clip

FRAMES = 48


def moving(number: int) -> Frame:
    """A textured scene that pans, with a square that goes its own way."""
    texture = np.random.default_rng(3).integers(0, 255, (12, 80), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    frame = np.repeat(texture[:, 3 * number : 3 * number + 160, None], 3, axis=2)
    frame[30:54, 5 + 2 * number : 29 + 2 * number] = (230, 40, 60)
    return np.ascontiguousarray(frame)


def found(tmp_path: Path, shown: Callable[[int], Frame], count: int = FRAMES) -> list[int]:
    clip = write_clip(tmp_path / "clip.mp4", map(shown, range(count)))
    finder = RepeatFinder()
    with av.open(clip) as container:
        for picture in container.decode(video=0):
            finder.add(picture)
    return finder.repeats()


@pytest.mark.parametrize(
    "source",
    [lambda n: n // 2, lambda n: n // 3, lambda n: n // 4, lambda n: n * 4 // 5, lambda n: n - (n in (9, 20, 21))],
    ids=["on twos", "on threes", "on fours", "24 to 30", "dropped"],
)
def test_frames_that_repeat_are_found(tmp_path: Path, source: Callable[[int], int]) -> None:
    repeated = [number for number in range(1, FRAMES) if source(number) == source(number - 1)]
    # What the clip ends with may as well be a still.
    inner = [number for number in repeated if 5 < number < FRAMES - 5]

    assert [number for number in found(tmp_path, lambda n: moving(source(n))) if 5 < number < FRAMES - 5] == inner
    assert inner


@pytest.mark.parametrize(
    "source",
    [lambda n: n, lambda n: max(n - 20, 0), lambda n: min(n, 20), lambda n: n if n < 20 else max(n - 8, 20)],
    ids=["all move", "a still first", "a still at the end", "a still between"],
)
def test_motion_and_stills_have_none(tmp_path: Path, source: Callable[[int], int]) -> None:
    assert found(tmp_path, lambda n: moving(source(n))) == []


def test_noise_has_none(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)

    def grainy(number: int) -> Frame:
        return np.clip(moving(0) + noise.normal(0, 10, (96, 160, 3)), 0, 255).astype(np.uint8)

    assert found(tmp_path, grainy) == []


def test_the_dark_has_none(tmp_path: Path) -> None:
    assert found(tmp_path, lambda n: moving(n // 2) // 60) == []


def test_motion_that_fades_away_and_comes_back_has_none() -> None:
    assert repeats_in([0, 40, 41, 30, 24, 12, 6, 3, 21, 35, 40, 41, 42]) == []
