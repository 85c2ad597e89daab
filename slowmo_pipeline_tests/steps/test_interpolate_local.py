"""Chunks at a local endpoint, which tells what it holds: real servers, killed and started again."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from slowmo_pipeline.endpoint.client import AsyncEndpoint
from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.endpoint.local_client import held_at
from slowmo_pipeline.steps.interpolate import Interpolated, Interpolation
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import ResultKeys, VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.disks import fill, small_disk
from slowmo_pipeline_tests.support.local_server import GATED, LocalServer, eventually
from slowmo_pipeline_tests.support.notes import Notes
from slowmo_pipeline_tests.support.videos import drop_and_cut

CHUNKS = 4


@dataclass
class Stage:
    """A video of four chunks, and the servers that come and go for it."""

    storage: Storage
    folder: Path
    video_id: str

    @property
    def gate(self) -> Path:
        """While it is not there, the worker is at work."""
        return self.folder / "state.gate"

    @contextmanager
    def server(self, name: str = "state") -> Iterator[LocalServer]:
        with LocalServer(self.folder / name, self.storage, GATED) as server:
            yield server

    @property
    def keys(self) -> ResultKeys:
        current = read_active_plan(self.storage, self.video_id).versions
        return VideoKeys(self.video_id).plan(current.plan).model(current.model_id)

    def run(
        self, *, wait: bool = False, state: str = "state", hear: Callable[[str], None] = lambda note: None
    ) -> Interpolated:
        """One run: whatever it knows, it has from the storage and the server."""

        def connect(name: str) -> AsyncEndpoint:
            address = live_endpoint(self.folder / state)
            assert address
            return AsyncEndpoint(name, self.storage, url=address.url, state=self.folder / state)

        return Interpolation(
            self.storage, connect, read_active_plan(self.storage, self.video_id), max_attempts=3, progress=Notes(hear)
        ).run(wait=wait)


def staged(storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    folder.mkdir()
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    video_id, cut = drop_and_cut(storage)
    assert len(cut.active.plan.chunks) == CHUNKS
    return Stage(storage, folder, video_id)


@pytest.fixture
def stage(folder: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return staged(folder, tmp_path / "states", monkeypatch)


def test_what_a_server_holds_is_not_sent_again_by_whatever_clock(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    with stage.server():
        stage.run()
        monkeypatch.setattr("slowmo_pipeline.steps.chunk_states.time.time", lambda: now() + 10**6)
        assert stage.run() == Interpolated(complete=False, submitted=0, chunks=CHUNKS)


def test_what_a_server_has_lost_is_sent_again_once(stage: Stage) -> None:
    with stage.server() as server:
        stage.run()
        server.kill()
    for path in (stage.folder / "state").glob("requests.sqlite*"):
        path.unlink()
    with stage.server():
        assert [stage.run().submitted for _ in range(2)] == [CHUNKS, 0]
        stage.gate.touch()
        assert stage.run(wait=True) == Interpolated(complete=True, submitted=0, chunks=CHUNKS)


def test_one_chunk_that_was_lost_is_sent_again_alone(stage: Stage) -> None:
    with stage.server() as server:
        stage.run()
        held = held_at(server.url, stage.keys.results, state=server.state)
        server.kill()
    assert held
    [lost] = [number for number, key in held.requests.items() if key == stage.keys.result(2)]
    with closing(sqlite3.connect(stage.folder / "state" / "requests.sqlite")) as log, log:
        log.execute("DELETE FROM requests WHERE id = ?", [lost])
    with stage.server():
        assert [stage.run().submitted for _ in range(2)] == [1, 0]


def test_what_another_live_home_holds_is_waited_for(stage: Stage) -> None:
    with stage.server("first"), stage.server("second"):
        stage.run(state="first")
        assert stage.run(state="second").submitted == 0


def test_what_a_home_held_that_is_gone_is_sent_again_once(stage: Stage) -> None:
    with stage.server("first"):
        stage.run(state="first")
    with stage.server("second"):
        assert [stage.run(state="second").submitted for _ in range(2)] == [CHUNKS, 0]


def test_a_run_tells_of_a_full_disk_and_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def make_room(note: str) -> None:
        told.append(note)
        (disk / "filler").unlink(missing_ok=True)

    with small_disk(megabytes=8) as disk:
        stage = staged(open_storage(str(disk)), tmp_path / "states", monkeypatch)
        with stage.server() as server:
            stage.run()
            fill(disk)
            stage.gate.touch()
            eventually(lambda: (held := held_at(server.url, "", state=server.state)) and held.trouble)
            done = stage.run(wait=True, hear=make_room)

    assert done == Interpolated(complete=True, submitted=0, chunks=CHUNKS)
    assert f"The endpoint flow cannot go on yet, and tries again: The disk of {disk} is full" in told[0]
