from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.steps.records import read_active_plan, read_final
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.video.binary import ffmpeg_binary
from slowmo_pipeline_tests.support.interpolators import Fade
from slowmo_pipeline_tests.support.media import clicks, grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline, failure_message, materialized
from slowmo_pipeline_tests.support.stored import root_of


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


def interpolated(pipeline: TestPipeline, name: str) -> str:
    """A video whose results are all there, and its final video is not."""
    video_id = pipeline.drop(name)
    for asset in ("raw_video", "frame_chunks", "interpolated_chunks"):
        assert pipeline.run(video_id, only=asset).success
    return video_id


def result_key(pipeline: TestPipeline, video_id: str) -> str:
    [key] = [entry.key for entry in pipeline.storage.list(VideoKeys(video_id).prefix) if "/results/" in entry.key]
    return key


def test_a_damaged_result_is_told_and_made_anew_by_the_next_run(pipeline: TestPipeline) -> None:
    video_id = interpolated(pipeline, "damaged.mp4")
    key = result_key(pipeline, video_id)
    pipeline.storage.write(key, pipeline.storage.read(key)[:2000])
    assert f"{key} is damaged" in failure_message(pipeline.run(video_id, only="final_video"))
    # frame_chunks cuts again what the new result needs
    assert pipeline.run(video_id).success
    assert len(pipeline.final_numbers(video_id)) == 24


def test_all_results_of_another_model_are_deleted_in_one_go_and_no_other(
    pipeline: TestPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 1)
    video_id = pipeline.drop("foreign.mp4", frames=6)
    for asset in ("raw_video", "frame_chunks"):
        assert pipeline.run(video_id, only=asset).success
    active = read_active_plan(pipeline.storage, video_id)
    keys = VideoKeys(video_id).plan(active.versions.plan)
    results = keys.model(active.versions.model_id)
    chunks = [pipeline.storage.read(keys.chunk(chunk.index)) for chunk in active.plan.chunks]
    assert pipeline.run(video_id, only="interpolated_chunks").success
    for index in (1, 3):
        pipeline.storage.write(results.result(index), handle(chunks[index], Successor()))
    pipeline.storage.write(results.result(4), b"torn")

    told = failure_message(pipeline.run(video_id, only="final_video"))
    assert told.startswith(f"{results.result(1)} was made by fade-2, not by fade-1. 3 of 5 results")
    assert {entry.key for entry in pipeline.storage.list(results.prefix)} == {
        *map(results.result, (0, 2)),
        *map(results.receipt, (0, 2)),
    }
    assert pipeline.run(video_id).success


class Successor(Fade):
    """What replaced Fade."""

    model_id = "fade-2"


def test_a_missing_result_is_told(pipeline: TestPipeline) -> None:
    video_id = interpolated(pipeline, "missing.mp4")
    pipeline.storage.delete([result_key(pipeline, video_id)])
    told = failure_message(pipeline.run(video_id, only="final_video"))
    assert told.startswith("1 of 1 chunks have no result yet, the first is chunk 0")


def test_an_upload_replaced_meanwhile_is_not_mixed_in(pipeline: TestPipeline) -> None:
    video_id = interpolated(pipeline, "replaced.mp4")
    pipeline.drop("replaced.mp4")
    assert "another one since" in failure_message(pipeline.run(video_id, only="final_video"))


def test_a_crash_after_the_video_and_before_its_facts_leaves_it_unfinished(pipeline: TestPipeline) -> None:
    video_id = interpolated(pipeline, "crash.mp4")
    assert pipeline.run(video_id, only="final_video").success
    pipeline.storage.delete([VideoKeys(video_id).finals[0]])
    assert read_final(pipeline.storage, video_id) is None
    assert materialized(pipeline.run(video_id), "final_video")["made_now"] is True


def test_a_sound_that_fails_leaves_the_video_and_a_note(pipeline: TestPipeline, tmp_path: Path) -> None:
    # A sound stream whose packets are noise: it has a name and a place in the file, and decodes to nothing.
    clip = write_clip(tmp_path / "noisy.mkv", grey_frames(25), sound=clicks(1, at=[0.5]))
    data = bytearray(clip.read_bytes())
    for codec in (b"A_OPUS", b"A_VORBIS", b"A_AAC", b"A_PCM/INT/LIT", b"A_FLAC"):
        data = data.replace(codec, b"A_" + b"X" * (len(codec) - 2))
    clip.write_bytes(data)
    pipeline.storage.upload(clip, "uploads/noisy.mkv")
    video_id = pipeline.add("uploads/noisy.mkv")
    result = pipeline.run(video_id)
    assert result.success
    assert len(pipeline.final_numbers(video_id)) == 100
    assert materialized(result, "final_video")["losses"].startswith("The result has no sound: ")


def test_scratch_does_not_outlive_the_run(pipeline: TestPipeline) -> None:
    root = root_of(pipeline.storage)
    assert root is not None
    assert pipeline.run(pipeline.drop("scratch.mp4")).success
    assert list((root / "scratch").iterdir()) == []


def dying_ffmpeg(folder: Path, *, deaths: int) -> Path:
    """A program that is killed the first so many times, and ffmpeg after that."""
    program = folder / "ffmpeg"
    program.write_text(
        f'#!/bin/sh\ncount=$(ls "{folder}" | grep -c died)\n'
        f'[ "$count" -lt {deaths} ] && touch "{folder}/died$count" && kill -9 $$\n'
        f'exec "{ffmpeg_binary()}" "$@"\n'
    )
    program.chmod(0o755)
    return program


def test_a_killed_ffmpeg_gets_a_second_try(
    pipeline: TestPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video_id = interpolated(pipeline, "killed_once.mp4")
    monkeypatch.setenv("FFMPEG_BINARY", str(dying_ffmpeg(tmp_path, deaths=1)))
    assert pipeline.run(video_id, only="final_video").success
    assert len(pipeline.final_numbers(video_id)) == 24


def test_an_ffmpeg_that_is_killed_again_is_told(
    pipeline: TestPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video_id = interpolated(pipeline, "killed_twice.mp4")
    monkeypatch.setenv("FFMPEG_BINARY", str(dying_ffmpeg(tmp_path, deaths=2)))
    assert "ffmpeg was ended by SIGKILL" in failure_message(pipeline.run(video_id, only="final_video"))
