"""Clip and result side by side: in step, labelled, and only of what is finished."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from slowmo_pipeline.errors import UnknownVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.steps.compare import compare
from slowmo_pipeline_tests.support.media import write_clip
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.videos import quiet


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


def compared(pipeline: TestPipeline, video_id: str, path: Path) -> list[Frame]:
    compare(pipeline.storage, video_id, path, progress=quiet)
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24").astype(np.uint8) for picture in container.decode(video=0)]


def test_each_frame_stands_beside_the_one_before_it(pipeline: TestPipeline, tmp_path: Path) -> None:
    video_id = pipeline.drop("beside.mp4")
    assert pipeline.run(video_id).success
    pictures = compared(pipeline, video_id, tmp_path / "compared.mp4")
    clip, result = ([int(picture[-4, column, 0]) for picture in pictures] for column in (4, -4))
    assert len(pictures) == 24
    assert all(len({*clip[at : at + 4]}) == 1 for at in range(0, 24, 4))
    assert clip[::4] == pytest.approx(result[::4], abs=3)
    assert sorted(result) == result


def test_both_halves_carry_their_words(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "dark.mp4", [np.zeros((180, 320, 3), np.uint8)] * 6, rate=Fraction(25))
    pipeline.storage.upload(clip, "uploads/dark.mp4")
    video_id = pipeline.add("uploads/dark.mp4")
    assert pipeline.run(video_id).success
    corner = compared(pipeline, video_id, tmp_path / "compared.mp4")[3][:20]
    assert corner[:, :100].max() > 200
    assert corner[:, 320:360].max() > 200
    assert corner[:, 250:320].max() < 40


def test_a_result_that_grew_to_even_sizes_fits(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "odd.mkv", [np.full((55, 77, 3), 90, np.uint8)] * 6, codec="ffv1", pixel_format="bgr0")
    pipeline.storage.upload(clip, "uploads/odd.mkv")
    video_id = pipeline.add("uploads/odd.mkv")
    assert pipeline.run(video_id).success
    assert len(compared(pipeline, video_id, tmp_path / "compared.mp4")) == 24


def test_what_is_not_finished_is_refused(pipeline: TestPipeline, tmp_path: Path) -> None:
    video_id = pipeline.drop("begun.mp4")
    for asset in ("raw_video", "frame_chunks"):
        assert pipeline.run(video_id, only=asset).success
    with pytest.raises(UnknownVideoError, match=f"{video_id} is not finished"):
        compare(pipeline.storage, video_id, tmp_path / "compared.mp4", progress=quiet)
