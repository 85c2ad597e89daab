"""Pictures are let go one by one, not when Python next looks for cycles: a hundred of them are a gigabyte at 4K."""

import gc
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from av.video.frame import VideoFrame

from slowmo_pipeline.video.reader import probe
from slowmo_pipeline.video.still import read_still
from slowmo_pipeline_tests.support.media import grey_frames, noise, write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS


@pytest.fixture
def without_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held() -> int:
    """What was made since the last collection is young, as long as there is none."""
    return sum(isinstance(each, VideoFrame) for each in gc.get_objects(generation=0))


@pytest.mark.usefixtures("without_gc")
def test_while_a_video_is_looked_at(tmp_path: Path) -> None:
    counts: list[int] = []
    probe(
        write_clip(tmp_path / "clip.mp4", grey_frames(30)), limits=LIMITS, on_picture=lambda *_: counts.append(held())
    )
    assert len(counts) == 30
    assert max(counts[10:]) <= max(counts[:10])


@pytest.mark.usefixtures("without_gc")
def test_while_images_are_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), noise(1))
    before = held()
    for _ in range(3):
        read_still(tmp_path / "1.png")
    assert held() == before
