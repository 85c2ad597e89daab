"""What became of each video, and what cleaning leaves."""

from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline.errors import UnknownVideoError
from slowmo_pipeline.steps.changes import Change, noted
from slowmo_pipeline.steps.cleaning import clean
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.records import Final, is_finished, read_active_plan, read_final
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.steps.video_status import VideoStatus, VideoStatuses, known_videos
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import PlanKeys, VideoKeys
from slowmo_pipeline_tests.support.stored import write_json
from slowmo_pipeline_tests.support.videos import UPLOAD, drop, drop_and_cut, finish, interpolate, looked, quiet, serve


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gaps each: the clip of nine frames makes four chunks."""
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)


def status(storage: Storage, video_id: str) -> VideoStatus:
    return VideoStatuses(storage, only=video_id).of(video_id)


def plan_keys(storage: Storage, video_id: str) -> PlanKeys:
    return read_active_plan(storage, video_id).keys


def store_result(storage: Storage, video_id: str, chunk: int) -> None:
    keys = plan_keys(storage, video_id)
    storage.write(keys.model("fade-1").result(chunk), interpolate(storage.read(keys.chunk(chunk))))
    write_json(storage, keys.model("fade-1").receipt(chunk), {})


def keys_of(storage: Storage, video_id: str) -> set[str]:
    return {entry.key for entry in storage.list(VideoKeys(video_id).prefix)}


def test_states_on_the_way(storage: Storage) -> None:
    video_id = register(storage, UPLOAD)
    assert status(storage, video_id) == VideoStatus(
        video_id, "registered", None, notes=0, losses=0, interpolator=None, is_outdated=False
    )

    drop_and_cut(storage)
    assert status(storage, video_id).state == "0 of 4 chunks interpolated"

    store_result(storage, video_id, 2)
    assert status(storage, video_id).state == "1 of 4 chunks interpolated"

    final = finish(storage, video_id)
    assert status(storage, video_id) == VideoStatus(
        video_id, "finished", final.key, notes=1, losses=0, interpolator="flow", is_outdated=False
    )


def test_what_a_deleted_video_leaves_is_none(storage: Storage) -> None:
    video_id = register(storage, UPLOAD)
    storage.write(VideoKeys("gone-0123456789abcdef").info, b"{}")

    assert VideoStatuses(storage).video_ids == (video_id,)


def test_a_video_that_came_after_the_listing_has_a_state(folder: Storage) -> None:
    statuses = VideoStatuses(folder)
    video_id = drop(folder)
    looked(folder, video_id)

    assert statuses.of(video_id).state == "registered"


def test_new_settings_make_a_finished_video_unfinished_but_keep_its_result(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    final = finish(folder, video_id)
    looked(folder, video_id, slowdown=2)
    assert (status(folder, video_id).state, status(folder, video_id).result) == (
        "registered",
        final.key,
    )

    cut(folder, video_id, progress=quiet)
    assert status(folder, video_id).state == "0 of 4 chunks interpolated"


def test_final_whose_video_is_gone_is_none(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    folder.delete([finish(folder, video_id).key])

    assert read_final(folder, video_id) is None
    assert status(folder, video_id).result is None


def test_final_survives_its_stored_form(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    final = finish(folder, video_id)

    assert read_final(folder, video_id) == final
    assert isinstance(final, Final)


@pytest.mark.parametrize("change", [{"crf": 30}, {"codec": "ffv1"}, {"sound": "none"}, {"encoder_threads": 1}])
def test_what_changes_the_encoding_makes_a_video_unfinished(folder: Storage, change: dict[str, Any]) -> None:
    video_id, _ = drop_and_cut(folder)
    finish(folder, video_id)
    looked(folder, video_id, **change)
    active = read_active_plan(folder, video_id)

    assert not is_finished(folder, active)


def test_limits_and_housekeeping_leave_a_video_finished(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    finish(folder, video_id)
    looked(folder, video_id, keep_results=False, max_frames=99)

    assert status(folder, video_id).state == "finished"


def test_another_model_makes_a_video_unfinished(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    finish(folder, video_id)
    serve(folder, model_id="fade-2")
    cut(folder, video_id, progress=quiet)

    assert status(folder, video_id).state == "0 of 4 chunks interpolated"


def test_known_videos_are_listed(storage: Storage) -> None:
    assert known_videos(storage) == ()
    ids = [register(storage, f"uploads/{name}.mp4") for name in "cab"]

    assert known_videos(storage) == tuple(sorted(ids))


@pytest.mark.parametrize("verb", [status, clean])
def test_unknown_video_is_named(folder: Storage, verb: type) -> None:
    with pytest.raises(UnknownVideoError, match=r"^There is no video nobody-1: `slowmo status` lists"):
        verb(folder, "nobody-1")


def test_cleaning_a_finished_video_keeps_how_it_was_made(storage: Storage) -> None:
    video_id, _ = drop_and_cut(storage)
    store_result(storage, video_id, 0)
    final, keys = finish(storage, video_id), VideoKeys(video_id)
    noted(storage, video_id, Change(version="a", changed=1))
    entries = list(storage.list(keys.prefix))
    kept = {keys.source, keys.requested, keys.info, keys.current, keys.stages, plan_keys(storage, video_id).plan}

    assert clean(storage, video_id) == sum(entry.size for entry in entries if entry.key not in kept) > 0
    assert keys_of(storage, video_id) == kept
    assert read_final(storage, video_id) == final
    assert status(storage, video_id).state == "finished"
    assert clean(storage, video_id) == 0


def test_cleaning_an_unfinished_video_keeps_its_plan_in_force(storage: Storage) -> None:
    video_id, _ = drop_and_cut(storage)
    store_result(storage, video_id, 0)
    looked(storage, video_id, slowdown=2)
    cut(storage, video_id, progress=quiet)
    store_result(storage, video_id, 1)
    keys = VideoKeys(video_id)
    active = {entry.key for entry in storage.list(plan_keys(storage, video_id).prefix)}
    freed = clean(storage, video_id)

    assert freed > 0
    assert keys_of(storage, video_id) == {keys.source, keys.info, keys.current, keys.stages} | active
    assert status(storage, video_id).state == "1 of 4 chunks interpolated"


def test_cleaning_what_has_no_plan_in_force_deletes_nothing(folder: Storage, tmp_path: Path) -> None:
    video_id, _ = drop_and_cut(folder)
    looked(folder, video_id, slowdown=2)
    before = keys_of(folder, video_id)

    assert clean(folder, video_id) == 0
    assert keys_of(folder, video_id) == before


def test_cleaning_touches_no_other_video(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    finish(folder, video_id)
    other = drop(folder, key="uploads/clip.mp4.mp4")
    inspect_upload(folder, other, chosen={}, progress=quiet)
    cut(folder, other, progress=quiet)
    before = keys_of(folder, other)
    clean(folder, video_id)

    assert keys_of(folder, other) == before
    assert folder.stat(UPLOAD)
