"""A folder of images where a clip is expected: the whole pipeline, from `slowmo` and from Python."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from slowmo_pipeline import slow_motion
from slowmo_pipeline.steps.records import read_info
from slowmo_pipeline.storage.keys import video_id_of
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.media import grey_frames
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve grey frames, numbered without leading zeros."""
    folder = tmp_path / "shot.v2"
    folder.mkdir()
    for number, frame in enumerate(grey_frames(12)):
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    return folder


def uploads(pipeline: TestPipeline) -> dict[str, int]:
    return {entry.key: entry.changed for entry in pipeline.storage.uploads().entries}


def test_it_becomes_slow_motion_named_after_it(pipeline: TestPipeline, images: Path, tmp_path: Path) -> None:
    done = slowmo("run", images, "--output", f"{tmp_path}/out/", "--image-rate", "24000/1001", "--codec", "ffv1")
    assert done.stdout == f"{tmp_path}/out/shot.v2.mkv\n"
    [key] = [key for key in uploads(pipeline) if key.endswith("/shot.v2.mkv")]
    assert pipeline.final_numbers(video_id_of(key), ".mkv")[::4] == [*range(12)]
    assert read_info(pipeline.storage, video_id_of(key)).declared_rate == Fraction(24000, 1001)


def test_given_again_it_is_not_made_again(pipeline: TestPipeline, images: Path) -> None:
    (images / "sub").mkdir()
    told = [slowmo("upload", place).stdout for place in (f"{images}/sub/..", f"{images}/")]
    before = uploads(pipeline)
    assert told[0] == told[1] == slowmo("upload", images).stdout
    assert told[0].startswith("shot-v2-")
    assert uploads(pipeline) == before


def test_its_settings_lie_beside_it(pipeline: TestPipeline, images: Path) -> None:
    images.with_name("shot.v2.slowmo.json").write_text('{"slowdown": 2}')
    assert slow_motion(images, image_rate=30).seconds == 24 / 30
    slowmo("upload", images, "--image-rate", 30)
    [sidecar] = [key for key in uploads(pipeline) if key.endswith("/shot.v2.mkv.slowmo.json")]
    assert json.loads(pipeline.storage.read(sidecar)) == {"slowdown": 2}


def test_its_plan_and_cost_are_told_before(pipeline: TestPipeline, images: Path) -> None:
    before = uploads(pipeline)
    assert "12 at 25/s" in slowmo("plan", images).stdout
    assert "33" in slowmo("cost", images, "--seconds-per-megapixel", 1, "--cuts", "off").stdout
    assert uploads(pipeline) == before


@pytest.mark.parametrize(
    ("rate", "told"), [("0", "between 1 and 1000"), ("fast", "must be a number"), ("24", "own rate")]
)
def test_a_rate_that_cannot_be_is_told(pipeline: TestPipeline, images: Path, rate: str, told: str) -> None:
    done = slowmo("run", images / "1.png" if rate == "24" else images, "--image-rate", rate)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_an_image_that_does_not_fit_is_told_and_nothing_stays(pipeline: TestPipeline, images: Path) -> None:
    before = uploads(pipeline)
    (images / "7.png").write_bytes(b"no image")
    done = slowmo("run", images)
    assert done.returncode == 1
    assert f"shot.v2: {images}/7.png cannot be read as an image" in done.stderr
    assert "Traceback" not in done.stderr
    assert uploads(pipeline) == before
