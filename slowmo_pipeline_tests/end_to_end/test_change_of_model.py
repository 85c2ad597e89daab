"""Another model is deployed while videos wait for their results: real endpoints, runs as the sensor asks for them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.endpoint.client import AsyncEndpoint
from slowmo_pipeline.endpoint.local import live_endpoint, use_endpoint
from slowmo_pipeline.endpoint.record import served
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import EndpointError, StorageError
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.steps.pending_marker import read_pending
from slowmo_pipeline.steps.records import read_active_versions, read_final
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import PlanKeys, VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support import interpolators
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, TestPipeline, failure_message

FRAMES = 6
CHUNKS = 3
OLD, NEXT = (f"flow={interpolators.__name__}:{name}" for name in ("Gated", "GatedNext"))

Turn = list[tuple[str, bool]]
"""The jobs that the sensor started, and whether they succeeded."""


@dataclass
class Stage:
    """One storage, and homes over it, of which one is awake at a time."""

    folder: Path
    patch: pytest.MonkeyPatch
    submitted: list[str] = field(default_factory=list)
    """Keys of the results that chunks were submitted for."""
    instances: dict[str, dg.DagsterInstance] = field(default_factory=dict)
    """Of each home: it remembers which runs were asked for."""

    @property
    def storage(self) -> Storage:
        return open_storage(str(self.folder / "storage"))

    @property
    def gate(self) -> Path:
        """While it is not there, every worker is at work."""
        return self.folder / "gate"

    @contextmanager
    def home(self, endpoint: str, *, name: str = "home") -> Iterator["AwakeHome"]:
        """A home that serves that endpoint; its server has ended when this does."""
        home = Home(self.folder / name)
        self.patch.setenv("SLOWMO_HOME", str(home.root))
        instance = self.instances.setdefault(name, dg.DagsterInstance.ephemeral())
        with use_endpoint(home.endpoint, self.storage.url, workers=1, endpoints=[endpoint]):
            yield AwakeHome(TestPipeline(instance, self.storage))
        eventually(lambda: live_endpoint(home.endpoint) is None)


@dataclass(frozen=True)
class AwakeHome:
    """A home whose endpoint serves and whose daemon runs what the completion sensor asks for."""

    pipeline: TestPipeline

    def submit(self) -> str:
        """Drop a clip and submit its chunks; its video id."""
        video_id = self.pipeline.drop("clip.mp4", frames=FRAMES)
        assert self.pipeline.run(video_id, config=NOT_WAITING).success
        return video_id

    def results(self) -> list[dg.ExecuteInProcessResult]:
        """A tick, and what it starts: nothing for a run key that this instance has met."""
        instance = self.pipeline.instance
        made = []
        with (
            dg.build_sensor_context(
                definitions=defs, instance=instance, resources=dict(defs.resources or {})
            ) as context,
            partition_loading_context(dynamic_partitions_store=instance),
        ):
            data: Any = defs.resolve_sensor_def("completed_outputs").evaluate_tick(context)
        for request in data.run_requests or []:
            key = {"dagster/run_key": request.run_key}
            if not instance.get_runs(dg.RunsFilter(tags=key)):
                job = defs.resolve_job_def(request.job_name)
                made.append(
                    job.execute_in_process(
                        instance=instance,
                        partition_key=request.partition_key,
                        run_config=request.run_config,
                        tags=key,
                        raise_on_error=False,
                    )
                )
        return made

    def turn(self) -> Turn:
        """The same, in short."""
        return [(result.dagster_run.job_name, result.success) for result in self.results()]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path, monkeypatch)
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    monkeypatch.setenv("SLOWMO_STORAGE", stage.storage.url)
    monkeypatch.setenv("SLOWMO_TEST_GATE", str(stage.gate))
    submit = AsyncEndpoint.submit

    def noted(endpoint: AsyncEndpoint, **request: Any) -> Any:
        stage.submitted.append(request["result_key"])
        return submit(endpoint, **request)

    monkeypatch.setattr(AsyncEndpoint, "submit", noted)
    return stage


def plan_keys(storage: Storage, video_id: str) -> PlanKeys:
    current = read_active_versions(storage, video_id)
    assert current
    return VideoKeys(video_id).plan(current.plan)


def results_there(storage: Storage, video_id: str, model_id: str) -> bool:
    return len([*storage.list(plan_keys(storage, video_id).model(model_id).results)]) == CHUNKS


def made_by(storage: Storage, video_id: str) -> str | None:
    """The model that a finished video was made with."""
    final = read_final(storage, video_id)
    return str(final.recipe["model_id"]) if final else None


def test_videos_under_way_go_on_with_the_model_that_replaces_theirs(stage: Stage) -> None:
    with stage.home(OLD) as home:
        video_id = home.submit()
        assert home.turn() == []
    with stage.home(NEXT) as home:
        assert [home.turn(), home.turn()] == [[("change_model", True)], []]
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-2"))
        assert home.turn() == [("finish_video", True)]
        assert made_by(stage.storage, video_id) == "fade-2"
        assert read_pending(stage.storage, video_id) is None
        assert home.turn() == []
    assert len(stage.submitted) == 2 * CHUNKS


def test_a_change_of_the_model_needs_no_upload_and_the_final_video_says_that_it_does(stage: Stage) -> None:
    with stage.home(OLD) as home:
        video_id = home.submit()
    stage.storage.delete(["uploads/clip.mp4"])
    with stage.home(NEXT) as home:
        assert home.turn() == [("change_model", True)]
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-2"))
        [result] = home.results()
        assert "The upload uploads/clip.mp4 is gone" in failure_message(result)
        assert home.turn() == []


def test_what_the_old_model_has_done_is_finished_with_it(stage: Stage) -> None:
    stage.gate.touch()
    with stage.home(OLD) as home:
        video_id = home.submit()
        eventually(lambda: results_there(stage.storage, video_id, "fade-1"))
    with stage.home(NEXT) as home:
        assert home.turn() == [("finish_video", True)]
        assert made_by(stage.storage, video_id) == "fade-1"
    assert len(stage.submitted) == CHUNKS


def test_what_the_new_model_made_of_the_old_ones_queue_is_not_mixed_in(stage: Stage) -> None:
    """An endpoint that is changed in place goes on with its queue, and writes where the old one would have."""
    with stage.home(OLD) as home:
        video_id = home.submit()
    with stage.home(NEXT) as home:
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-1"))
        [result] = home.results()
        assert "was made by fade-2, not by fade-1. 3 of 3 results" in failure_message(result)
        assert home.turn() == [("change_model", True)]
        eventually(lambda: results_there(stage.storage, video_id, "fade-2"))
        home.turn()
        assert made_by(stage.storage, video_id) == "fade-2"


def test_a_change_that_failed_before_it_began_comes_again_once_the_chunks_have_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage.home(OLD) as home:
        video_id = home.submit()
        keys = plan_keys(stage.storage, video_id)
    with stage.home(NEXT) as home:
        with monkeypatch.context() as patch:
            patch.setattr("slowmo_pipeline.defs.assets.cut", out_of_room)
            assert [home.turn(), home.turn()] == [[("change_model", False)], []]
        stage.storage.delete(keys.model("fade-1").receipt(chunk) for chunk in range(CHUNKS))
        assert home.turn() == [("change_model", True)]
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-2"))
        assert home.turn() == [("finish_video", True)]


def test_a_way_back_to_a_model_whose_results_are_another_s_submits_all_of_them_at_once(stage: Stage) -> None:
    with stage.home(OLD) as home:
        video_id = home.submit()
        keys = plan_keys(stage.storage, video_id)
        chunks = [stage.storage.read(keys.chunk(index)) for index in range(CHUNKS)]
    with stage.home(NEXT) as home:
        home.turn()
    stage.gate.touch()
    for index, chunk in enumerate(chunks):
        stage.storage.write(keys.model("fade-1").result(index), handle(chunk, interpolators.GatedNext()))
    stage.gate.unlink()
    with stage.home(OLD) as home:
        assert [home.turn(), home.turn()] == [[("change_model", False)], [("finish_video", True)]]
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-1"))
        assert home.turn() == [("finish_video", True)]
    assert made_by(stage.storage, video_id) == "fade-1"


def out_of_room(*_: object, **__: object) -> None:
    raise StorageError("The disk is full.")


def test_two_homes_with_models_of_their_own_take_turns_for_a_while_and_finish_the_video(stage: Stage) -> None:
    turns: list[Turn] = []
    with stage.home(OLD, name="first") as home:
        video_id = home.submit()
    for model in (NEXT, OLD) * 2:
        with stage.home(model, name="first" if model == OLD else "second") as home:
            home.pipeline.add("uploads/clip.mp4")
            turns += [home.turn(), home.turn()]
    assert [each for turn in turns for each in turn] == [("change_model", True)] * 2
    assert len(stage.submitted) == 2 * CHUNKS, "once for each model"

    stage.gate.touch()
    with stage.home(OLD, name="first") as home:
        eventually(lambda: results_there(stage.storage, video_id, "fade-1"))
    with stage.home(NEXT, name="second") as home:
        assert home.turn() == [("finish_video", True)], "either home may finish it, whoever serves"
    with stage.home(OLD, name="first") as home:
        assert home.turn() == []
    assert made_by(stage.storage, video_id) == "fade-1"


def test_a_second_live_server_with_another_model_is_refused(stage: Stage) -> None:
    with stage.home(OLD, name="first") as first:
        address = live_endpoint(stage.folder / "first" / "endpoint")
        assert address
        with pytest.raises(EndpointError) as refused, stage.home(NEXT, name="second"):
            pass
        assert (
            f"flow is fade-1 of another local server, which lives at {address.url}; this one would run fade-2"
            in str(refused.value)
        )
        assert served(stage.storage, "flow").model_id == "fade-1"
        stage.patch.setenv("SLOWMO_HOME", str(stage.folder / "first"))
        assert first.turn() == []


def test_a_second_live_server_with_the_same_model_shares_the_storage(stage: Stage) -> None:
    with stage.home(OLD, name="first") as first:
        video_id = first.submit()
        with stage.home(OLD, name="second") as second:
            second.pipeline.add("uploads/clip.mp4")
            assert second.turn() == [], "the first one's server holds it"
        stage.patch.setenv("SLOWMO_HOME", str(stage.folder / "first"))
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-1"))
        assert first.turn() == [("finish_video", True)]
    assert len(stage.submitted) == CHUNKS


def test_what_was_sent_to_a_home_that_was_lost_is_sent_again_once(stage: Stage) -> None:
    with stage.home(OLD, name="lost") as home:
        video_id = home.submit()
    shutil.rmtree(stage.folder / "lost")
    with stage.home(OLD, name="next") as home:
        home.pipeline.add("uploads/clip.mp4")
        assert [home.turn(), home.turn()] == [[("finish_video", True)], []]
        stage.gate.touch()
        eventually(lambda: results_there(stage.storage, video_id, "fade-1"))
        assert home.turn() == [("finish_video", True)]
    assert len(stage.submitted) == 2 * CHUNKS
