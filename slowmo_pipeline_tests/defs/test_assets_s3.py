"""A run over a bucket: what it asks of S3, and what it leaves on this machine."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.steps.video_status import VideoStatuses
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, TestPipeline, fade_pipeline


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


def test_a_plan_is_read_once_a_run(pipeline: TestPipeline, proxy: FaultProxy) -> None:
    video_id = pipeline.drop("clip.mp4")
    asked = {"info.json": 0, "plan.json": 0, "source.json": 0}
    for job, config in (("slow_motion", NOT_WAITING), ("finish_video", None)):
        proxy.asked.clear()
        assert pipeline.run(video_id, job=job, config=config).success
        reads = Counter(each.path.rpartition("/")[2] for each in proxy.asked if each.method == "GET")
        assert reads["plan.json"] == 1
        asked = {name: count + reads[name] for name, count in asked.items()}

    # Of the upload, looked at, cut and checked each by itself; and once with the plan.
    assert asked == {"info.json": 4, "plan.json": 2, "source.json": 4}


def test_times_of_stages_cost_five_writes_a_video(pipeline: TestPipeline, proxy: FaultProxy) -> None:
    video_id = pipeline.drop("clip.mp4")
    writes = []
    for job, config in (("slow_motion", NOT_WAITING), ("finish_video", None), ("slow_motion", None)):
        proxy.asked.clear()
        assert pipeline.run(video_id, job=job, config=config).success
        writes.append(len([each for each in proxy.asked if each.method == "PUT" and "/stages.json" in each.path]))

    assert writes == [2, 3, 1], "probe and cut; interpolate, encode and verify; of what is finished, verify"


def test_status_asks_for_two_small_objects_a_video_and_lists_once(pipeline: TestPipeline, proxy: FaultProxy) -> None:
    *finished, submitted = (pipeline.drop(f"{name}.mp4") for name in "abc")
    for video_id in (*finished, submitted):
        assert pipeline.run(video_id, config=NOT_WAITING).success
    for video_id in finished:
        assert pipeline.run(video_id, job="finish_video").success
    proxy.asked.clear()
    statuses = VideoStatuses(pipeline.storage)
    states = [statuses.of(video_id).state for video_id in statuses.video_ids]

    assert states[:2] == ["finished"] * 2
    assert states[2].endswith("chunks interpolated")
    assert len(proxy.asked) == 2 + 2 * 3 + 1, "two listings, two objects a video, the endpoint's record"
