"""The checks as Dagster's pages show and execute them: each video by itself."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import dagster as dg
import pytest

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.checks import FRAME_COUNT, IN_PLACE
from slowmo_pipeline.defs.evaluations import BY_SERVED_MODEL, DECODES
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline.machine.run import failure_of
from slowmo_pipeline.steps.video_status import VideoStatuses
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.dagster_ui import DagsterUi, dagster_ui, launching_pipeline
from slowmo_pipeline_tests.support.earlier_home import earlier_home
from slowmo_pipeline_tests.support.media import cut_off, damaged, grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import TestPipeline
from slowmo_pipeline_tests.support.stored import root_of

CHECKS = [DECODES, FRAME_COUNT.key, IN_PLACE.key, BY_SERVED_MODEL]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with launching_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def ui(pipeline: TestPipeline) -> Iterator[DagsterUi]:
    with dagster_ui(pipeline.instance) as ui:
        yield ui


@pytest.fixture(scope="module")
def good(pipeline: TestPipeline) -> str:
    """A video that passes all checks."""
    video_id = pipeline.drop("good.mp4", frames=12)
    assert pipeline.run(video_id).success
    return video_id


@pytest.fixture(scope="module")
def unreadable(pipeline: TestPipeline) -> str:
    """A damaged upload, run."""
    video_id = pipeline.drop("unreadable.mp4")
    cut_off(root_of(pipeline.storage) / "uploads/unreadable.mp4", keep=0.3)
    assert not pipeline.run(video_id).success
    return video_id


def spoil(pipeline: TestPipeline, video_id: str) -> None:
    """Let the final video lack frames."""
    write_clip(pipeline.final_path(video_id), grey_frames(6), rate=Fraction(25))


def test_a_bad_video_stays_bad_when_a_good_one_follows(pipeline: TestPipeline, ui: DagsterUi, good: str) -> None:
    bad = pipeline.drop("short.mp4")
    assert pipeline.run(bad).success
    spoil(pipeline, bad)
    pipeline.run(bad)
    pipeline.run(good)

    found = ui.checks("final_video")["frame_count_and_duration"]["partitionStatuses"]
    assert bad in found["failedPartitions"]
    assert good in found["succeededPartitions"]


def test_a_damaged_upload_fails_its_check_with_the_reason(ui: DagsterUi, unreadable: str, good: str) -> None:
    assert unreadable in ui.checks("raw_video")["upload_decodes"]["partitionStatuses"]["failedPartitions"]
    latest = ui.check_of(unreadable, "raw_video", "upload_decodes")
    assert latest["status"] == "FAILED"
    assert latest["evaluation"]["severity"] == "ERROR"
    assert latest["evaluation"]["description"].startswith("unreadable.mp4 ")
    assert "Put a whole one in its place" in latest["evaluation"]["description"]


def test_a_good_video_whose_upload_is_replaced_by_a_damaged_one_fails(pipeline: TestPipeline, ui: DagsterUi) -> None:
    video_id = pipeline.drop("replaced.mp4")
    assert pipeline.run(video_id).success
    cut_off(root_of(pipeline.storage) / "uploads/replaced.mp4", keep=0.3)
    assert not pipeline.run(video_id).success

    assert video_id in ui.checks("raw_video")["upload_decodes"]["partitionStatuses"]["failedPartitions"]


def test_lost_frames_are_a_warning_with_their_number(pipeline: TestPipeline, ui: DagsterUi) -> None:
    video_id = pipeline.drop("lossy.mp4", frames=40)
    damaged(root_of(pipeline.storage) / "uploads/lossy.mp4", at=0.5)
    assert pipeline.run(video_id).success

    latest = ui.check_of(video_id, "raw_video", "upload_decodes")
    assert (latest["status"], latest["evaluation"]["severity"]) == ("FAILED", "WARN")
    assert re.fullmatch(r"Damaged packets: \d+ were skipped\.", latest["evaluation"]["description"])


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_each_check_is_executed_alone_for_a_video(ui: DagsterUi, good: str, check: dg.AssetCheckKey) -> None:
    asset = check.asset_key.to_user_string()
    shown = ui.checks(asset)[check.name]
    assert shown["canExecuteIndividually"] == "CAN_EXECUTE"
    run = ui.launch(shown["jobNames"][0], good, checks=[check])

    latest = ui.check_of(good, asset, check.name)
    assert (latest["runId"], latest["status"]) == (run.run_id, "SUCCEEDED")
    evaluated = ui.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    assert len(evaluated) == 1


def test_the_job_of_checks_offers_each_video(ui: DagsterUi, good: str) -> None:
    assert good in ui.offered("check_video")


def test_a_video_that_was_spoiled_since_fails_its_checks_alone(pipeline: TestPipeline, ui: DagsterUi) -> None:
    video_id = pipeline.drop("spoiled.mp4")
    assert pipeline.run(video_id).success
    spoil(pipeline, video_id)

    assert ui.launch("check_video", video_id).is_success
    found = [ui.check_of(video_id, each.asset_key.to_user_string(), each.name)["status"] for each in CHECKS]
    assert found == ["SUCCEEDED", "FAILED", "FAILED", "SUCCEEDED"]


def test_an_upload_that_was_damaged_since_fails_its_check_alone_and_nothing_is_stored(
    pipeline: TestPipeline, ui: DagsterUi
) -> None:
    video_id = pipeline.drop("since.mp4")
    assert pipeline.run(video_id).success
    cut_off(root_of(pipeline.storage) / "uploads/since.mp4", keep=0.3)
    before = {entry.key: entry.version for entry in pipeline.storage.list("videos/")}

    ui.launch("check_video", video_id)
    assert ui.check_of(video_id, "raw_video", "upload_decodes")["status"] == "FAILED"
    assert {entry.key: entry.version for entry in pipeline.storage.list("videos/")} == before


def test_a_check_alone_of_an_unreadable_upload_says_so_again(ui: DagsterUi, unreadable: str) -> None:
    first = ui.check_of(unreadable, "raw_video", "upload_decodes")
    run = ui.launch("__ASSET_JOB", unreadable, checks=[DECODES])
    latest = ui.check_of(unreadable, "raw_video", "upload_decodes")

    assert (latest["runId"], latest["status"]) == (run.run_id, "FAILED")
    assert latest["evaluation"] == first["evaluation"]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_check_that_is_executed_for_no_video_says_how_to_choose_one(ui: DagsterUi, check: dg.AssetCheckKey) -> None:
    """As the page's button Execute all does."""
    run = ui.launch("__ASSET_JOB", None, checks=[check])
    assert "check_video" in ui.failure_of(run)


def test_the_check_of_a_video_that_is_not_finished_says_so(pipeline: TestPipeline, ui: DagsterUi) -> None:
    video_id = pipeline.drop("unfinished.mp4")
    run = ui.launch("__ASSET_JOB", video_id, checks=[IN_PLACE.key])
    assert "has no final video yet" in ui.failure_of(run)


@pytest.mark.parametrize(("job", "checks"), [("check_video", None), ("__ASSET_JOB", [FRAME_COUNT.key])])
def test_checks_alone_leave_it_told_why_a_video_failed(
    pipeline: TestPipeline, ui: DagsterUi, unreadable: str, job: str, checks: list[dg.AssetCheckKey] | None
) -> None:
    """Whether they end well or not."""
    before = failure_of(pipeline.instance, unreadable)
    ui.launch(job, unreadable, checks=checks)
    assert before is not None
    assert failure_of(pipeline.instance, unreadable) == before


def test_evaluations_from_before_checks_had_partitions_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = earlier_home(tmp_path)
    monkeypatch.setenv("SLOWMO_HOME", str(earlier.home.root))
    with open_instance(earlier.home) as instance, dagster_ui(instance) as ui:
        before = ui.checks("final_video")["originals_in_place"]
        done = defs.resolve_job_def("check_video").execute_in_process(instance=instance, partition_key=earlier.FINISHED)
        after = ui.checks("final_video")["originals_in_place"]
        assert VideoStatuses(open_storage(earlier.home.storage_url)).of(earlier.FINISHED).state == "finished"

    assert before["executionForLatestMaterialization"] is not None
    assert before["partitionStatuses"]["succeededPartitions"] == []
    assert done.success
    assert after["partitionStatuses"]["succeededPartitions"] == [earlier.FINISHED]
