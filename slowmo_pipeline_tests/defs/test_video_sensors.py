import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs import video_sensors as sensors
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.video_sensors import MAX_NEW_VIDEOS, is_video
from slowmo_pipeline.endpoint.client import Receipt
from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.steps.pending_marker import Pending
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys, video_id_of
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.buckets import write_an_hour_ago
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy, refuse_as_s3
from slowmo_pipeline_tests.support.steps import PLAN, planned_video
from slowmo_pipeline_tests.support.stored import changed, root_of, write_json

Tick = Callable[..., Any]


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path / "storage"))
    found = open_storage(str(tmp_path / "storage"))
    (tmp_path / "storage" / "uploads").mkdir()
    return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def tick(instance: dg.DagsterInstance, sensor: str, cursor: str | None = None) -> Any:
    """Evaluate a sensor once, as the daemon does, and register the partitions it asks for."""
    with dg.build_sensor_context(
        definitions=defs,
        instance=instance,
        instance_ref=instance.get_ref(),
        resources=dict(defs.resources or {}),
        cursor=cursor,
    ) as context:
        data = defs.resolve_sensor_def(sensor).evaluate_tick(context)
    for request in data.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    return data


def drop(storage: Storage, name: str, content: bytes = b"clip") -> str:
    key = f"uploads/{name}"
    storage.write(key, content)
    return video_id_of(key)


def test_an_upload_counts_once_it_stood_still_for_two_ticks(storage: Storage, instance: dg.DagsterInstance) -> None:
    video_id = drop(storage, "clip.mp4")
    first = tick(instance, "new_uploads")
    assert not first.run_requests
    assert "1 new, looked at again next time" in first.skip_message
    second = tick(instance, "new_uploads", first.cursor)
    assert [request.partition_key for request in second.run_requests] == [video_id]
    assert instance.get_dynamic_partitions(str(videos.name)) == [video_id]
    assert "1 known" in tick(instance, "new_uploads", second.cursor).skip_message


def test_a_growing_upload_waits(storage: Storage, instance: dg.DagsterInstance) -> None:
    cursor = None
    for size in range(1, 5):
        drop(storage, "growing.mp4", b"x" * size)
        data = tick(instance, "new_uploads", cursor)
        assert not data.run_requests
        cursor = data.cursor


def test_a_changed_upload_gets_another_run_key(storage: Storage, instance: dg.DagsterInstance) -> None:
    drop(storage, "clip.mp4")
    first = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)
    drop(storage, "clip.mp4", b"another clip")
    seen = tick(instance, "new_uploads", first.cursor)
    second = tick(instance, "new_uploads", seen.cursor)
    assert len({request.run_key for request in first.run_requests + second.run_requests}) == 2


def test_an_edited_sidecar_asks_for_a_run(storage: Storage, instance: dg.DagsterInstance) -> None:
    video_id = drop(storage, "clip.mp4")
    first = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)
    drop(storage, "clip.mp4.slowmo.json", b'{"slowdown": 8}')
    seen = tick(instance, "new_uploads", first.cursor)
    second = tick(instance, "new_uploads", seen.cursor)
    assert [request.partition_key for request in second.run_requests] == [video_id]


def test_a_lost_cursor_repeats_the_run_key(storage: Storage, instance: dg.DagsterInstance) -> None:
    drop(storage, "clip.mp4")
    once = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)
    again = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)
    assert [request.run_key for request in once.run_requests] == [request.run_key for request in again.run_requests]


def test_the_runs_do_not_wait(storage: Storage, instance: dg.DagsterInstance) -> None:
    drop(storage, "clip.mp4")
    [request] = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor).run_requests
    assert request.run_config["ops"]["interpolated_chunks"]["config"]["wait"] is False


def test_a_tick_asks_for_so_many_runs_and_the_next_for_the_rest(storage: Storage, instance: dg.DagsterInstance) -> None:
    for number in range(MAX_NEW_VIDEOS + 3):
        drop(storage, f"clip{number:03}.mp4")
    first = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)
    second = tick(instance, "new_uploads", first.cursor)
    assert (len(first.run_requests), len(second.run_requests)) == (MAX_NEW_VIDEOS, 3)


def test_uploads_wait_while_many_videos_are_under_way(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "MAX_VIDEOS_UNDER_WAY", 4)
    instance.add_dynamic_partitions(str(videos.name), ["pending-00000000", "running-00000000"])
    for video_id in ("pending-00000000", "running-00000000", "without-a-partition-00000000"):
        mark_pending(storage, video_id)
    instance.add_run(dg.DagsterRun(job_name="finish_video", tags={"dagster/partition": "running-00000000"}))
    for name in "abc":
        drop(storage, f"{name}.mp4")
    first = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)
    for request in first.run_requests:
        mark_pending(storage, request.partition_key)
    second = tick(instance, "new_uploads", first.cursor)
    storage.delete([VideoKeys("pending-00000000").pending])
    third = tick(instance, "new_uploads", second.cursor)

    assert [len(data.run_requests) for data in (first, second, third)] == [2, 0, 1]
    assert second.skip_message.endswith("2 known, 1 waiting for others to be finished.")


@pytest.mark.parametrize("holds_up", ["nothing", "a backfill", "an old marker"])
def test_only_what_will_be_done_soon_holds_uploads_up(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, holds_up: str
) -> None:
    monkeypatch.setattr(sensors, "MAX_VIDEOS_UNDER_WAY", 1)
    instance.add_dynamic_partitions(str(videos.name), ["other-00000000"])
    if holds_up == "a backfill":
        tags = {"dagster/partition": "other-00000000", "dagster/backfill": "abc"}
        instance.add_run(dg.DagsterRun(job_name="slow_motion", tags=tags))
    if holds_up == "an old marker":
        mark_pending(storage, "other-00000000")
        before = time.time() - sensors.LONGEST_PENDING.total_seconds() - 1
        os.utime(Path(str(root_of(storage))) / VideoKeys("other-00000000").pending, (before, before))
    drop(storage, "clip.mp4")

    assert len(tick(instance, "new_uploads", tick(instance, "new_uploads").cursor).run_requests) == 1


def test_what_is_no_video_is_skipped_and_counted(storage: Storage, instance: dg.DagsterInstance) -> None:
    folder = Path(str(root_of(storage))) / "uploads"
    for name in ("notes.txt", ".hidden.mp4", "new\nline.mp4", "clip.mp4#1", "clip.mp4.part"):
        (folder / name).write_bytes(b"x")
    drop(storage, "good.mp4")
    first = tick(instance, "new_uploads")
    assert "5 not a video" in first.skip_message
    assert len(tick(instance, "new_uploads", first.cursor).run_requests) == 1


def test_what_cannot_be_used_is_counted_and_named(storage: Storage, instance: dg.DagsterInstance) -> None:
    video_id = drop(storage, "clip.mp4")
    uploads = root_of(storage) / "uploads"
    os.mkfifo(uploads / "clip.mp4.slowmo.json")
    (uploads / "gone.mp4").symlink_to("nowhere")
    first = tick(instance, "new_uploads")
    assert "2 unusable ('clip.mp4.slowmo.json': not a regular file; 'gone.mp4': No such file" in first.skip_message
    assert [each.partition_key for each in tick(instance, "new_uploads", first.cursor).run_requests] == [video_id]


def test_of_many_that_cannot_be_used_a_few_are_named(storage: Storage, instance: dg.DagsterInstance) -> None:
    for number in range(9):
        (root_of(storage) / "uploads" / f"{number}\n.mp4").symlink_to("nowhere")
    message = tick(instance, "new_uploads").skip_message
    assert "9 unusable ('0\\n.mp4': No such file or directory; '1" in message
    assert message.endswith("; …).")


@pytest.mark.parametrize("cursor", ["", "{", "[]", '{"requested": 3}', '{"requested": {}, "seen": {}, "later": 1}'])
def test_a_cursor_of_another_version_is_only_a_cache(
    storage: Storage, instance: dg.DagsterInstance, cursor: str
) -> None:
    drop(storage, "clip.mp4")
    assert "1 new, looked at again" in tick(instance, "new_uploads", cursor).skip_message
    assert tick(instance, "served_models", cursor).skip_message


@pytest.mark.parametrize("name", ["clip.mp4", "CLIP.MOV", "a b.mkv", "ü.webm", "x.y.ts"])
def test_videos_are_known_by_their_ending(name: str) -> None:
    assert is_video(name)


@pytest.mark.parametrize("name", [".mp4", ".clip.mp4", "clip", "clip.mp4.part", "clip.txt", "a\nb.mp4", "a\udcff.mp4"])
def test_other_names_are_no_videos(name: str) -> None:
    assert not is_video(name)


PENDING_ID = "video-12345678"


def mark_pending(storage: Storage, video_id: str, *, deadline: float = 4e9, submitted_at: float = 1.0) -> None:
    plan, keys = planned_video(storage, video_id)
    pending = Pending(plan=plan, model_id="fade-1", submitted_at=submitted_at, deadline=deadline)
    write_json(storage, VideoKeys(video_id).pending, vars(pending))
    receipt = Receipt(
        inference_id="id",
        failure_location=storage.uri("failures/one.out"),
        submitted_at=1.0,
        deadline=deadline,
        attempt=1,
    )
    write_record(storage, keys.receipt(0), receipt)


@pytest.fixture
def partition(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(str(videos.name), [PENDING_ID])


def test_nothing_pending_is_told(storage: Storage, instance: dg.DagsterInstance) -> None:
    assert tick(instance, "completed_outputs").skip_message == "No video is pending."


@pytest.mark.usefixtures("partition")
def test_a_video_under_way_is_left_alone(storage: Storage, instance: dg.DagsterInstance) -> None:
    mark_pending(storage, PENDING_ID)
    assert tick(instance, "completed_outputs").skip_message == "1 under way."


@pytest.mark.usefixtures("partition")
def test_a_video_with_all_results_is_finished(storage: Storage, instance: dg.DagsterInstance) -> None:
    mark_pending(storage, PENDING_ID)
    _, keys = planned_video(storage, PENDING_ID)
    storage.write(keys.result(0), b"a result")
    [request] = tick(instance, "completed_outputs").run_requests
    assert request.partition_key == PENDING_ID


@pytest.mark.usefixtures("partition")
def test_a_failure_ends_the_waiting_too(storage: Storage, instance: dg.DagsterInstance) -> None:
    mark_pending(storage, PENDING_ID)
    storage.write("failures/one.out", b"{}")
    assert len(tick(instance, "completed_outputs").run_requests) == 1


@pytest.mark.usefixtures("partition")
def test_a_passed_deadline_ends_the_waiting_too(storage: Storage, instance: dg.DagsterInstance) -> None:
    mark_pending(storage, PENDING_ID, deadline=1.0)
    assert len(tick(instance, "completed_outputs").run_requests) == 1


@pytest.mark.usefixtures("partition")
def test_a_resubmission_gets_another_run_key(storage: Storage, instance: dg.DagsterInstance) -> None:
    keys = set()
    for submitted_at in (1.0, 2.0):
        mark_pending(storage, PENDING_ID, deadline=1.0, submitted_at=submitted_at)
        keys |= {request.run_key for request in tick(instance, "completed_outputs").run_requests}
    assert len(keys) == 2


@pytest.mark.usefixtures("partition")
def test_a_lost_endpoint_is_told_once_and_the_next_one_starts_the_video_again(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = EndpointRecord(model_id="fade-1", max_body_bytes=10**6, sagemaker_endpoint="slowmo-flow", deployed_at=0.5)
    asked: list[str] = []
    lost: set[str] = set()

    def why_lost(name: str) -> str | None:
        asked.append(name)
        return "gone" if name in lost else None

    def run_keys() -> list[str]:
        return [request.run_key for request in tick(instance, "completed_outputs").run_requests]

    monkeypatch.setattr("slowmo_pipeline.endpoint.sagemaker.why_lost", why_lost)
    instance.add_dynamic_partitions(str(videos.name), ["other-12345678"])
    for video_id in (PENDING_ID, "other-12345678"):
        mark_pending(storage, video_id)
        current = {"plan": PLAN, "interpolator": "flow", "model_id": "fade-1"}
        write_json(storage, VideoKeys(video_id).current, current)
    write_served(storage, "flow", hosted)

    assert run_keys() == []
    assert asked == ["slowmo-flow"], "once a tick, for both videos"
    lost.add("slowmo-flow")
    first = run_keys()
    assert len(first) == 2
    assert run_keys() == first, "Dagster starts no second run for the same key"
    lost.clear()
    write_served(storage, "flow", changed(hosted, deployed_at=2.0))
    again = run_keys()
    assert len(again) == 2
    assert not {*again} & {*first}


@pytest.mark.usefixtures("partition")
def test_a_tick_does_not_fail_because_sagemaker_does_not_tell(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def why_lost(name: str) -> str | None:
        raise EndpointError("AWS does not let these credentials look.")

    monkeypatch.setattr("slowmo_pipeline.endpoint.sagemaker.why_lost", why_lost)
    mark_pending(storage, PENDING_ID)
    current = {"plan": PLAN, "interpolator": "flow", "model_id": "fade-1"}
    write_json(storage, VideoKeys(PENDING_ID).current, current)
    write_served(
        storage, "flow", EndpointRecord(model_id="fade-1", max_body_bytes=10**6, sagemaker_endpoint="slowmo-flow")
    )

    assert tick(instance, "completed_outputs").skip_message == "1 under way."


@pytest.mark.usefixtures("partition")
def test_a_video_with_an_unfinished_run_is_left_to_it(storage: Storage, instance: dg.DagsterInstance) -> None:
    mark_pending(storage, PENDING_ID, deadline=1.0)
    instance.add_run(dg.DagsterRun(job_name="finish_video", tags={"dagster/partition": PENDING_ID}))
    assert tick(instance, "completed_outputs").skip_message == "1 have a run."


@pytest.mark.parametrize("job", ["finish_video", "change_model"])
def test_a_tick_asks_for_so_many_runs_of_pending_videos_and_the_next_for_the_rest(
    storage: Storage, instance: dg.DagsterInstance, job: str
) -> None:
    ids = [f"video-{number:08}" for number in range(MAX_NEW_VIDEOS + 3)]
    instance.add_dynamic_partitions(str(videos.name), ids)
    for video_id in ids:
        mark_pending(storage, video_id, deadline=1.0 if job == "finish_video" else 4e9)
        current = {"plan": PLAN, "interpolator": "flow", "model_id": "fade-1"}
        write_json(storage, VideoKeys(video_id).current, current)
    if job == "change_model":
        write_served(
            storage, "flow", EndpointRecord(model_id="fade-2", max_body_bytes=10**6, sagemaker_endpoint="slowmo-flow")
        )
    first = tick(instance, "completed_outputs")
    for request in first.run_requests:
        instance.add_run(dg.DagsterRun(job_name=job, tags={"dagster/partition": request.partition_key}))
    second = tick(instance, "completed_outputs", first.cursor)

    assert [len(data.run_requests) for data in (first, second)] == [MAX_NEW_VIDEOS, 3]
    assert {request.job_name for data in (first, second) for request in data.run_requests} == {job}


@pytest.mark.usefixtures("partition")
def test_a_change_of_the_model_has_a_run_key_for_each_submission_state_and_deploy(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    served = EndpointRecord(model_id="fade-2", max_body_bytes=10**6, sagemaker_endpoint="slowmo-flow", deployed_at=0.5)
    keys = []
    for submitted_at, deadline, deployed_at in ((1.0, 4e9, 0.5), (2.0, 4e9, 0.5), (2.0, 3.0, 0.5), (2.0, 4e9, 0.7)):
        write_served(storage, "flow", changed(served, deployed_at=deployed_at))
        mark_pending(storage, PENDING_ID, submitted_at=submitted_at, deadline=deadline)
        current = {"plan": PLAN, "interpolator": "flow", "model_id": "fade-1"}
        write_json(storage, VideoKeys(PENDING_ID).current, current)
        for _ in range(2):
            [request] = tick(instance, "completed_outputs").run_requests
            assert request.job_name == "change_model"
            keys.append(request.run_key)

    assert keys[::2] == keys[1::2], "nothing changed, so that one failure is not followed by another for ever"
    assert len({*keys}) == 4


@pytest.mark.usefixtures("partition")
def test_a_marker_that_is_torn_again_in_the_same_way_is_run_again(
    s3_url: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOWMO_STORAGE", s3_url)
    write_an_hour_ago(open_storage(s3_url), VideoKeys(PENDING_ID).pending, b"")
    first, same = (tick(instance, "completed_outputs").run_requests for _ in range(2))
    open_storage(s3_url).write(VideoKeys(PENDING_ID).pending, b"")
    later = tick(instance, "completed_outputs").run_requests

    assert first[0].run_key == same[0].run_key != later[0].run_key


def test_odd_files_among_the_markers_hold_up_no_video(storage: Storage, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(str(videos.name), [PENDING_ID, "torn-12345678"])
    mark_pending(storage, PENDING_ID, deadline=1.0)
    storage.write("pending/torn-12345678.json", b"{")
    pending = root_of(storage) / "pending"
    (pending / os.fsdecode(b"no unicode \xff.json")).write_bytes(b"{}")
    (pending / "folder.json").mkdir()
    os.mkfifo(pending / "pipe.json")

    requests = tick(instance, "completed_outputs").run_requests
    assert {request.partition_key for request in requests} == {PENDING_ID, "torn-12345678"}


@pytest.fixture
def refused(
    proxy: FaultProxy, s3_url: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> tuple[Storage, str]:
    """A bucket, and the id of a video whose objects nobody may read or write."""
    monkeypatch.setenv("SLOWMO_STORAGE", s3_url)
    storage, refused = open_storage(s3_url), video_id_of("uploads/b.mp4")
    for name in "abc":
        drop(storage, f"{name}.mp4")
        mark_pending(storage, video_id_of(f"uploads/{name}.mp4"), deadline=1.0)
        instance.add_dynamic_partitions(str(videos.name), [video_id_of(f"uploads/{name}.mp4")])
    proxy.inject(refuse_as_s3(403, "AccessDenied"), times=999, meant=lambda asked: f"{refused}/" in asked.path)
    return storage, refused


def test_an_upload_that_cannot_be_registered_is_named_and_stops_no_other(
    refused: tuple[Storage, str], instance: dg.DagsterInstance
) -> None:
    first = tick(instance, "new_uploads")
    second = tick(instance, "new_uploads", first.cursor)

    assert {each.partition_key for each in first.run_requests} == {video_id_of(f"uploads/{name}.mp4") for name in "ac"}
    assert "2 known, 1 unusable ('b.mp4': AWS does not let these credentials" in second.skip_message


def test_a_pending_video_that_cannot_be_looked_at_is_named_and_holds_up_no_other(
    refused: tuple[Storage, str], instance: dg.DagsterInstance
) -> None:
    storage, video_id = refused
    requests = tick(instance, "completed_outputs").run_requests
    assert {each.partition_key for each in requests} == {video_id_of(f"uploads/{name}.mp4") for name in "ac"}

    storage.delete(VideoKeys(str(each.partition_key)).pending for each in requests)
    message = tick(instance, "completed_outputs").skip_message
    assert message.startswith(f"1 cannot be looked at ('{video_id}': AWS does not let these credentials")


def test_a_video_that_cannot_be_looked_at_hides_no_other_from_what_observes_endpoints(
    refused: tuple[Storage, str], instance: dg.DagsterInstance
) -> None:
    storage, _ = refused
    for name in "ac":
        current = {"plan": PLAN, "interpolator": "flow", "model_id": "fade-1"}
        write_json(storage, VideoKeys(video_id_of(f"uploads/{name}.mp4")).current, current)
    write_served(storage, "flow", EndpointRecord(model_id="fade-2", max_body_bytes=10**6))

    assert tick(instance, "served_models").skip_message == "Observed the endpoint of 2 videos."


def test_a_video_whose_partition_was_deleted_holds_up_no_other(storage: Storage, instance: dg.DagsterInstance) -> None:
    mark_pending(storage, PENDING_ID, deadline=1.0)
    assert tick(instance, "completed_outputs").skip_message == "1 have no partition any more."


def test_a_tick_that_runs_out_of_time_leaves_off_where_the_next_begins(
    storage: Storage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{name}-00000000" for name in "abcde"]
    instance.add_dynamic_partitions(str(videos.name), ids)
    for video_id in ids:
        mark_pending(storage, video_id, deadline=1.0)
    # A clock on which a look takes a second: there is time for two.
    monkeypatch.setattr(sensors, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(sensors, "TICK_SECONDS", 2)

    requested, cursor = [], None
    for _ in range(3):
        data = tick(instance, "completed_outputs", cursor)
        requested.append([request.partition_key[0] for request in data.run_requests])
        cursor = data.cursor

    assert requested == [["a", "b"], ["c", "d"], ["e", "a"]]
