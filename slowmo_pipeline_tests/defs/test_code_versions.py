"""What earlier formats made is marked as such in Dagster, whatever code ran last; what is of today's is not."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleCauseCategory
from dagster._core.loader import LoadingContextForTest

from slowmo_pipeline.definitions import defs
from slowmo_pipeline_tests.support.dagster_ui import ASSETS
from slowmo_pipeline_tests.support.earlier_storage import CONSTANT, unpack_earlier_storage
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline

CODE = {StaleCauseCategory.CODE}


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[TestPipeline]:
    """With the finished video of formats 1 that version 0.1.0 left."""
    unpack_earlier_storage(tmp_path)
    with fade_pipeline(tmp_path) as pipeline:
        pipeline.add("uploads/constant.mp4")
        yield pipeline


def marks(instance: dg.DagsterInstance, video_id: str) -> dict[str, set[StaleCauseCategory]]:
    """Why each asset of a video is marked as out of date; those that are not are left out."""
    graph = defs.get_repository_def().asset_graph
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = {name: resolver.get_stale_causes(dg.AssetKey(name), video_id) for name in ASSETS}
    return {name: {cause.category for cause in causes} for name, causes in found.items() if causes}


def test_a_video_of_today_is_not_marked_however_often_it_is_run(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("today.mp4")
    for _ in range(2):
        assert pipeline.run(video_id).success
        assert marks(pipeline.instance, video_id) == {}


def test_a_video_that_keeps_its_earlier_formats_is_marked_and_one_made_anew_no_longer(pipeline: TestPipeline) -> None:
    assert pipeline.run(CONSTANT).success
    assert marks(pipeline.instance, CONSTANT) == dict.fromkeys(ASSETS, CODE)
    assert pipeline.run(CONSTANT, slowdown=3).success
    assert marks(pipeline.instance, CONSTANT) == {}


def test_a_mark_starts_no_run() -> None:
    """No asset is made by itself when it is out of date: that would pay for an archive at each release."""
    graph = defs.get_repository_def().asset_graph
    assert [key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition] == []
