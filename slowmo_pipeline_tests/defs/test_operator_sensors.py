"""The operator hears of every finished and every failed video: once, and whatever happened in between."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from slowmo_pipeline.defs.operator_sensors import failed_videos, finished_videos
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import PipelineStorage
from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.errors import NotificationError, StorageError
from slowmo_pipeline.steps.pending_marker import Pending
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.defs.test_video_sensors import tick
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy, refuse_as_s3
from slowmo_pipeline_tests.support.operator_topic import OperatorTopic, make_topic
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.steps import submitted
from slowmo_pipeline_tests.support.stored import write_json

VIDEO = "clip-12345678"
LAST_TRY = {"dagster/max_retries": "0"}


@dataclass
class Daemon:
    """Evaluates a sensor as the daemon does: a failed tick forgets where it was."""

    instance: dg.DagsterInstance
    sensor: dg.SensorDefinition
    cursor: str | None = None
    storage: PipelineStorage = field(default_factory=lambda: PipelineStorage(url=None))

    def tick(self) -> str | None:
        """One evaluation; what it says of itself."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"storage": self.storage} if "storage" in self.sensor.required_resource_keys else {},
        ) as context:
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data.skip_message


@pytest.fixture
def topic(s3_server: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> OperatorTopic:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    topic = make_topic()
    monkeypatch.setenv("SLOWMO_OPERATOR_TOPIC", topic.arn)
    monkeypatch.setattr("slowmo_pipeline.defs.operator_sensors.SETTLING_SECONDS", 0)
    return topic


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        pipeline.instance.add_dynamic_partitions(str(videos.name), [VIDEO])
        yield pipeline


@pytest.fixture
def finished(pipeline: TestPipeline, topic: OperatorTopic) -> Daemon:
    daemon = Daemon(pipeline.instance, finished_videos)
    daemon.tick()
    return daemon


@pytest.fixture
def failed(pipeline: TestPipeline, topic: OperatorTopic) -> Daemon:
    daemon = Daemon(pipeline.instance, failed_videos)
    daemon.tick()
    return daemon


def test_a_finished_video_is_told_with_its_place(
    pipeline: TestPipeline, topic: OperatorTopic, finished: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOWMO_UI_URL", "https://dagster.example/")
    video_id = pipeline.drop("told.mp4")
    run = pipeline.run(video_id)
    assert finished.tick() == "Messages sent: 1."
    [message] = topic.told()
    assert (message["video_id"], message["state"]) == (video_id, "finished")
    assert message["video"] == str(pipeline.final_path(video_id))
    assert Path(message["report"]).is_file()
    assert message["run_url"] == f"https://dagster.example/runs/{run.run_id}"


def test_its_place_is_told_whatever_its_page_links_to(
    topic: OperatorTopic, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOWMO_GALLERY_URL", "http://127.0.0.1:3001")
    with fade_pipeline(tmp_path, storage_url=s3_url) as pipeline:
        daemon = Daemon(pipeline.instance, finished_videos)
        daemon.tick()
        video_id = pipeline.drop("bucket.mp4")
        pipeline.run(video_id)
        daemon.tick()
    [message] = topic.told()
    assert (message["video"], message["report"]) == (
        f"{s3_url}/final/{video_id}.mp4",
        f"{s3_url}/final/{video_id}.html",
    )


def test_it_is_told_once_however_often_it_is_run(
    pipeline: TestPipeline, topic: OperatorTopic, finished: Daemon
) -> None:
    for version in ("first", "first", "second", "second"):
        finish(pipeline.instance, version=version)
        finished.tick()
    assert [message["id"] for message in topic.told()] == [f"{VIDEO}:finished:first", f"{VIDEO}:finished:second"]


@pytest.mark.parametrize("notes", ["No sound.\nInterlaced.", ["No sound.", "Interlaced."]], ids=["now", "0.1.0"])
def test_it_is_told_with_its_notes(
    pipeline: TestPipeline, topic: OperatorTopic, finished: Daemon, notes: str | list[str]
) -> None:
    finish(pipeline.instance, notes=notes)
    finished.tick()
    assert topic.told()[0]["notes"] == ["No sound.", "Interlaced."]


def test_other_videos_with_the_same_bytes_are_told_too(
    pipeline: TestPipeline, topic: OperatorTopic, finished: Daemon
) -> None:
    finish(pipeline.instance, version="same")
    finish(pipeline.instance, version="same", video_id="copy-12345678")
    assert finished.tick() == "Messages sent: 2."


def test_a_run_that_only_submitted_is_not_told_but_the_one_that_ends_it_by_whatever_job(
    pipeline: TestPipeline, topic: OperatorTopic, finished: Daemon
) -> None:
    video_id = pipeline.drop("submitted.mp4")
    pipeline.run(video_id, config=NOT_WAITING)
    assert finished.tick() == "Messages sent: 0."
    pipeline.run(video_id, job="__ASSET_JOB", only="interpolated_chunks")
    pipeline.run(video_id, job="__ASSET_JOB", only="final_video")
    assert finished.tick() == "Messages sent: 1."


def test_what_somebody_reports_by_hand_is_no_finished_video(
    pipeline: TestPipeline, topic: OperatorTopic, finished: Daemon
) -> None:
    by_hand = dg.AssetMaterialization("final_video", partition=pipeline.drop("hand.mp4"))
    pipeline.instance.report_runless_asset_event(by_hand)
    assert finished.tick() == "Messages sent: 0."


def test_a_failed_run_is_told_with_the_step_s_message(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    video_id = pipeline.drop("bad.mp4")
    run = pipeline.run(video_id, slowdown="0.5")
    assert failed.tick() == "Messages sent: 1."
    [message] = topic.told()
    assert message["id"] == f"{video_id}:failed:{run.run_id}"
    assert "slowdown = '0.5' must lie between 1 and 1000" in message["reason"]


def test_an_error_that_should_not_happen_is_told_as_one(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr("slowmo_pipeline.defs.assets.cut", broken)
    pipeline.run(pipeline.drop("mistake.mp4"))
    failed.tick()
    assert topic.told()[0]["reason"] == (
        "An error that should not happen, in frame_chunks: ZeroDivisionError: a mistake"
    )


def test_a_killed_run_that_dagster_retries_is_not_told_before_its_last_try(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    fail(pipeline.instance, pipeline.drop("retried.mp4"))
    assert failed.tick() == "Messages sent: 0."
    fail(pipeline.instance, pipeline.drop("retried.mp4"), **LAST_TRY)
    assert failed.tick() == "Messages sent: 1."
    assert topic.told()[0]["reason"] == "The process was killed."


def test_a_video_of_which_chunks_are_under_way_has_not_failed_for_good(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    video_id = pipeline.drop("throttled.mp4")
    mark_pending(pipeline.storage, video_id, submitted_at=1.0)
    fail(pipeline.instance, video_id, **LAST_TRY)
    assert failed.tick() == "Messages sent: 0."
    fail_as_asked(pipeline.instance, video_id)
    assert failed.tick() == "Messages sent: 1."


def test_a_video_that_its_model_s_successor_makes_anew_has_not_failed_for_good(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    video_id = pipeline.drop("replaced.mp4")
    submitted(pipeline.storage, video_id, interpolator="film", model_id="film-1", chunks=0)
    fail_as_asked(pipeline.instance, video_id)
    served = EndpointRecord(model_id="film-2", max_body_bytes=10**9, sagemaker_endpoint="slowmo-film", deployed_at=2.0)
    write_served(pipeline.storage, "film", served)
    assert failed.tick() == "Messages sent: 0."
    fail_as_asked(pipeline.instance, video_id)
    assert failed.tick() == "Messages sent: 1."


def test_a_video_that_the_sensor_has_taken_up_since_has_not_failed_for_good(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    video_id = pipeline.drop("taken_up.mp4")
    fail(pipeline.instance, video_id, **LAST_TRY)
    pipeline.instance.add_run(
        dg.DagsterRun(
            job_name="change_model",
            tags={"dagster/partition": video_id, "dagster/sensor_name": "completed_outputs"},
        )
    )
    assert failed.tick() == "Messages sent: 0."


def test_a_torn_marker_whose_run_failed_is_told(pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon) -> None:
    video_id = pipeline.drop("torn.mp4")
    pipeline.storage.write(VideoKeys(video_id).pending, b"{")
    fail(pipeline.instance, video_id, **LAST_TRY)
    assert failed.tick() == "Messages sent: 0."
    fail_as_asked(pipeline.instance, video_id)
    assert failed.tick() == "Messages sent: 1."


def test_a_failed_video_that_cannot_be_looked_at_is_told_and_holds_up_no_other(
    pipeline: TestPipeline, topic: OperatorTopic, proxy: FaultProxy, s3_url: str
) -> None:
    daemon = Daemon(pipeline.instance, failed_videos, storage=PipelineStorage(url=s3_url))
    daemon.tick()
    storage = open_storage(s3_url)
    for video_id in (VIDEO, pipeline.drop("beside.mp4")):
        mark_pending(storage, video_id, submitted_at=1.0)
        fail(pipeline.instance, video_id, **LAST_TRY)
    proxy.inject(refuse_as_s3(403, "AccessDenied"), times=999, meant=lambda asked: f"{VIDEO}/" in asked.path)

    assert daemon.tick() == "Messages sent: 1."
    assert topic.told()[0]["video_id"] == VIDEO
    assert daemon.tick() == "Messages sent: 0."


def test_a_resubmitted_video_has_not_failed_for_good(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    video_id = pipeline.drop("resubmitted.mp4")
    fail(pipeline.instance, video_id, **LAST_TRY, **{"dagster/sensor_name": "completed_outputs"})
    mark_pending(pipeline.storage, video_id, submitted_at=4e9)
    assert failed.tick() == "Messages sent: 0."


def test_a_check_that_failed_by_itself_is_no_failed_video(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon
) -> None:
    video_id = pipeline.drop("unchecked.mp4")
    pipeline.storage.delete(["uploads/unchecked.mp4"])
    assert not pipeline.run(video_id, job="check_video").success
    assert failed.tick() == "Messages sent: 0."


def test_runs_of_other_pipelines_are_not_told(pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon) -> None:
    fail(pipeline.instance, "2026-11-22", **LAST_TRY)
    fail(pipeline.instance, None, **LAST_TRY)
    assert failed.tick() == "Messages sent: 0."


@pytest.mark.parametrize("sensor", [finished_videos, failed_videos])
def test_without_a_topic_nothing_is_told_and_nothing_piles_up(
    pipeline: TestPipeline, topic: OperatorTopic, sensor: dg.SensorDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(pipeline.instance, sensor)
    monkeypatch.delenv("SLOWMO_OPERATOR_TOPIC")
    daemon.tick()
    happen(pipeline.instance)
    assert daemon.tick() == "SLOWMO_OPERATOR_TOPIC is not set."
    monkeypatch.setenv("SLOWMO_OPERATOR_TOPIC", topic.arn)
    assert daemon.tick() == "Messages sent: 0."
    happen(pipeline.instance)
    assert daemon.tick() == "Messages sent: 1."


@pytest.mark.parametrize("sensor", [finished_videos, failed_videos])
def test_what_happened_before_the_first_tick_is_not_told(
    pipeline: TestPipeline, topic: OperatorTopic, sensor: dg.SensorDefinition
) -> None:
    happen(pipeline.instance)
    daemon = Daemon(pipeline.instance, sensor)
    assert daemon.tick() == "Tells of what comes from now."
    assert daemon.tick() == "Messages sent: 0."


@pytest.mark.parametrize("sensor", [finished_videos, failed_videos])
def test_a_message_that_could_not_be_sent_is_sent_by_a_later_tick(
    pipeline: TestPipeline, topic: OperatorTopic, sensor: dg.SensorDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(pipeline.instance, sensor)
    daemon.tick()
    happen(pipeline.instance)
    monkeypatch.setenv("SLOWMO_OPERATOR_TOPIC", f"{topic.arn}-gone")
    for _ in range(2):
        with pytest.raises(NotificationError, match="cannot be told of"):
            daemon.tick()
    monkeypatch.setenv("SLOWMO_OPERATOR_TOPIC", topic.arn)
    assert daemon.tick() == "Messages sent: 1."


def test_an_outage_in_between_repeats_no_message(
    pipeline: TestPipeline, topic: OperatorTopic, failed: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [fail(pipeline.instance, VIDEO, **LAST_TRY) for _ in range(3)]
    outage = [None, StorageError("no answer"), None, None]

    def read(*_: object) -> None:
        if error := outage.pop(0):
            raise error

    monkeypatch.setattr("slowmo_pipeline.storage.folder.FolderStorage.stat", read)
    assert failed.tick() == "Messages sent: 1. Then stopped: no answer"
    assert failed.tick() == "Messages sent: 2."
    assert [message["id"] for message in topic.told()] == [f"{VIDEO}:failed:{run}" for run in runs]


def test_a_failure_is_told_once_dagster_has_decided_on_a_retry(
    pipeline: TestPipeline, topic: OperatorTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(pipeline.instance, failed_videos)
    daemon.tick()
    fail(pipeline.instance, VIDEO, **LAST_TRY)
    monkeypatch.setattr("slowmo_pipeline.defs.operator_sensors.SETTLING_SECONDS", 60)
    assert daemon.tick() == "Messages sent: 0."
    monkeypatch.setattr("slowmo_pipeline.defs.operator_sensors.SETTLING_SECONDS", 0)
    assert daemon.tick() == "Messages sent: 1."


def test_a_tick_tells_so_much_and_the_next_the_rest(
    pipeline: TestPipeline, topic: OperatorTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slowmo_pipeline.defs.operator_sensors.EVENTS_A_TICK", 2)
    daemon = Daemon(pipeline.instance, finished_videos)
    daemon.tick()
    for _ in range(3):
        finish(pipeline.instance)
    assert [daemon.tick(), daemon.tick()] == ["Messages sent: 2.", "Messages sent: 1."]


def fail(instance: dg.DagsterInstance, video_id: str | None, **tags: str) -> str:
    """A run of a video that something killed; its id."""
    partition = {"dagster/partition": video_id} if video_id else {}
    run = instance.create_run_for_job(
        dg.GraphDefinition("slow_motion").to_job(), tags={**partition, **tags}, status=DagsterRunStatus.STARTED
    )
    instance.report_run_failed(run, "The process was killed.")
    return run.run_id


def fail_as_asked(instance: dg.DagsterInstance, video_id: str) -> None:
    """The run that the sensor of completed outputs asks for, killed as well."""
    [request] = [each for each in tick(instance, "completed_outputs").run_requests if each.partition_key == video_id]
    fail(
        instance,
        video_id,
        **LAST_TRY,
        **{"dagster/sensor_name": "completed_outputs", "dagster/run_key": request.run_key},
    )


def finish(instance: dg.DagsterInstance, *, version: str | None = None, video_id: str = VIDEO, **metadata: Any) -> None:
    """A video is finished, with another content each time unless told."""
    metadata = {"path": "s3://media/a.mp4", "report": "s3://media/a.html", **metadata}
    tags = {"dagster/data_version": version or str(uuid.uuid4())}
    instance.report_runless_asset_event(
        dg.AssetMaterialization("final_video", partition=video_id, metadata=metadata, tags=tags)
    )


def happen(instance: dg.DagsterInstance) -> None:
    """One video is finished, one fails."""
    finish(instance)
    fail(instance, VIDEO, **LAST_TRY)


def mark_pending(storage: Storage, video_id: str, *, submitted_at: float) -> None:
    pending = Pending(plan="0123456789abcdef", model_id="fade-1", submitted_at=submitted_at, deadline=4e9)
    write_json(storage, VideoKeys(video_id).pending, vars(pending))
