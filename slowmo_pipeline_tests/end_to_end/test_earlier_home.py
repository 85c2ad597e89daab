"""A home and a storage of the version before open, go on and finish; what was finished stays as it is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import SageMakerAsyncEndpoint
from slowmo_pipeline.endpoint.local import use_endpoint
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline.steps.assemble import assemble
from slowmo_pipeline.steps.interpolate import Interpolation
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.steps.video_status import VideoStatuses
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys, earlier_video_id_of, video_id_of
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.defs.test_video_sensors import tick
from slowmo_pipeline_tests.support.earlier_home import EarlierHome, earlier_home
from slowmo_pipeline_tests.support.processes import Processes
from slowmo_pipeline_tests.support.stored import root_of, write_json
from slowmo_pipeline_tests.support.videos import quiet


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EarlierHome:
    found = earlier_home(tmp_path)
    monkeypatch.setenv("SLOWMO_HOME", str(found.home.root))
    monkeypatch.delenv("SLOWMO_STORAGE", raising=False)
    return found


@pytest.fixture
def storage(earlier: EarlierHome) -> Storage:
    return open_storage(earlier.home.storage_url)


def contents(storage: Storage) -> dict[str, str]:
    return {entry.key: hashlib.sha256(storage.read(entry.key)).hexdigest() for entry in storage.list("")}


def cursor_of(instance: dg.DagsterInstance, sensor: str) -> str | None:
    [state] = [each for each in instance.all_instigator_state() if each.instigator_name == sensor]
    assert state.instigator_data is not None
    cursor: str | None = state.instigator_data.cursor  # type: ignore[union-attr]  # a sensor's
    return cursor


def test_every_video_is_where_it_was(earlier: EarlierHome, storage: Storage) -> None:
    ids = (earlier.FINISHED, earlier.DROPPED, earlier.UNDER_WAY, earlier.WAITING)

    assert [VideoStatuses(storage).of(video_id).state for video_id in ids] == [
        *("finished", "finished", "0 of 3 chunks interpolated", "registered")
    ]


def test_ticks_start_no_run_and_know_every_video(earlier: EarlierHome, storage: Storage) -> None:
    with open_instance(earlier.home) as instance:
        cursor = cursor_of(instance, "new_uploads")
        assert cursor is not None
        data = tick(instance, "new_uploads", cursor)

    assert not data.run_requests
    found = json.loads(data.cursor)
    assert found["requested"].keys() == {earlier.FINISHED, earlier.DROPPED}
    assert found["seen"].keys() == {earlier.UNDER_WAY, earlier.WAITING}


def test_without_the_cursor_what_was_finished_starts_no_run(earlier: EarlierHome, storage: Storage) -> None:
    with open_instance(earlier.home) as instance:
        data = tick(instance, "new_uploads", tick(instance, "new_uploads").cursor)

    assert {request.partition_key for request in data.run_requests} == {earlier.UNDER_WAY, earlier.WAITING}
    assert json.loads(data.cursor)["requested"].keys() >= {earlier.FINISHED, earlier.DROPPED}


def test_what_was_finished_is_made_by_nobody(earlier: EarlierHome, storage: Storage) -> None:
    before = contents(storage)
    with Processes(earlier.clips) as processes:
        told = processes.call("run", str(earlier.clips / "finished.mp4"), "--slowdown", "3", "--codec", "ffv1")

    assert told.status == 0, told.stderr
    assert told.stdout == f"{root_of(storage)}/final/{earlier.FINISHED}.mkv\n"
    after = contents(storage)
    video, record = f"final/{earlier.FINISHED}.mkv", f"videos/{earlier.FINISHED}/info.json"
    assert after[video] == before[video]
    assert json.loads(storage.read(record))
    assert {key for key in after if "/receipts/" in key} == {key for key in before if "/receipts/" in key}
    assert {key.split("/")[1] for key in after if key.startswith("videos/")} == {
        *(earlier.FINISHED, earlier.DROPPED, earlier.UNDER_WAY, earlier.WAITING)
    }


def test_what_was_under_way_is_finished_from_what_was_accepted(earlier: EarlierHome, storage: Storage) -> None:
    keys = VideoKeys(earlier.UNDER_WAY)
    active = read_active_plan(storage, earlier.UNDER_WAY)
    receipts = {entry.key: storage.read(entry.key) for entry in storage.list(keys.prefix) if "/receipts/" in entry.key}
    assert len(receipts) == 3
    endpoint = SageMakerAsyncEndpoint(timeout_seconds=3600, max_attempts=3)
    with use_endpoint(earlier.home.endpoint, storage.url, workers=1, endpoints=["flow"]):
        done = Interpolation(
            storage, lambda name: endpoint.connect(name, storage), active, max_attempts=3, progress=quiet
        ).run(wait=True)
    assert (done.complete, done.submitted) == (True, 0)
    assert {key: storage.read(key) for key in receipts} == receipts

    final, made = assemble(storage, active, progress=quiet)
    assert (made, final.frame_count) == (True, 140)


def test_what_was_registered_keeps_its_id(earlier: EarlierHome, storage: Storage) -> None:
    with Processes(earlier.clips) as processes:
        told = processes.call("run", str(earlier.clips / "waiting.mp4"))

    assert told.status == 0, told.stderr
    assert told.stdout == f"{root_of(storage)}/final/{earlier.WAITING}.mp4\n"


def test_ten_hundred_finished_videos_start_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sensor's cursor, and without it in a home that is new."""
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path))
    monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path / "storage"))
    storage = open_storage(str(tmp_path / "storage"))
    storage.prepare_uploads()
    uploads = [f"uploads/match {number:04d} 影片.mp4" for number in range(1000)]
    for upload in uploads:
        (root_of(storage) / upload).write_bytes(b"clip")
        path = root_of(storage) / VideoKeys(earlier_video_id_of(upload)).source
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"upload": upload}))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(str(videos.name), [earlier_video_id_of(upload) for upload in uploads])
        first = tick(instance, "new_uploads")
        seen = json.loads(first.cursor)["seen"]
        # As 0.1.0 left it: by the ids that it gave.
        known = tick(instance, "new_uploads", json.dumps({"requested": seen, "seen": {}}))

    assert seen.keys() == {earlier_video_id_of(upload) for upload in uploads}
    assert not first.run_requests
    assert not known.run_requests
    assert "1000 known" in known.skip_message


COLLIDING = ("uploads/117001/影片.mp4", "uploads/134173/影片.mp4")


def test_two_uploads_that_shared_an_id_are_two_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first had the id of both; the second was never run, and nobody heard of it."""
    first, second = COLLIDING
    shared = earlier_video_id_of(first)
    assert earlier_video_id_of(second) == shared
    monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path / "storage"))
    storage = open_storage(str(tmp_path / "storage"))
    for upload in COLLIDING:
        storage.write(upload, b"clip")
    write_json(storage, VideoKeys(shared).source, {"upload": first})
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(str(videos.name), [shared])
        cursor, requested = None, list[Any]()
        for _ in range(3):
            data = tick(instance, "new_uploads", cursor)
            cursor = data.cursor
            requested += [request.partition_key for request in data.run_requests or []]

    assert sorted(requested) == sorted([shared, video_id_of(second)])
