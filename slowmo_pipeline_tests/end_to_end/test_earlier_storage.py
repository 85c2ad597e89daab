"""What was planned and made by formats of before is made anew only where something else is wanted of it."""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from slowmo_pipeline.steps.records import read_active_plan, read_final, read_info, read_source
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline_tests.support.earlier_storage import CONSTANT, UNDER_WAY, VARIABLE, unpack_earlier_storage
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline, materialized
from slowmo_pipeline_tests.support.stored import read_json, root_of
from slowmo_pipeline_tests.support.videos import clip

SLOWDOWNS = {CONSTANT: "4", VARIABLE: "5/2"}
finished = pytest.mark.parametrize("video_id", [CONSTANT, VARIABLE])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    """A home whose endpoint runs as long as these tests."""
    with fade_pipeline(tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture
def pipeline(served: TestPipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestPipeline]:
    """Its storage as it was left, and an instance that knows nothing else."""
    storage = served.storage
    storage.delete([entry.key for entry in storage.list("") if entry.key != endpoint_key("flow")])
    unpack_earlier_storage(root_of(storage).parent)
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline = TestPipeline(instance, storage)
        for upload in ("constant.mp4", "variable.mkv", "under way.mp4"):
            pipeline.add(f"uploads/{upload}")
        yield pipeline


def made(storage: Storage, video_id: str) -> dict[str, str]:
    """Receipts and results of a video, each with its version."""
    entries = storage.list(VideoKeys(video_id).prefix)
    return {entry.key: entry.version for entry in entries if "/receipts/" in entry.key or "/results/" in entry.key}


def final_version(storage: Storage, video_id: str) -> str:
    final = read_final(storage, video_id)
    entry = storage.stat(final.key) if final else None
    assert entry is not None
    return entry.version


@finished
def test_what_is_finished_stays_finished(pipeline: TestPipeline, video_id: str) -> None:
    storage = pipeline.storage
    before, file, record = made(storage, video_id), final_version(storage, video_id), read_final(storage, video_id)
    again = pipeline.run(video_id)

    assert again.success
    assert materialized(again, "interpolated_chunks")["chunks_submitted"] == 0
    assert made(storage, video_id) == before
    assert (final_version(storage, video_id), read_final(storage, video_id)) == (file, record)
    assert (read_source(storage, video_id).formats, read_info(storage, video_id).format) == (1, 1)


def test_upload_that_was_only_touched_changes_nothing(pipeline: TestPipeline) -> None:
    before, file = made(pipeline.storage, CONSTANT), final_version(pipeline.storage, CONSTANT)
    os.utime(root_of(pipeline.storage) / "uploads" / "constant.mp4", (1000, 1000))
    assert pipeline.run(CONSTANT).success

    assert (made(pipeline.storage, CONSTANT), final_version(pipeline.storage, CONSTANT)) == (before, file)


@finished
def test_other_quality_encodes_the_same_results_again(pipeline: TestPipeline, video_id: str) -> None:
    storage = pipeline.storage
    before, file = made(storage, video_id), final_version(storage, video_id)
    plan, numbers = read_source(storage, video_id).plan, pipeline.final_numbers(video_id)
    assert pipeline.run(video_id, crf=30, slowdown=SLOWDOWNS[video_id]).success

    assert made(storage, video_id) == before
    assert final_version(storage, video_id) != file
    assert read_active_plan(storage, video_id).versions.plan == plan
    assert read_source(storage, video_id).formats == 1
    assert len(pipeline.final_numbers(video_id)) == len(numbers)


@pytest.mark.parametrize("change", [{"slowdown": 3}, {"cuts": "off"}, {"images": "jpeg"}, {"to": "f3"}], ids=str)
def test_what_is_wanted_otherwise_is_planned_by_the_formats_of_today(
    pipeline: TestPipeline, change: dict[str, Any]
) -> None:
    storage, before = pipeline.storage, read_source(pipeline.storage, VARIABLE).plan
    assert pipeline.run(VARIABLE, **{"slowdown": "5/2", **change}).success

    source = read_source(storage, VARIABLE)
    assert (source.formats, read_info(storage, VARIABLE).format) == (2, 2)
    assert source.plan != before
    assert read_json(storage, VideoKeys(VARIABLE).plan(source.plan).plan)["format"] == 2
    assert read_active_plan(storage, VARIABLE).info == read_info(storage, VARIABLE)


def test_another_upload_is_planned_by_the_formats_of_today(pipeline: TestPipeline) -> None:
    pipeline.storage.write("uploads/constant.mp4", clip(5))
    assert pipeline.run(CONSTANT).success

    assert (read_source(pipeline.storage, CONSTANT).formats, read_info(pipeline.storage, CONSTANT).format) == (2, 2)
    assert len(pipeline.final_numbers(CONSTANT)) == 20


def test_what_was_wanted_first_is_found_again(pipeline: TestPipeline) -> None:
    """By the formats of today: one plan more, never one that mixes both."""
    before = read_source(pipeline.storage, CONSTANT).plan
    assert pipeline.run(CONSTANT, slowdown=3).success
    assert pipeline.run(CONSTANT, slowdown=4).success

    assert read_source(pipeline.storage, CONSTANT).formats == 2
    assert read_active_plan(pipeline.storage, CONSTANT).versions.plan != before
    assert len(pipeline.final_numbers(CONSTANT)) == 24


def test_what_was_under_way_goes_on_with_its_plan(pipeline: TestPipeline) -> None:
    storage = pipeline.storage
    before, plan = made(storage, UNDER_WAY), read_active_plan(storage, UNDER_WAY)
    done = pipeline.run(UNDER_WAY)

    assert done.success
    assert materialized(done, "interpolated_chunks")["chunks_submitted"] == 2
    assert before.items() <= made(storage, UNDER_WAY).items()
    assert read_active_plan(storage, UNDER_WAY).versions == plan.versions
    assert read_active_plan(storage, UNDER_WAY).plan == plan.plan
    assert len(pipeline.final_numbers(UNDER_WAY)) == 36


def test_of_a_plan_that_is_lost_another_is_made(pipeline: TestPipeline) -> None:
    active = read_active_plan(pipeline.storage, UNDER_WAY)
    pipeline.storage.delete([active.keys.plan])
    assert pipeline.run(UNDER_WAY).success

    assert read_source(pipeline.storage, UNDER_WAY).formats == 2
    assert len(pipeline.final_numbers(UNDER_WAY)) == 36
