"""Videos that an older model made: found in Dagster and on the command line, and made anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import DagsterRunStatus, RunsFilter

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.environment import Home
from slowmo_pipeline.steps.video_status import maker
from slowmo_pipeline_tests.support.daemon import daemon
from slowmo_pipeline_tests.support.dagster_ui import dagster_ui
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, TestPipeline, fade_pipeline

CHECK = "made_by_served_model"


@dataclass
class Archive:
    """A home in which a model was replaced: what it made, and what it was about to."""

    folder: Path
    finished: str = ""
    submitted: str = ""

    @contextmanager
    def serving(self, model: str) -> Iterator[TestPipeline]:
        """While a model of the interpolators is served there; its server has ended when this does."""
        with fade_pipeline(self.folder, kept=True, model=model) as pipeline:
            yield pipeline
        eventually(lambda: live_endpoint(Home(self.folder).endpoint) is None)

    def told(self, pipeline: TestPipeline) -> tuple[list[str], list[str]]:
        """Which videos pass the check in Dagster, and which do not, once the sensor has looked."""
        with daemon("served_models") as sensor, dagster_ui(pipeline.instance) as ui:
            sensor.tick()
            for run in pipeline.instance.get_runs(
                RunsFilter(job_name="check_models", statuses=[DagsterRunStatus.QUEUED])
            ):
                pipeline.instance.delete_run(run.run_id)
                job = defs.resolve_job_def("check_models")
                assert job.execute_in_process(instance=pipeline.instance, run_config=run.run_config).success
            found = ui.checks("final_video")[CHECK]["partitionStatuses"]
            return found["succeededPartitions"], found["failedPartitions"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("home"))
    with archive.serving("Fade") as pipeline:
        archive.finished, archive.submitted = pipeline.drop("finished.mp4"), pipeline.drop("submitted.mp4")
        assert pipeline.run(archive.finished).success
        assert pipeline.run(archive.submitted, config=NOT_WAITING).success
        assert archive.told(pipeline) == ([archive.finished], [])
    return archive


def test_the_sensor_tells_the_check_of_them(archive: Archive) -> None:
    with archive.serving("FadeNext") as pipeline:
        assert archive.told(pipeline) == ([], [archive.finished])
        with dagster_ui(pipeline.instance) as ui:
            told = ui.check_of(archive.finished, "final_video", CHECK)["evaluation"]
            filled = ui.partitions("endpoint")["partitionStats"]
    with archive.serving("Fade") as pipeline:
        assert archive.told(pipeline) == ([archive.finished], [])

    assert told["severity"] == "WARN"
    assert told["description"].startswith("It is fade-2 that flow runs now.")
    assert filled == {"numMaterialized": 2, "numFailed": 0, "numPartitions": 2}


def test_status_lists_them_alone(archive: Archive) -> None:
    with archive.serving("Fade"):
        none = slowmo("status", "--outdated")
    with archive.serving("FadeNext"):
        some = slowmo("status", "--outdated")

    assert (none.stdout, none.stderr) == (
        "",
        "No video is outdated.\n",
    )
    assert [line.split()[0] for line in some.stdout.splitlines()] == ["VIDEO", archive.finished]


@pytest.mark.parametrize("arguments", [["clip.mp4"], ["--slowdown", "3"], ["--output", "slow.mp4"]])
def test_their_settings_and_uploads_are_known_already(archive: Archive, arguments: list[str]) -> None:
    done = slowmo("run", "--outdated", *arguments)
    assert done.returncode == 2
    assert "--outdated" in done.stderr


def test_without_any_there_must_be_a_clip() -> None:
    done = slowmo("run")
    assert done.returncode == 2
    assert "Give a video file, or --outdated." in done.stderr


def test_run_makes_them_anew_and_nothing_else(archive: Archive) -> None:
    with archive.serving("FadeNext") as pipeline:
        done = slowmo("run", "--outdated")
        again = slowmo("run", "--outdated")
        made = maker(pipeline.storage, archive.finished)

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{pipeline.final_path(archive.finished)}\n"
    assert made is not None
    assert made.model_id == "fade-2"
    assert not pipeline.final_path(archive.submitted).exists()
    assert (again.returncode, again.stdout) == (0, "")
