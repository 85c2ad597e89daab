"""What the launchpad takes: held against Dagster's own validation, and against the video that becomes of it."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from slowmo_pipeline.defs.assets import RawVideoConfig
from slowmo_pipeline.settings import FIELDS, meaning
from slowmo_pipeline_tests.support.dagster_ui import DagsterUi, dagster_ui, launching_pipeline
from slowmo_pipeline_tests.support.pipeline import TestPipeline


def config(**settings: Any) -> dict[str, Any]:
    return {"ops": {"raw_video": {"config": settings}}}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with launching_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def ui(pipeline: TestPipeline) -> Iterator[DagsterUi]:
    with dagster_ui(pipeline.instance) as ui:
        yield ui


@pytest.mark.parametrize("value", [4, 2.5, "4", "5/2", None])
@pytest.mark.parametrize("setting", ["slowdown", "frame_rate"])
def test_an_exact_number_may_be_a_number_or_a_text(ui: DagsterUi, setting: str, value: object) -> None:
    assert ui.problems(config(**{setting: value})) == []


@pytest.mark.parametrize(("slowdown", "frames"), [(3, 18), (2.5, 15), ("7/2", 21)])
def test_a_run_takes_it_for_what_it_says(pipeline: TestPipeline, ui: DagsterUi, slowdown: Any, frames: int) -> None:
    video_id = pipeline.drop(f"{type(slowdown).__name__}.mp4", frames=6)
    assert ui.launch("slow_motion", video_id, config=config(slowdown=slowdown)).is_success
    assert len(pipeline.final_numbers(video_id)) == frames


def test_a_part_and_its_speeds_are_taken(pipeline: TestPipeline, ui: DagsterUi) -> None:
    video_id = pipeline.drop("part.mp4", frames=9)
    settings = config(**{"from": "f1", "to": 0.28, "speed": "f2-f4:1/2", "cuts": "off", "longest_gap": 3, "ease": 0})
    assert ui.problems(settings) == []
    assert ui.launch("slow_motion", video_id, config=settings).is_success
    assert [pipeline.final_numbers(video_id)[output] for output in (0, 1, 3, 5, 6)] == [1, 2, 3, 4, 5]
    assert len(pipeline.final_numbers(video_id)) == 8


@pytest.mark.parametrize("value", [True, [4], {"is": 4}, 0.5])
def test_what_is_no_such_number_fails_with_what_is_allowed(pipeline: TestPipeline, ui: DagsterUi, value: Any) -> None:
    run = ui.launch("slow_motion", pipeline.drop("odd.mp4"), config=config(slowdown=value))
    assert ui.failure_of(run).startswith("The run's settings: slowdown = ")


def test_other_settings_keep_their_types(ui: DagsterUi) -> None:
    assert len(ui.problems(config(crf="low", keep_results="no", codec=264))) == 3


def test_all_defaults_can_be_written_and_are_taken(ui: DagsterUi) -> None:
    """Dagster writes none that is unset, as all settings are: what was said last holds."""
    written = yaml.safe_load(ui.scaffold("slow_motion"))
    assert set(written["ops"]) == {"interpolated_chunks"}
    assert ui.problems(written) == []


def test_each_setting_says_what_it_means() -> None:
    for name, field in FIELDS.items():
        assert RawVideoConfig.model_fields[name].description == meaning(field)


def test_a_backfill_takes_numbers(pipeline: TestPipeline, ui: DagsterUi) -> None:
    video_id = pipeline.drop("backfilled.mp4", frames=6)
    ui.backfill([video_id], config=config(slowdown=2.5))
    assert len(pipeline.final_numbers(video_id)) == 15
