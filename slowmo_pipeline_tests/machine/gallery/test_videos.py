"""What the gallery knows of videos that a real run made, and of those whose records are torn."""

from collections.abc import Callable, Iterator

import pytest

from slowmo_pipeline.machine.gallery.videos import Video, Videos
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.steps.stage_seconds import STAGES
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline_tests.support.gallery import made
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline, materialized
from slowmo_pipeline_tests.support.videos import drop_and_cut, looked


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


def the_video(storage: Storage) -> Video:
    [video] = Videos(storage).all()
    return video


def test_it_tells_what_dagster_tells(pipeline: TestPipeline) -> None:
    result = pipeline.run(pipeline.drop("told.mp4"), slowdown="5/2")
    reported, video = materialized(result, "final_video"), the_video(pipeline.storage)

    assert (video.name, video.state, video.slowdown, video.size) == ("told.mp4", "finished", 2.5, (64, 48))
    assert (video.frames, video.new_frames) == (reported["frames"], reported["new_frames"])
    assert (video.bytes, round(video.seconds or 0, 3)) == (reported["bytes"], reported["seconds"])
    assert round(video.endpoint_seconds or 0, 3) == reported["endpoint_seconds"]
    assert tuple(video.stages) == STAGES
    assert video.cost_usd is None, "a local endpoint made it"


RECORDS: dict[str, Callable[[Storage, str], str]] = {
    "info": lambda storage, video_id: VideoKeys(video_id).info,
    "stages": lambda storage, video_id: VideoKeys(video_id).stages,
    "plan": lambda storage, video_id: read_active_plan(storage, video_id).keys.plan,
}


@pytest.mark.parametrize("record", RECORDS)
def test_of_a_video_with_a_torn_record_the_others_are_told(storage: Storage, record: str) -> None:
    video_id = made(storage, "torn.mp4")
    storage.write(RECORDS[record](storage, video_id), b'{"')
    video = the_video(storage)
    assert (video.name, video.result) == ("torn.mp4", VideoKeys(video_id).final(".mp4"))


def test_a_result_of_earlier_settings_is_shown_with_where_the_new_one_stands(folder: Storage) -> None:
    video_id = made(folder, "again.mp4")
    looked(folder, video_id, key="uploads/again.mp4", slowdown=8)
    video = the_video(folder)
    assert (video.state, video.result, video.slowdown) == ("registered", VideoKeys(video_id).final(".mp4"), 4)
    assert tuple(video.stages) == STAGES, "of that result"


def test_videos_without_a_result_come_after_the_latest_one(folder: Storage) -> None:
    drop_and_cut(folder, key="uploads/a.mp4")
    first, second = made(folder, "b.mp4"), made(folder, "c.mp4")
    assert [video.video_id for video in Videos(folder).all()][:2] == [second, first]


def test_a_change_is_seen_at_the_next_look(folder: Storage) -> None:
    videos, video_id = Videos(folder), made(folder, "changing.mp4")
    assert videos.all()[0].result
    folder.delete([VideoKeys(video_id).finals[0]])
    assert videos.all()[0].result is None
