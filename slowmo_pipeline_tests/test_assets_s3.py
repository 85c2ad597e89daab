"""A run over a bucket: what it asks of S3, and what it leaves on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline_tests.fault_proxy import FaultProxy
from slowmo_pipeline_tests.pipeline import NOT_WAITING, TestPipeline, fade_pipeline


@pytest.fixture
def pipeline(proxy: FaultProxy, s3_url: str, tmp_path: Path) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path / "home", storage_url=s3_url) as pipeline:
        yield pipeline


def downloads(proxy: FaultProxy) -> int:
    return len([asked for asked in proxy.asked if asked.method == "GET" and asked.path.endswith("/uploads/clip.mp4")])


def test_upload_comes_down_once_a_run_and_leaves_nothing(
    pipeline: TestPipeline, proxy: FaultProxy, tmp_path: Path
) -> None:
    video_id = pipeline.drop("clip.mp4")
    assert pipeline.run(video_id).success

    assert downloads(proxy) == 1, "probed, cut, assembled and verified"
    assert list((tmp_path / "home" / "scratch").iterdir()) == []


def test_upload_comes_down_once_for_what_does_not_wait_and_once_for_its_end(
    pipeline: TestPipeline, proxy: FaultProxy
) -> None:
    video_id = pipeline.drop("clip.mp4")
    assert pipeline.run(video_id, config=NOT_WAITING).success
    assert downloads(proxy) == 1
    assert pipeline.run(video_id, job="finish_video").success
    assert downloads(proxy) == 2
