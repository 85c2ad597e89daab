import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import dagster as dg
import pytest

from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline_tests.support.media import cut_off, damaged, grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import (
    NOT_WAITING,
    TestPipeline,
    fade_pipeline,
    failure_message,
    materialized,
)
from slowmo_pipeline_tests.support.stored import read_json, root_of, write_json


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


def test_every_original_is_shown_once_and_the_last_is_held(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("six.mp4", frames=6)
    assert pipeline.run(video_id, slowdown="4", codec="ffv1").success
    numbers = pipeline.final_numbers(video_id, ".mkv")
    assert len(numbers) == 24
    assert numbers[::4] == [0, 1, 2, 3, 4, 5]
    assert numbers[20:] == [5, 5, 5, 5]


def test_a_fractional_slowdown_and_another_rate(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("fraction.mp4", frames=8)
    result = pipeline.run(video_id, slowdown="5/2", frame_rate="30000/1001")
    assert result.success
    assert materialized(result, "final_video")["frames"] == len(pipeline.final_numbers(video_id)) == 24


def test_running_again_makes_nothing_again(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("again.mp4")
    first = pipeline.run(video_id)
    before = pipeline.final_path(video_id).stat()
    second = pipeline.run(video_id)
    assert first.success
    assert second.success
    assert pipeline.final_path(video_id).stat().st_mtime_ns == before.st_mtime_ns
    assert materialized(second, "frame_chunks")["chunks_written"] == 0
    assert materialized(second, "interpolated_chunks")["chunks_submitted"] == 0
    assert materialized(second, "final_video")["made_now"] is False


def test_settings_of_the_launchpad_stay_in_force(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("launchpad.mp4")
    assert pipeline.run(video_id, slowdown="8").success
    assert len(pipeline.final_numbers(video_id)) == 48
    assert pipeline.run(video_id).success
    assert len(pipeline.final_numbers(video_id)) == 48


def test_an_edited_sidecar_wins_over_an_earlier_launchpad(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("sidecar.mp4")
    assert pipeline.run(video_id, slowdown="8").success
    pipeline.storage.write("uploads/sidecar.mp4.slowmo.json", b'{"slowdown": 3}')
    assert pipeline.run(video_id).success
    assert len(pipeline.final_numbers(video_id)) == 18


def test_another_codec_needs_no_inference(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("codec.mp4")
    assert pipeline.run(video_id).success
    result = pipeline.run(video_id, codec="h265")
    assert materialized(result, "interpolated_chunks")["chunks_submitted"] == 0
    assert materialized(result, "final_video")["made_now"] is True


def test_the_final_video_of_another_container_goes(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("container.mp4")
    assert pipeline.run(video_id).success
    assert pipeline.run(video_id, codec="ffv1").success
    assert pipeline.final_path(video_id, ".mkv").exists()
    assert not pipeline.final_path(video_id, ".mp4").exists()


def test_results_may_go_with_the_chunks(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("lean.mp4")
    assert pipeline.run(video_id, keep_results=False).success
    assert not [entry for entry in pipeline.storage.list(VideoKeys(video_id).prefix) if entry.key.endswith(".tar")]
    assert materialized(pipeline.run(video_id), "interpolated_chunks")["chunks_submitted"] == 0


def test_a_changed_upload_is_made_anew(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("changed.mp4", frames=4)
    assert pipeline.run(video_id).success
    pipeline.drop("changed.mp4", frames=7)
    assert pipeline.run(video_id).success
    assert len(pipeline.final_numbers(video_id)) == 28


def test_a_damaged_upload_fails_with_its_reason_and_is_not_retried(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("damaged.mp4")
    cut_off(root_of(pipeline.storage) / "uploads" / "damaged.mp4", keep=0.3)
    result = pipeline.run(video_id)
    assert not result.success
    assert "damaged.mp4" in failure_message(result)


def test_the_page_of_a_failed_run_carries_one_short_trace(pipeline: TestPipeline) -> None:
    result = pipeline.run(pipeline.drop("trace.mp4"), frame_rate="0/1")
    [failure] = [event.step_failure_data.error for event in result.all_node_events if event.is_step_failure]
    assert failure is not None
    assert (failure.cause, failure.context) == (None, None)
    assert not [line for line in failure.stack if "slowmo_pipeline/steps" in line]


def test_an_upload_that_cannot_be_read_fails_with_its_reason_and_is_not_retried(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("unreadable.mp4")
    path = root_of(pipeline.storage) / "uploads" / "unreadable.mp4"
    path.unlink()
    path.symlink_to("/proc/self/mem")
    result = pipeline.run(video_id)

    assert failure_message(result).startswith(f"{path} cannot be read: Input/output error.")


def test_bad_settings_fail_with_the_value_and_what_is_allowed(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("bad_settings.mp4")
    assert "slowdown = '0.5' must lie between 1 and 1000" in failure_message(pipeline.run(video_id, slowdown="0.5"))


def test_an_unknown_partition_fails_and_says_how_to_register_it(pipeline: TestPipeline) -> None:
    pipeline.instance.add_dynamic_partitions("videos", ["nobody-12345678"])
    assert "slowmo upload" in failure_message(pipeline.run("nobody-12345678"))


def test_a_step_alone_says_which_one_must_come_before(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("alone.mp4")
    assert "materialise" in failure_message(pipeline.run(video_id, job="finish_video"))


def test_new_settings_without_new_chunks_are_refused_by_later_steps(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("half.mp4")
    assert pipeline.run(video_id).success
    assert pipeline.run(video_id, only="raw_video", slowdown="3").success
    assert "frame_chunks" in failure_message(pipeline.run(video_id, job="finish_video"))


def test_without_waiting_the_run_ends_before_the_results(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("patient.mp4")
    result = pipeline.run(video_id, config=NOT_WAITING)
    assert result.success
    assert pipeline.storage.stat(VideoKeys(video_id).pending)
    assert not pipeline.final_path(video_id).exists()
    assert pipeline.run(video_id, job="finish_video").success
    assert not pipeline.storage.stat(VideoKeys(video_id).pending)
    assert len(pipeline.final_numbers(video_id)) == 24


def test_without_waiting_the_run_finishes_what_comes_at_once(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("prompt.mp4")
    config = {"ops": {"interpolated_chunks": {"config": {"wait": False, "patience_seconds": 60}}}}
    result = pipeline.run(video_id, config=config)
    assert materialized(result, "interpolated_chunks")["chunks_submitted"] == 1
    assert not pipeline.storage.stat(VideoKeys(video_id).pending)
    assert len(pipeline.final_numbers(video_id)) == 24


def test_another_model_makes_new_results_from_the_same_plan(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("model.mp4")
    first = pipeline.run(video_id)
    served = read_json(pipeline.storage, endpoint_key("flow"))
    try:
        write_json(pipeline.storage, endpoint_key("flow"), {**served, "model_id": "fade-2"})
        result = pipeline.run(video_id)
    finally:
        write_json(pipeline.storage, endpoint_key("flow"), served)
    assert first.success
    # The server still is the old model: nothing that it made would pass for the new one's.
    assert "runs fade-1 as flow, but the last one that began to serve" in failure_message(result)
    assert materialized(result, "frame_chunks")["plan"] == materialized(first, "frame_chunks")["plan"]


def test_numbers_that_plot_are_reported(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("numbers.mp4")
    reported = materialized(pipeline.run(video_id), "final_video")
    assert reported["frames"] == 24
    assert reported["new_frames"] == 15
    assert reported["seconds"] == pytest.approx(24 / 25)
    image, caption = reported["preview"].split("\n\n")
    assert image.startswith("![frames](data:image/jpeg;base64,")
    assert len(reported["preview"]) < 50_000
    assert caption == "Neighbouring frames from the middle of the result, in their order."
    assert [record.data["new frames"] for record in reported["chunk_table"].records] == [15]


def test_what_is_held_is_told_by_its_reason(pipeline: TestPipeline, tmp_path: Path) -> None:
    once = write_clip(tmp_path / "once.ts", grey_frames(8), rate=Fraction(25), ticks=[0, 1, 2, 3, 40, 41, 42, 43])
    pipeline.storage.write("uploads/twice.ts", once.read_bytes() * 2)
    video_id = pipeline.add("uploads/twice.ts")
    told = materialized(pipeline.run(video_id, cuts="off", codec="ffv1"), "frame_chunks")

    assert [told[name] for name in ("frames", "held_gaps", "cuts", "stills", "jumps", "duplicates_replaced")] == [
        *(16, 3, 0, 2, 1, 0)
    ]
    numbers = pipeline.final_numbers(video_id, ".mkv")
    assert len(numbers) == 4 * 88
    assert [numbers[4 * place] for place in (0, 3, 20, 40, 43, 44, 60, 84, 87)] == [0, 3, 3, 4, 7, 0, 3, 4, 7]


def test_seconds_are_told_to_the_millisecond(pipeline: TestPipeline) -> None:
    result = pipeline.run(pipeline.drop("sevenths.mp4", frames=6, rate=Fraction(7)))
    told = [materialized(result, asset)["seconds"] for asset in ("frame_chunks", "final_video")]
    [checked] = [each for each in result.get_asset_check_evaluations() if each.check_name == "frame_count_and_duration"]
    told += [checked.metadata[name].value for name in ("seconds", "expected_seconds")]
    assert told == [3.429] * 4


def test_what_was_lost_and_noted_is_told_as_text(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("lossy.mp4", frames=40)
    damaged(root_of(pipeline.storage) / "uploads" / "lossy.mp4", at=0.5)
    result = pipeline.run(video_id)
    assert re.fullmatch(r"Damaged packets: \d+ were skipped\.", materialized(result, "raw_video")["losses"])
    assert materialized(result, "final_video")["losses"] == materialized(result, "raw_video")["losses"]


@pytest.fixture
def deployed(pipeline: TestPipeline) -> Iterator[None]:
    """The endpoint's record says that it runs on an instance of SageMaker's."""
    record = read_json(pipeline.storage, endpoint_key("flow"))
    write_json(pipeline.storage, endpoint_key("flow"), {**record, "instance_type": "ml.g5.xlarge"})
    yield
    write_json(pipeline.storage, endpoint_key("flow"), record)


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("keep_results", [True, False])
def test_what_the_endpoint_spent_and_what_that_costs_is_reported(pipeline: TestPipeline, keep_results: bool) -> None:
    video_id = pipeline.drop(f"spent_{keep_results}.mp4")
    reported = materialized(pipeline.run(video_id, keep_results=keep_results), "final_video")
    assert reported["endpoint_seconds"] > 0
    assert reported["estimated_cost_usd"] == pytest.approx(reported["endpoint_seconds"] * 1.408 / 3600, abs=1e-6)
    page = pipeline.storage.read(VideoKeys(video_id).finals[1]).decode()
    assert "s on ml.g5.xlarge, about 0.00" in page
    assert "USD (1.408 USD an hour in us-east-1, 2025-12)" in page


@pytest.mark.usefixtures("deployed")
def test_what_it_cost_is_told_again_when_nothing_else_tells_it_any_more(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("forgotten.mp4")
    first, again = (pipeline.run(video_id, keep_results=False) for _ in range(2))
    assert not [entry for entry in pipeline.storage.list(VideoKeys(video_id).prefix) if "/receipts/" in entry.key]
    costs = [materialized(result, "final_video")["estimated_cost_usd"] for result in (first, again)]
    assert costs[0] == costs[1]


def test_what_a_local_endpoint_made_costs_nothing(pipeline: TestPipeline) -> None:
    reported = materialized(pipeline.run(pipeline.drop("local.mp4")), "final_video")
    assert reported["endpoint_seconds"] > 0
    assert "estimated_cost_usd" not in reported


def test_links_lead_to_the_gallery_where_there_is_one(pipeline: TestPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    video_id = pipeline.drop("linked.mp4")
    alone = materialized(pipeline.run(video_id), "final_video")
    monkeypatch.setenv("SLOWMO_GALLERY_URL", "http://gallery.example:3001/")
    beside = materialized(pipeline.run(video_id), "final_video")

    assert alone["video"] == alone["path"] == beside["path"] == str(pipeline.final_path(video_id))
    assert beside["video"] == f"http://gallery.example:3001/final/{video_id}.mp4"
    assert beside["report"] == f"http://gallery.example:3001/final/{video_id}.html"


def test_the_report_names_what_the_video_was_made_from(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("report.mp4")
    assert pipeline.run(video_id).success
    page = pipeline.storage.read(VideoKeys(video_id).finals[1]).decode()
    for fact in ("uploads/report.mp4", "fade-1", "6 in, 24 out", "All are the defaults.", "slowmo run report.mp4<"):
        assert fact in page


def test_the_report_links_to_the_video_and_tells_what_makes_it_again(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("a <b>.mp4")
    assert pipeline.run(video_id, slowdown=2, keep_results=False, max_frames=99).success
    keys = VideoKeys(video_id)
    page = pipeline.storage.read(keys.finals[1]).decode()

    assert f'<a href="{PurePosixPath(keys.final(".mp4")).name}">' in page
    assert "slowmo run &#39;a &lt;b&gt;.mp4&#39; --slowdown 2 --no-keep-results --limit max_frames=99<" in page
    assert "<b>" not in page
    assert not re.search(r"(src|href)=.(https?:)?//", page), "it asks nobody for anything"


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {found.check_name: found.passed for found in result.get_asset_check_evaluations()}


def test_checks_pass_on_a_good_video(pipeline: TestPipeline) -> None:
    result = pipeline.run(pipeline.drop("checked.mp4", frames=12))
    assert _checks(result) == {
        "upload_decodes": True,
        "frame_count_and_duration": True,
        "originals_in_place": True,
        "made_by_served_model": True,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"originals": "replace"},
        {"originals": "replace", "slowdown": "5/2", "frame_rate": 60},
        {"speed": "0.1-0.3:1/4", "ease": "0.1"},
        {"speed": "f2-f6:1/3", "ease": "0.05", "originals": "replace"},
        {"from": "f2", "to": "0.4"},
    ],
    ids=str,
)
def test_checks_pass_whatever_the_time_line(pipeline: TestPipeline, settings: dict[str, Any]) -> None:
    video_id = pipeline.drop("time_line.mp4", frames=12)
    result = pipeline.run(video_id, cuts="off", **settings)

    assert result.success
    assert set(_checks(result).values()) == {True}
    assert len(pipeline.final_numbers(video_id)) == materialized(result, "frame_chunks")["output_frames"]


def test_checks_notice_a_final_video_that_lacks_frames(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("short.mp4")
    assert pipeline.run(video_id).success
    write_clip(pipeline.final_path(video_id), grey_frames(6), rate=Fraction(25))
    assert _checks(pipeline.run(video_id)) == {
        "upload_decodes": True,
        "frame_count_and_duration": False,
        "originals_in_place": False,
        "made_by_served_model": True,
    }


def test_the_same_pipeline_runs_over_s3(s3_url: str, tmp_path: Path) -> None:
    with fade_pipeline(tmp_path, storage_url=s3_url) as pipeline:
        video_id = pipeline.drop("in_a_bucket.mp4", frames=6)
        result = pipeline.run(video_id, codec="ffv1")
        assert result.success
        assert pipeline.final_numbers(video_id, ".mkv")[::4] == [0, 1, 2, 3, 4, 5]
        told = materialized(result, "final_video")
    assert [told[name] for name in ("video", "report")] == [
        f"https://console.aws.amazon.com/s3/object/{s3_url.removeprefix('s3://').replace('/', '?prefix=', 1)}/{key}"
        for key in (VideoKeys(video_id).final(".mkv"), VideoKeys(video_id).finals[1])
    ]
    assert not [value for value in told.values() if str(value).startswith("s3://")]
