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

import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus

from slowmo_pipeline.keys import video_id_of
from slowmo_pipeline.serving.owner import live_endpoint
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.local_server import eventually
from slowmo_pipeline_tests.media import cut_off
from slowmo_pipeline_tests.pipeline import LIMITS
from slowmo_pipeline_tests.processes import Command, Fingerprint, Processes, drop, free_port, make_clip

FRAMES = 8
TICK_SECONDS = 10
GOOD = ("first.mp4", "second.mp4", "growing.mp4")
STEPS = ("raw_video", "frame_chunks", "interpolated_chunks", "final_video")

LAUNCH = """mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { ... on LaunchBackfillSuccess { backfillId } }
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
        runs = [run for run in self.processes.runs() if run.tags["dagster/partition"] == video_id]
        return [run for run in reversed(runs) if "dagster/sensor_name" in run.tags]

    def jobs(self, name: str) -> list[tuple[str, DagsterRunStatus]]:
        """The jobs that ran for an upload, the oldest first, and how they stand."""
        return [(run.job_name, run.status) for run in self.runs(name)]

    def final(self, name: str) -> Path:
        """Where the final video of an upload lies."""
        return self.processes.storage / "final" / f"{video_id_of(f'uploads/{name}')}.mp4"

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
class Changed:
    """What stood before some uploads were changed."""

    session: Session
    finals: dict[str, Fingerprint]
    results: dict[str, Fingerprint]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    port = free_port()
    with Processes(tmp_path_factory.mktemp("up")) as processes:
        yield Session(processes, processes.up(port), port)


@pytest.fixture(scope="module")
def dropped(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Dropped:
    """The good uploads, one of them growing for three ticks, a damaged one, and a file that is no video."""
    folder, uploads = tmp_path_factory.mktemp("clips"), session.processes.uploads
    first = make_clip(folder / "first.mp4", frames=FRAMES)
    drop(first, uploads / "first.mp4")
    drop(make_clip(folder / "second.mp4", frames=FRAMES, speed=3), uploads / "second.mp4")
    drop(cut_off(make_clip(folder / "damaged.mp4"), keep=0.3), uploads / "damaged.mp4")
    (uploads / "notes.txt").write_text("no video")
    grow(make_clip(folder / "growing.mp4", frames=FRAMES, speed=4), uploads / "growing.mp4", seconds=3 * TICK_SECONDS)
    complete = time.time()
    eventually(lambda: all(session.final(name).exists() for name in GOOD))
    eventually(lambda: all(run.is_finished for run in session.processes.runs()))
    return Dropped(session, complete)


@pytest.fixture(scope="module")
def backfill(dropped: Dropped) -> Backfill:
    """Dagster notices its end a minute after its last run: what comes in between uses the time."""
    videos = [video_id_of(f"uploads/{name}") for name in GOOD]
    params = {"partitionNames": videos, "assetSelection": [{"path": [step]} for step in STEPS]}
    launched = dropped.session.ask(LAUNCH, params=params)["launchPartitionBackfill"]
    backfill = Backfill(dropped.session, launched["backfillId"])
    eventually(lambda: sum(run.is_finished for run in backfill.runs) == len(GOOD))
    return backfill


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
    eventually(lambda: session.jobs("second.mp4")[3:] == [("finish_video", DagsterRunStatus.SUCCESS)])
    return before


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
    [first, *_] = dropped.session.runs("growing.mp4")
    assert dropped.session.processes.created(first) > dropped.complete


def test_a_damaged_file_fails_with_its_reason_and_harms_no_other(dropped: Dropped) -> None:
    assert dropped.session.jobs("damaged.mp4") == [("slow_motion", DagsterRunStatus.FAILURE)]
    [run] = dropped.session.runs("damaged.mp4")
    assert "damaged.mp4" in dropped.session.processes.failure_of(run)


def test_a_file_that_is_no_video_is_left_alone(dropped: Dropped) -> None:
    videos = {run.tags["dagster/partition"] for run in dropped.session.processes.runs()}
    assert len(videos) == len([*GOOD, "damaged.mp4"])


def test_a_killed_endpoint_is_started_again(session: Session) -> None:
    before = live_endpoint(session.processes.home.endpoint)
    assert before is not None
    psutil.Process(before.pid).kill()
    after = eventually(lambda: live_endpoint(session.processes.home.endpoint))
    assert after.pid != before.pid


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


def test_sigterm_ends_it_with_status_0_and_leaves_no_process(session: Session) -> None:
    session.command.process.send_signal(signal.SIGTERM)
    assert session.command.process.wait() == 0
    eventually(lambda: not session.processes.alive())
