"""`slowmo delete`: nothing of a video stays, and nothing of another one goes."""

from collections.abc import Iterator

import pytest

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError, UnknownVideoError
from slowmo_pipeline.machine.home import locked
from slowmo_pipeline.machine.removal import remove_video
from slowmo_pipeline.steps.removal import objects_of
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import SIDECAR_SUFFIX, VideoKeys
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.videos import drop_and_cut, finish


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def pipeline(home: Home) -> Iterator[TestPipeline]:
    with fade_pipeline(home.root, kept=True) as pipeline:
        yield pipeline


def keys_of(storage: Storage) -> set[str]:
    return {entry.key for prefix in ("uploads/", "videos/", "final/", "pending/") for entry in storage.list(prefix)}


def test_a_deleted_video_is_gone_and_comes_back_when_dropped_again(pipeline: TestPipeline) -> None:
    other = pipeline.drop("other.mp4")
    assert pipeline.run(other).success
    before, known = keys_of(pipeline.storage), pipeline.instance.get_dynamic_partitions(str(videos.name))
    video_id = pipeline.drop("gone.mp4")
    pipeline.storage.write(f"uploads/gone.mp4{SIDECAR_SUFFIX}", b'{"slowdown": 2}')
    for codec in ("h264", "ffv1"):
        assert pipeline.run(video_id, codec=codec).success

    done = slowmo("delete", video_id, "--yes")

    assert done.stdout == f"{video_id} deleted\n"
    assert keys_of(pipeline.storage) == before
    assert other in known
    assert set(pipeline.instance.get_dynamic_partitions(str(videos.name))) == set(known)
    assert video_id not in slowmo("status").stdout + slowmo("status").stderr
    assert pipeline.run(pipeline.drop("gone.mp4")).success


def test_deletion_that_was_cut_off_anywhere_goes_on(storage: Storage) -> None:
    video_id, _ = drop_and_cut(storage)
    finish(storage, video_id)
    objects = objects_of(storage, video_id)
    assert (objects[0].key, objects[-1].key) == ("uploads/clip.mp4", VideoKeys(video_id).source)
    for count in range(len(objects)):
        assert objects_of(storage, video_id) == objects[count:]
        storage.delete([objects[count].key])
    with pytest.raises(UnknownVideoError):
        objects_of(storage, video_id)


def test_the_upload_of_a_torn_record_is_found_by_its_video_id(storage: Storage) -> None:
    video_id, _ = drop_and_cut(storage)
    storage.write(VideoKeys(video_id).source, b'{"upload": ')
    assert objects_of(storage, video_id)[0].key == "uploads/clip.mp4"


def test_a_video_is_not_deleted_under_a_run(pipeline: TestPipeline, home: Home) -> None:
    video_id = pipeline.drop("busy.mp4")
    before = keys_of(pipeline.storage)
    with locked(home, f"video-{video_id}"), pytest.raises(HomeError, match="A `slowmo run` works on"):
        remove_video(home, pipeline.instance, pipeline.storage, video_id, sure=lambda what: True)
    job = defs.resolve_job_def("slow_motion")
    run = pipeline.instance.create_run_for_job(job, tags={"dagster/partition": video_id})
    with pytest.raises(HomeError, match=f"The run {run.run_id} works on {video_id}"):
        remove_video(home, pipeline.instance, pipeline.storage, video_id, sure=lambda what: True)
    assert keys_of(pipeline.storage) == before


def test_deleting_asks_first_and_says_what(pipeline: TestPipeline, home: Home) -> None:
    video_id, asked = pipeline.drop("kept.mp4"), []

    def never(what: str) -> bool:
        asked.append(what)
        return False

    assert not remove_video(home, pipeline.instance, pipeline.storage, video_id, sure=never)
    [what] = asked
    assert what.startswith(f"{video_id}: 2 objects, ")
    assert what.endswith("/uploads/kept.mp4")
    done = slowmo("delete", video_id)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Add --yes" in done.stderr
    assert pipeline.storage.stat("uploads/kept.mp4") is not None


def test_one_unknown_video_stops_no_other(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("known.mp4")
    done = slowmo("delete", "nobody-12345678", video_id, "--yes")
    assert done.returncode == 1
    assert done.stdout == f"{video_id} deleted\n"
    assert "There is no video nobody-12345678" in done.stderr
