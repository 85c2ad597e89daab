"""One session of `slowmo up`: real endpoint, daemon and web server; files are dropped, and nobody touches anything."""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster import DagsterEventType, DagsterRun, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.machine.dead_runs import close_dead_runs
from slowmo_pipeline.storage.keys import video_id_of
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.media import cut_off
from slowmo_pipeline_tests.support.pipeline import LIMITS
from slowmo_pipeline_tests.support.processes import (
    Command,
    Fingerprint,
    Processes,
    command_line,
    drop,
    free_port,
    make_clip,
)

FRAMES = 8
TICK_SECONDS = 10
PLACES = 2
"""Runs at once, in dagster.yaml."""
GOOD = ("first.mp4", "second.mp4")
GONE_SERVER = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": "/no/such/server"})}
TRAPS = ("gql", "graphql", "grpc", "queue", "sqlalchemy", "yaml")
"""Modules of a user's own, with names that Dagster or this program import."""
STEPS = ("raw_video", "frame_chunks", "interpolated_chunks", "final_video")

LAUNCH = """mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { ... on LaunchBackfillSuccess { backfillId } }
}"""
LAUNCH_RUN = """mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) { ... on LaunchRunSuccess { run { runId } } }
}"""
REPEAT = """mutation Repeat($params: ReexecutionParams!) {
  launchPipelineReexecution(reexecutionParams: $params) { ... on LaunchRunSuccess { run { runId } } }
}"""
STATUS = """query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}"""


@dataclass(frozen=True)
class Session:
    """The running `slowmo up`."""

    processes: Processes
    command: Command
    port: int

    def runs(self, name: str) -> Sequence[DagsterRun]:
        """The runs of an upload that the sensors started, the oldest first."""
        video_id = video_id_of(f"uploads/{name}")
        runs = [run for run in self.processes.runs() if run.tags.get("dagster/partition") == video_id]
        return [run for run in reversed(runs) if "dagster/sensor_name" in run.tags and run.parent_run_id is None]

    def jobs(self, name: str) -> list[tuple[str, DagsterRunStatus]]:
        """The jobs that ran for an upload, the oldest first, and how they stand."""
        return [(run.job_name, run.status) for run in self.runs(name)]

    def final(self, name: str) -> Path:
        """Where the final video of an upload lies."""
        return self.processes.storage / "final" / f"{video_id_of(f'uploads/{name}')}.mp4"

    def launch(self, job: str, name: str) -> str:
        """Launch a run of an upload by hand; its id."""
        selector = {
            "repositoryLocationName": "slowmo_pipeline",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        tags = [{"key": "dagster/partition", "value": video_id_of(f"uploads/{name}")}]
        params = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
        return str(self.ask(LAUNCH_RUN, params=params)["launchPipelineExecution"]["run"]["runId"])

    def repeat(self, run_id: str) -> str:
        """Launch a run again, as the UI's Re-execute does; the id of the new one."""
        params = {"parentRunId": run_id, "strategy": "ALL_STEPS"}
        return str(self.ask(REPEAT, params=params)["launchPipelineReexecution"]["run"]["runId"])

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask Dagster's GraphQL; the answer's data."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert "errors" not in answer, answer
        return answer["data"]


@dataclass(frozen=True)
class Dropped:
    """What was dropped, and what became of it."""

    session: Session
    complete: float
    """Seconds since the epoch at which the growing file was whole."""


@dataclass(frozen=True)
class Backfill:
    """A backfill of all assets over the good uploads; its runs have ended."""

    session: Session
    name: str

    @property
    def runs(self) -> list[DagsterRun]:
        return [run for run in self.session.processes.runs() if run.tags.get("dagster/backfill") == self.name]

    @property
    def status(self) -> str:
        return str(self.session.ask(STATUS, id=self.name)["partitionBackfillOrError"]["status"])


@dataclass(frozen=True)
class FullQueue:
    """What stood in the queue until a place became free."""

    session: Session
    repeated: str
    """A finishing run whose parent's server is gone."""
    by_hand: str
    """A run that begins a video."""
    backfill: Backfill

    def launched(self, run_id: str) -> float:
        """When a run left the queue."""
        with dg.DagsterInstance.from_config(str(self.session.processes.home.dagster)) as instance:
            [launch] = instance.all_logs(run_id, of_type=DagsterEventType.RUN_STARTING)
        return launch.timestamp


@dataclass(frozen=True)
class Changed:
    """What stood before some uploads were changed."""

    session: Session
    finals: dict[str, Fingerprint]
    results: dict[str, Fingerprint]


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with modules that note when they are imported."""
    folder = tmp_path_factory.mktemp("traps")
    for name in TRAPS:
        (folder / f"{name}.py").write_text("open(__file__ + '.imported', 'w').close()")
    return folder


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, traps: Path) -> Iterator[Session]:
    """Started among the traps, in a home whose name is odd."""
    port = free_port()
    with Processes(tmp_path_factory.mktemp("50% ü #1"), working_directory=traps) as processes:
        yield Session(processes, processes.up(port), port)


@pytest.fixture(scope="module")
def dropped(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Dropped:
    """The good uploads, the second growing for three ticks, a damaged one, and a file that is no video.

    The worker is stopped until the first runs of both have ended: their results do not come at once.
    """
    folder, uploads = tmp_path_factory.mktemp("clips"), session.processes.uploads
    [worker] = [
        process for process in session.processes.alive() if "serving.local.worker_main" in command_line(process)
    ]
    worker.suspend()
    drop(make_clip(folder / "first.mp4", frames=FRAMES), uploads / "first.mp4")
    drop(cut_off(make_clip(folder / "damaged.mp4"), keep=0.3), uploads / "damaged.mp4")
    (uploads / "notes.txt").write_text("no video")
    grow(make_clip(folder / "second.mp4", frames=FRAMES, speed=3), uploads / "second.mp4", seconds=3 * TICK_SECONDS)
    complete = time.time()
    begun = [("slow_motion", DagsterRunStatus.SUCCESS)]
    eventually(lambda: all(session.jobs(name) == begun for name in GOOD))
    worker.resume()
    eventually(lambda: all(session.final(name).exists() for name in GOOD))
    eventually(lambda: all(run.is_finished for run in session.processes.runs()))
    return Dropped(session, complete)


@pytest.fixture(scope="module")
def full_queue(dropped: Dropped) -> FullQueue:
    """A backfill of the good uploads, then a run by hand, then a repeated one, while other runs hold both places."""
    session, home = dropped.session, dropped.session.processes.home
    [_, finished] = session.runs("second.mp4")
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        instance.add_run_tags(finished.run_id, GONE_SERVER)
        holding = [create_run_for_test(instance, status=DagsterRunStatus.STARTED) for _ in range(PLACES)]
        backfill = launch_backfill(session)
        eventually(lambda: len(backfill.runs) == len(GOOD))
        by_hand, repeated = session.launch("slow_motion", "damaged.mp4"), session.repeat(finished.run_id)
        # One place at first: the runs of two are launched at the same moment.
        instance.report_run_canceled(holding.pop())
        # `slowmo up` looks every two seconds; here at every moment of the launch.
        eventually(lambda: close_dead_runs(instance, home) or run_of(instance, repeated).is_finished)
        for run in holding:
            instance.report_run_canceled(run)
    eventually(lambda: sum(run.is_finished for run in backfill.runs) == len(GOOD))
    return FullQueue(session, repeated, by_hand, backfill)


@pytest.fixture(scope="module")
def backfill(full_queue: FullQueue) -> Backfill:
    """Dagster notices its end a minute after its last run: what comes in between uses the time."""
    return full_queue.backfill


@pytest.fixture(scope="module")
def killed_command(backfill: Backfill, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A `slowmo run` of beside.mp4, killed in the middle."""
    processes = backfill.session.processes
    command = processes.start("run", str(make_clip(tmp_path_factory.mktemp("beside") / "beside.mp4", frames=40)))
    eventually(lambda: list(processes.storage.glob("videos/beside-*/current.json")))
    command.process.kill()
    return backfill.session


@pytest.fixture(scope="module")
def changed(killed_command: Session, tmp_path_factory: pytest.TempPathFactory) -> Changed:
    """The first upload touched, the second replaced by a longer one."""
    session = killed_command
    before = Changed(session, dict(session.processes.finals()), dict(session.processes.results()))
    os.utime(session.processes.uploads / "first.mp4")
    longer = make_clip(tmp_path_factory.mktemp("longer") / "second.mp4", frames=FRAMES + 4)
    drop(longer, session.processes.uploads / "second.mp4")
    eventually(lambda: session.jobs("first.mp4")[2:] == [("slow_motion", DagsterRunStatus.SUCCESS)])
    second = session.final("second.mp4")
    eventually(lambda: Fingerprint.of(second) != before.finals[f"final/{second.name}"])
    eventually(lambda: all(run.is_finished for run in session.processes.runs()))
    return before


def launch_backfill(session: Session) -> Backfill:
    """A backfill as the UI launches it."""
    videos = [video_id_of(f"uploads/{name}") for name in GOOD]
    params = {"partitionNames": videos, "assetSelection": [{"path": [step]} for step in STEPS]}
    return Backfill(session, session.ask(LAUNCH, params=params)["launchPartitionBackfill"]["backfillId"])


def run_of(instance: dg.DagsterInstance, run_id: str) -> DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def grow(clip: Path, target: Path, *, seconds: float) -> None:
    """Copy a file slowly, never resting for two ticks."""
    content = clip.read_bytes()
    steps = round(seconds)
    with target.open("wb", buffering=0) as file:
        for step in range(steps):
            file.write(content[len(content) * step // steps : len(content) * (step + 1) // steps])
            time.sleep(1)


def test_dropped_files_become_slow_motion_by_themselves(dropped: Dropped) -> None:
    for name in GOOD:
        assert probe(dropped.session.final(name), limits=LIMITS).frame_count == 4 * FRAMES


def test_one_sensor_starts_a_video_and_the_other_finishes_it(dropped: Dropped) -> None:
    done = [("slow_motion", DagsterRunStatus.SUCCESS), ("finish_video", DagsterRunStatus.SUCCESS)]
    assert [dropped.session.jobs(name) for name in GOOD] == [done] * len(GOOD)


def test_a_growing_file_waits_until_it_is_whole(dropped: Dropped) -> None:
    [first, *_] = dropped.session.runs("second.mp4")
    assert dropped.session.processes.created(first) > dropped.complete


def test_a_damaged_file_fails_with_its_reason_and_harms_no_other(dropped: Dropped) -> None:
    assert dropped.session.jobs("damaged.mp4") == [("slow_motion", DagsterRunStatus.FAILURE)]
    [run] = dropped.session.runs("damaged.mp4")
    assert "damaged.mp4" in dropped.session.processes.failure_of(run)


def test_a_file_that_is_no_video_is_left_alone(dropped: Dropped) -> None:
    videos = {run.tags.get("dagster/partition") for run in dropped.session.processes.runs()} - {None}
    assert len(videos) == len([*GOOD, "damaged.mp4"])


def test_a_killed_endpoint_is_started_again(session: Session) -> None:
    before = live_endpoint(session.processes.home.endpoint)
    assert before is not None
    psutil.Process(before.pid).kill()
    after = eventually(lambda: live_endpoint(session.processes.home.endpoint))
    assert after.pid != before.pid


def test_a_run_that_is_repeated_after_its_server_was_gone_succeeds(full_queue: FullQueue) -> None:
    [run] = [run for run in full_queue.session.processes.runs() if run.run_id == full_queue.repeated]
    assert run.status == DagsterRunStatus.SUCCESS


def test_what_finishes_a_video_goes_before_what_begins_one_and_backfills_last(full_queue: FullQueue) -> None:
    """First come, first served it would be the backfill's runs, then the one by hand, and the repeated one at the end.

    Two are launched at one moment: which of the two is noted first is chance.
    """
    runs = [full_queue.repeated, full_queue.by_hand, *(run.run_id for run in full_queue.backfill.runs)]
    launched = sorted(runs, key=full_queue.launched)
    assert launched.index(full_queue.repeated) <= 1
    assert launched.index(full_queue.by_hand) <= 2


def test_a_changed_upload_is_made_again(changed: Changed) -> None:
    final = changed.session.final("second.mp4")
    assert Fingerprint.of(final) != changed.finals[f"final/{final.name}"]
    assert probe(final, limits=LIMITS).frame_count == 4 * (FRAMES + 4)


def test_touching_an_upload_computes_nothing(changed: Changed) -> None:
    final = changed.session.final("first.mp4")
    assert Fingerprint.of(final) == changed.finals[f"final/{final.name}"]
    assert changed.results.items() <= changed.session.processes.results().items()


def test_a_killed_command_is_finished_by_the_sensors(killed_command: Session) -> None:
    processes = killed_command.processes
    eventually(lambda: list((processes.storage / "final").glob("beside-*.mp4")))
    eventually(lambda: all(run.is_finished for run in processes.runs()))


def test_a_backfill_of_all_assets_succeeds_with_one_run_a_video(backfill: Backfill) -> None:
    eventually(lambda: backfill.status.startswith("COMPLETED"))
    assert backfill.status == "COMPLETED_SUCCESS"
    videos = sorted(run.tags["dagster/partition"] for run in backfill.runs)
    assert videos == sorted(video_id_of(f"uploads/{name}") for name in GOOD)


def test_nothing_was_imported_from_where_it_was_started(killed_command: Session, traps: Path) -> None:
    assert sorted(path.name for path in traps.iterdir()) == sorted(f"{name}.py" for name in TRAPS)


def test_sigterm_ends_it_with_status_0_and_leaves_no_process(session: Session) -> None:
    session.command.process.send_signal(signal.SIGTERM)
    assert session.command.process.wait() == 0
    eventually(lambda: not session.processes.alive())
