"""What a storage tells about the speed of its endpoint."""

import os
import time
from collections.abc import Sequence

import pytest

from slowmo_pipeline.endpoint.record import EndpointRecord, forget_served, write_served
from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.steps import measured_speed as speed
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.measured_speed import made_on, measured_speed
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline_tests.support.interpolators import Fade
from slowmo_pipeline_tests.support.stored import changed, root_of, write_json
from slowmo_pipeline_tests.support.videos import UPLOAD, drop, finish, quiet

G5 = "ml.g5.xlarge"
DEPLOYED = EndpointRecord(
    model_id=Fade.model_id, max_body_bytes=10**9, sagemaker_endpoint="slowmo-flow", instance_type=G5
)
PIXELS = 64 * 48
NEW_FRAMES = 8 * 3
"""Of nine frames, four times slower."""


def finished_video(storage: Storage, *, key: str = UPLOAD, seconds: Sequence[float] = (1.5,)) -> str:
    """A video finished by the endpoint that is deployed now, which spent so many seconds on each chunk."""
    write_served(storage, "flow", DEPLOYED)
    video_id = drop(storage, key=key)
    inspect_upload(storage, video_id, chosen={}, progress=quiet)
    done = cut(storage, video_id, progress=quiet)
    keys = VideoKeys(video_id).plan(done.active.versions.plan).model(done.active.versions.model_id)
    for chunk in done.active.plan.chunks:
        write_json(storage, keys.receipt(chunk.index), {})
    final = changed(finish(storage, video_id), chunk_seconds=tuple(seconds))
    write_record(storage, VideoKeys(video_id).finals[0], final)
    return video_id


def date_back(storage: Storage, key: str, *, hours: int = 1) -> None:
    """Make a stored object as old as that."""
    assert root_of(storage) is not None
    before = time.time() - hours * 3600
    os.utime(root_of(storage) / key, (before, before))


def receipt_of(storage: Storage, video_id: str) -> str:
    current = read_active_plan(storage, video_id).versions
    return VideoKeys(video_id).plan(current.plan).model(current.model_id).receipt(0)


def test_the_speed_is_seconds_over_pixels_of_new_frames(storage: Storage) -> None:
    finished_video(storage, seconds=(1.5, 0.5))
    found = measured_speed(storage, "flow", instance_type=G5)
    assert found.seconds_per_megapixel == pytest.approx(2 / (NEW_FRAMES * PIXELS / 1e6))
    assert (found.videos, found.model_id) == (1, Fade.model_id)


def test_results_are_known_by_the_instance_type_that_made_them(storage: Storage) -> None:
    video_id = finished_video(storage)
    assert made_on(storage, read_active_plan(storage, video_id)) == G5


def test_what_the_same_model_made_before_it_was_deployed_does_not_count(folder: Storage) -> None:
    video_id = finished_video(folder)
    date_back(folder, receipt_of(folder, video_id))
    assert made_on(folder, read_active_plan(folder, video_id)) is None
    with pytest.raises(SettingsError, match="it has finished no video yet"):
        measured_speed(folder, "flow", instance_type=G5)


def test_what_another_model_made_does_not_count(folder: Storage) -> None:
    video_id = finished_video(folder)
    write_served(folder, "flow", changed(DEPLOYED, model_id="fade-2"))
    date_back(folder, endpoint_key("flow"))
    assert made_on(folder, read_active_plan(folder, video_id)) is None


def test_without_receipts_nobody_knows_what_made_the_results(folder: Storage) -> None:
    video_id = finished_video(folder)
    folder.delete([receipt_of(folder, video_id)])
    assert made_on(folder, read_active_plan(folder, video_id)) is None


def test_a_video_whose_settings_changed_since_does_not_count(folder: Storage) -> None:
    video_id = finished_video(folder)
    inspect_upload(folder, video_id, chosen={"slowdown": "8"}, progress=quiet)
    with pytest.raises(SettingsError, match="it has finished no video yet"):
        measured_speed(folder, "flow", instance_type=G5)


def test_a_video_interpolated_anew_counts_once_it_is_finished_anew(folder: Storage) -> None:
    video_id = finished_video(folder)
    inspect_upload(folder, video_id, chosen={"slowdown": "8"}, progress=quiet)
    cut(folder, video_id, progress=quiet)
    write_json(folder, receipt_of(folder, video_id), {})
    with pytest.raises(SettingsError, match="it has finished no video yet"):
        measured_speed(folder, "flow", instance_type=G5)


def test_what_another_endpoint_finished_does_not_count(folder: Storage) -> None:
    write_served(folder, "film", changed(DEPLOYED, sagemaker_endpoint="slowmo-film"))
    finished_video(folder)
    with pytest.raises(SettingsError, match=r"film on ml[.]g5[.]xlarge is not measured: it has finished no video"):
        measured_speed(folder, "film", instance_type=G5)


def test_only_the_latest_videos_are_looked_at(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = finished_video(folder, key="uploads/earlier.mp4", seconds=(100,))
    date_back(folder, endpoint_key("flow"), hours=2)
    date_back(folder, VideoKeys(earlier).finals[0])
    finished_video(folder, key="uploads/later.mp4", seconds=(2,))
    date_back(folder, endpoint_key("flow"), hours=2)
    assert measured_speed(folder, "flow", instance_type=G5).videos == 2
    monkeypatch.setattr(speed, "MEASURED_VIDEOS", 1)
    found = measured_speed(folder, "flow", instance_type=G5)
    assert found.seconds_per_megapixel == pytest.approx(2 / (NEW_FRAMES * PIXELS / 1e6))


def test_a_speed_on_another_instance_type_is_not_taken_for_this_one(folder: Storage) -> None:
    finished_video(folder)
    with pytest.raises(SettingsError, match=r"flow on ml.g6.xlarge is not measured: the endpoint runs on ml.g5"):
        measured_speed(folder, "flow", instance_type="ml.g6.xlarge")


def test_a_local_speed_is_never_taken_for_that_of_an_instance(folder: Storage) -> None:
    finished_video(folder)
    write_served(folder, "flow", EndpointRecord(model_id=Fade.model_id, max_body_bytes=10**9))
    with pytest.raises(SettingsError, match=r"runs on a local machine. Give --seconds-per-megapixel"):
        measured_speed(folder, "flow", instance_type=G5)


def test_without_an_endpoint_there_is_no_speed(folder: Storage) -> None:
    video_id = finished_video(folder)
    forget_served(folder, "flow")
    assert made_on(folder, read_active_plan(folder, video_id)) is None
    with pytest.raises(SettingsError, match="no endpoint of that name serves file:"):
        measured_speed(folder, "flow", instance_type=G5)
