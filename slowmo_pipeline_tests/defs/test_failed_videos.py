"""What Dagster's pages show of a video that failed, and what ends that."""

from collections.abc import Iterator

import pytest

from slowmo_pipeline_tests.support.dagster_ui import ASSETS, DagsterUi, dagster_ui, launching_pipeline
from slowmo_pipeline_tests.support.media import cut_off
from slowmo_pipeline_tests.support.pipeline import TestPipeline
from slowmo_pipeline_tests.support.stored import root_of


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with launching_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


@pytest.fixture
def ui(pipeline: TestPipeline) -> Iterator[DagsterUi]:
    with dagster_ui(pipeline.instance) as ui:
        yield ui


@pytest.fixture
def failed(pipeline: TestPipeline, ui: DagsterUi) -> str:
    """A damaged upload, run: Dagster counts all that the run had planned as failed."""
    video_id = pipeline.drop("failed.mp4")
    cut_off(root_of(pipeline.storage) / "uploads/failed.mp4", keep=0.3)
    assert not pipeline.run(video_id).success
    assert ui.failed() == {asset: [video_id] for asset in ASSETS}
    return video_id


def test_a_good_file_in_its_place_ends_it(pipeline: TestPipeline, ui: DagsterUi, failed: str) -> None:
    assert pipeline.drop("failed.mp4") == failed
    assert pipeline.run(failed).success
    assert ui.failed() == {}


def test_its_partition_takes_it_along(ui: DagsterUi, failed: str) -> None:
    ui.delete_partition(failed)
    assert ui.failed() == {}
    assert ui.checks("raw_video")["upload_decodes"]["partitionStatuses"]["failedPartitions"] == []
