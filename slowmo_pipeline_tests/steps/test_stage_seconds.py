"""How long the stages of a video took: told of the work that is there, however it came to be."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from slowmo_pipeline.progress import Quiet
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.records import read_active_plan, read_final
from slowmo_pipeline.steps.stage_seconds import (
    STAGES,
    Stages,
    note_interpolated,
    note_stage,
    read_stages,
    seconds_by_stage,
)
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, TestPipeline, fade_pipeline, materialized
from slowmo_pipeline_tests.support.stored import root_of
from slowmo_pipeline_tests.support.videos import drop_and_cut, quiet

MADE = ("probe", "cut", "interpolate", "encode")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


def told(storage: Storage, video_id: str) -> dict[str, float]:
    active = read_active_plan(storage, video_id)
    return seconds_by_stage(
        read_stages(storage, video_id), active.source, active.versions, read_final(storage, video_id)
    )


def test_a_run_leaves_the_seconds_of_each_stage_and_dagster_shows_them(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("timed.mp4")
    result = pipeline.run(video_id)
    found = told(pipeline.storage, video_id)

    assert tuple(found) == STAGES
    assert all(
        found[name] > 0 for name in STAGES if name != "interpolate"
    )  # its result may be there before its receipt
    shown = materialized(result, "final_video")
    assert {name: shown[f"{name}_seconds"] for name in MADE} == {name: round(found[name], 2) for name in MADE}


def test_two_runs_leave_what_one_does(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("two.mp4")
    assert pipeline.run(video_id, config=NOT_WAITING).success
    assert pipeline.run(video_id, job="finish_video").success

    assert tuple(told(pipeline.storage, video_id)) == STAGES


def test_a_run_that_makes_nothing_leaves_the_times_as_they_were(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("again.mp4")
    assert pipeline.run(video_id).success
    before = read_stages(pipeline.storage, video_id)
    assert pipeline.run(video_id).success

    now = read_stages(pipeline.storage, video_id)
    assert [getattr(now, name) for name in MADE] == [getattr(before, name) for name in MADE]


def test_encoding_again_leaves_the_times_of_what_is_not_made_again(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("codec.mp4")
    assert pipeline.run(video_id).success
    before = read_stages(pipeline.storage, video_id)
    assert pipeline.run(video_id, codec="h265").success

    now = read_stages(pipeline.storage, video_id)
    assert (now.probe, now.cut, now.interpolate) == (before.probe, before.cut, before.interpolate)
    assert now.encode != before.encode


def test_times_of_another_plan_are_not_told(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("back.mp4")
    for slowdown in ("4", "8", "4"):
        assert pipeline.run(video_id, slowdown=slowdown).success

    assert tuple(told(pipeline.storage, video_id)) == ("probe", "interpolate", "encode", "verify")


def test_interpolation_takes_as_long_as_a_chunk_is_under_way(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks: two at once for 12 seconds, then nothing for a night, then one for 3."""
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 3)
    video_id, done = drop_and_cut(folder)
    keys = done.active.result_keys
    for chunk, (begin, end) in enumerate([(1000, 1010), (1005, 1012), (40_000, 40_003)]):
        for key, at in ((keys.receipt(chunk), begin), (keys.result(chunk), end)):
            folder.write(key, b"")
            os.utime(root_of(folder) / key, (at, at))
    stored = {entry.key: entry.modified for entry in folder.list(keys.prefix)}
    note_interpolated(folder, done.active, stored, now=True)

    stage = read_stages(folder, video_id).interpolate
    assert stage
    assert (stage.seconds, stage.ended_at) == (15, 40_003)


class _InterruptedAfterTwoChunks(Quiet):
    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        if done > 6:
            raise KeyboardInterrupt


def test_cutting_adds_up_over_the_runs_that_cut_for_a_plan(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    video_id, done = drop_and_cut(storage)
    chunks = [entry.key for entry in storage.list(done.active.keys.chunks)]
    storage.delete(chunks)
    with pytest.raises(KeyboardInterrupt):
        cut(storage, video_id, progress=_InterruptedAfterTwoChunks())
    note(storage, video_id, seconds=1000)
    assert 0 < cut(storage, video_id, progress=quiet).written < len(chunks)
    assert cut_seconds(storage, video_id) > 1000

    storage.delete(chunks)
    cut(storage, video_id, progress=quiet)
    assert cut_seconds(storage, video_id) < 1000, "all of it was made anew"


def test_cutting_that_is_interrupted_leaves_its_time(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    video_id, done = drop_and_cut(storage)
    storage.delete([VideoKeys(video_id).stages, *(entry.key for entry in storage.list(done.active.keys.chunks))])
    with pytest.raises(KeyboardInterrupt):
        cut(storage, video_id, progress=_InterruptedAfterTwoChunks())

    assert cut_seconds(storage, video_id) > 0


def note(storage: Storage, video_id: str, **values: Any) -> None:
    note_stage(storage, video_id, "cut", of=read_active_plan(storage, video_id).versions.plan, **values)


def cut_seconds(storage: Storage, video_id: str) -> float:
    stages: Stages = read_stages(storage, video_id)
    assert stages.cut
    return stages.cut.seconds
