"""What a crash can tear: every record in turn is emptied, halved and zeroed, and the same command ends as before.

Also no tick of any sensor stops over one of them.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.endpoint.local import use_endpoint
from slowmo_pipeline.endpoint.local_state import ServerState
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.serving.local.request_queue import Request, RequestLog
from slowmo_pipeline.steps.records import read_active_plan, read_source
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.steps.video_status import known_videos
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline_tests.defs.test_video_sensors import tick
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, failure_message
from slowmo_pipeline_tests.support.processes import Processes, make_clip

TEARS: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda data: b"",
    "halved": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
}
torn = pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)

RECORDS: dict[str, Callable[[FolderStorage, str], str]] = {
    "source.json": lambda storage, video_id: VideoKeys(video_id).source,
    "info.json": lambda storage, video_id: VideoKeys(video_id).info,
    "current.json": lambda storage, video_id: VideoKeys(video_id).current,
    "stages.json": lambda storage, video_id: VideoKeys(video_id).stages,
    "plan.json": lambda storage, video_id: _plan(storage, video_id).plan,
    "receipt": lambda storage, video_id: _results(storage, video_id).receipt(0),
    "result": lambda storage, video_id: _results(storage, video_id).result(0),
    "final json": lambda storage, video_id: VideoKeys(video_id).finals[0],
    "endpoint": lambda storage, video_id: endpoint_key("flow"),
}


def _plan(storage: FolderStorage, video_id: str):  # type: ignore[no-untyped-def]  # of keys
    return read_active_plan(storage, video_id).keys


def _results(storage: FolderStorage, video_id: str):  # type: ignore[no-untyped-def]  # of keys
    return _plan(storage, video_id).model(read_active_plan(storage, video_id).versions.model_id)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, and a home in which a video of it is finished."""
    folder = tmp_path_factory.mktemp("finished")
    make_clip(folder / "clip.mp4")
    make_clip(folder / "other.mp4", frames=6)
    with Processes(folder) as processes:
        told = processes.call("run", str(folder / "clip.mp4"), str(folder / "other.mp4"))
        assert told.status == 0, told.stderr
    return folder


@pytest.fixture
def home(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """The same, to be torn."""
    shutil.copytree(finished, tmp_path / "copy", symlinks=True)
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "copy" / "home"))
    monkeypatch.delenv("SLOWMO_STORAGE", raising=False)
    with Processes(tmp_path / "copy") as processes:
        yield processes


@pytest.fixture(scope="module")
def served(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The same home again, whose endpoint runs as long as these tests."""
    folder = tmp_path_factory.mktemp("served") / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOWMO_HOME", str(home.root))
        patch.delenv("SLOWMO_STORAGE", raising=False)
        with use_endpoint(home.endpoint, home.storage_url, workers=1, endpoints=["flow"]):
            yield home


@pytest.fixture
def whole(finished: Path, served: Home) -> FolderStorage:
    """Its storage, with every record as it was."""
    storage = FolderStorage(served.root / "storage")
    shutil.copytree(finished / "home" / "storage", storage.root, symlinks=True, dirs_exist_ok=True)
    return storage


def run_again(storage: FolderStorage) -> dg.ExecuteInProcessResult:
    """Run the video in an instance that knows nothing of it."""
    video_id = video_of(storage)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(videos.name), [video_id])
        job = defs.resolve_job_def("slow_motion")
        return job.execute_in_process(instance=instance, partition_key=video_id, raise_on_error=False)


def video_of(storage: FolderStorage) -> str:
    return next(video_id for video_id in known_videos(storage) if video_id.startswith("clip-"))


@torn
@pytest.mark.parametrize("name", [name for name in RECORDS if name != "endpoint"])
def test_same_run_ends_with_the_same_bytes(
    whole: FolderStorage, tear: Callable[[bytes], bytes], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    video_id = video_of(whole)
    before = whole.read(VideoKeys(video_id).final(".mp4"))
    path = whole.root / RECORDS[name](whole, video_id)
    upload = read_source(whole, video_id).upload
    path.write_bytes(tear(path.read_bytes()))
    register(whole, upload)

    assert run_again(whole).success
    assert whole.read(VideoKeys(video_id).final(".mp4")) == before
    if name in ("source.json", "info.json", "final json"):
        assert f"{path} is damaged" in caplog.text
    if path.suffix == ".json" and name != "receipt":
        assert json.loads(path.read_bytes())


@torn
def test_record_of_the_endpoint_is_made_anew_when_it_starts(home: Processes, tear: Callable[[bytes], bytes]) -> None:
    storage = FolderStorage(home.storage)
    final, path = VideoKeys(video_of(storage)).final(".mp4"), storage.root / endpoint_key("flow")
    before, whole = storage.read(final), path.read_bytes()
    path.write_bytes(tear(whole))
    with use_endpoint(home.home.endpoint, storage.url, workers=1, endpoints=["flow"]):
        assert run_again(storage).success

    assert storage.read(final) == before
    assert json.loads(path.read_bytes()).keys() == json.loads(whole).keys()


def test_same_command_ends_with_the_same_bytes_whatever_is_torn(home: Processes) -> None:
    storage = FolderStorage(home.storage)
    video_id = video_of(storage)
    final = VideoKeys(video_id).final(".mp4")
    before = storage.read(final)
    paths = [home.storage / record(storage, video_id) for name, record in RECORDS.items() if name != "result"]
    for number, path in enumerate([*paths, home.home.endpoint / "endpoint.json"]):
        whole = path.read_bytes() if path.exists() else b"{}"
        path.write_bytes([*TEARS.values()][number % len(TEARS)](whole))
    told = home.call("run", str(home.home.root.parent / "clip.mp4"))

    assert told.status == 0, told.stderr
    assert "Traceback" not in told.stderr
    assert f"{home.storage / VideoKeys(video_id).source} is damaged" in told.stderr
    assert storage.read(final) == before


@torn
def test_result_that_is_needed_again_is_made_anew(whole: FolderStorage, tear: Callable[[bytes], bytes]) -> None:
    video_id = video_of(whole)
    before = whole.read(VideoKeys(video_id).final(".mp4"))
    path = whole.root / _results(whole, video_id).result(0)
    path.write_bytes(tear(path.read_bytes()))
    whole.delete([VideoKeys(video_id).finals[0]])

    first = run_again(whole)
    assert not first.success
    assert "is damaged" in failure_message(first)
    assert run_again(whole).success
    assert whole.read(VideoKeys(video_id).final(".mp4")) == before


@torn
def test_status_and_clean_tell_of_one_video_and_go_on(home: Processes, tear: Callable[[bytes], bytes]) -> None:
    storage = FolderStorage(home.storage)
    video_id = video_of(storage)
    path = home.storage / VideoKeys(video_id).source
    path.write_bytes(tear(path.read_bytes()))
    for command in ("clean", "status"):
        told = home.call(command)
        assert told.status == 0
        assert f"{video_id}: {path} is damaged: not JSON" in told.stderr
        assert "Traceback" not in told.stderr
    assert "other-" in told.stdout


@pytest.mark.parametrize("first", range(len(TEARS)), ids=TEARS)
def test_state_of_the_endpoint_is_made_anew(home: Processes, first: int) -> None:
    """Each file in its own way: with the three tests, each in every way."""
    eventually(lambda: not ServerState(home.home.endpoint).has_server)  # that of the run before
    for number, name in enumerate(["endpoint.json", "requests.sqlite", "server-id"], start=first):
        path = home.home.endpoint / name
        whole = path.read_bytes() if path.exists() else json.dumps({"url": "http://127.0.0.1:1", "pid": 1}).encode()
        path.write_bytes([*TEARS.values()][number % len(TEARS)](whole))
    make_clip(home.home.root.parent / "new.mp4", frames=5)
    told = home.call("run", str(home.home.root.parent / "new.mp4"))

    assert told.status == 0, told.stderr


@torn
def test_server_shows_again_what_is_torn_under_it(
    tmp_path: Path, folder: FolderStorage, tear: Callable[[bytes], bytes]
) -> None:
    with LocalServer(tmp_path / "state", folder):
        for path in (tmp_path / "state" / "endpoint.json", folder.root / endpoint_key("scripted")):
            whole = path.read_bytes()
            path.write_bytes(tear(whole))
            eventually(partial(_holds, path, whole))


def _holds(path: Path, data: bytes) -> bool:
    return path.read_bytes() == data


# The log of requests.


def request(number: int) -> Request:
    return Request(
        id=str(number),
        storage="file:///s",
        endpoint="flow",
        inference_id="i",
        input_key="x" * 3000,
        result_key="r",
        failure_key="f",
        ttl_seconds=60,
        timeout_seconds=60,
        accepted_at=0.0,
    )


@pytest.mark.logs_errors
@pytest.mark.parametrize("at", ["first page", "middle", "end", "zeroed"])
def test_torn_log_is_set_aside_and_told(tmp_path: Path, at: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "requests.sqlite"
    log = RequestLog(path)
    for number in range(50):
        log.add(request(number))
    log.close()
    data = bytearray(path.read_bytes())
    begin = {"first page": 0, "middle": len(data) // 2, "end": len(data) - 5000, "zeroed": 0}[at]
    end = len(data) if at in ("end", "zeroed") else begin + 4096
    data[begin:end] = bytes(end - begin) if at == "zeroed" else os.urandom(end - begin)
    path.write_bytes(data)
    log = RequestLog(path)
    log.add(request(1))
    log.close()

    assert "is damaged" in caplog.text
    assert len(list(tmp_path.glob("requests.sqlite.damaged-*"))) == 1


def test_log_of_another_program_is_no_reason_to_lose_it(tmp_path: Path) -> None:
    """Locked is not torn."""
    holder = sqlite3.connect(tmp_path / "requests.sqlite", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("CREATE TABLE x (y)")
    with pytest.raises(HomeError, match="locked"):
        RequestLog(tmp_path / "requests.sqlite")
    holder.close()


# The sensors.


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@torn
@pytest.mark.parametrize("record", [name for name in RECORDS if name != "result"])
def test_no_tick_stops(
    whole: FolderStorage, instance: dg.DagsterInstance, tear: Callable[[bytes], bytes], record: str
) -> None:
    video_id = video_of(whole)
    path = whole.root / RECORDS[record](whole, video_id)
    whole.write(VideoKeys(video_id).pending, b'{"plan":"p","model_id":"m","submitted_at":1.0,"deadline":4e9}')
    path.write_bytes(tear(path.read_bytes()))
    for sensor in defs.sensors or []:
        for cursor in (None, tick(instance, sensor.name).cursor):
            tick(instance, sensor.name, cursor)


@torn
def test_torn_marker_stops_no_other_video_and_is_written_anew(
    whole: FolderStorage, instance: dg.DagsterInstance, tear: Callable[[bytes], bytes]
) -> None:
    ids = known_videos(whole)
    marker = b'{"plan":"p","model_id":"m","submitted_at":1.0,"deadline":2.0}'
    for video_id in ids:
        whole.write(VideoKeys(video_id).pending, marker)
    torn_id = video_of(whole)
    whole.write(VideoKeys(torn_id).pending, tear(marker))
    instance.add_dynamic_partitions(str(videos.name), ids)
    requests = {request.partition_key: request for request in tick(instance, "completed_outputs").run_requests}
    assert requests.keys() == set(ids)
    assert ":torn:" in requests[torn_id].run_key
    assert tick(instance, "failed_videos") is not None
    run = defs.resolve_job_def("finish_video").execute_in_process(
        instance=instance, partition_key=torn_id, run_config=NOT_WAITING
    )

    assert run.success
    assert whole.stat(VideoKeys(torn_id).pending) is None, "it is finished: nothing is pending"
