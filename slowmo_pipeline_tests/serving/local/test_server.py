"""The server as its clients see it: real processes, plain boto3 with the token."""

import asyncio
import http.client
import platform
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError

from slowmo_pipeline.chunks.files import ResultReader
from slowmo_pipeline.endpoint.local_client import Held, held_at, ping
from slowmo_pipeline.endpoint.record import served
from slowmo_pipeline.serving.local import server as local_endpoint
from slowmo_pipeline.serving.local.request_queue import Request, RequestLog
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.disks import fill, small_disk
from slowmo_pipeline_tests.support.interpolators import FADE, HELD, KILLED, OUT_OF_MEMORY, STUCK
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually, grey_chunk, grey_of
from slowmo_pipeline_tests.support.stored import read_json


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "my storage"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One server for the tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "state", open_storage(str(folder / "my storage"))) as server:
        yield server


def key_of(server: LocalServer, location: str) -> str:
    return server.storage.key_of(location)


def failure_of(server: LocalServer, answer: Mapping[str, Any]) -> dict[str, object]:
    key = key_of(server, answer["FailureLocation"])
    eventually(lambda: server.storage.stat(key))
    failure: dict[str, object] = read_json(server.storage, key)
    return failure


def held_below(server: LocalServer, prefix: str) -> Held:
    held = held_at(server.url, prefix, state=server.state)
    assert held
    return held


def test_chunk_becomes_a_result_where_the_client_wants_it(server: LocalServer) -> None:
    answer = server.submit(FADE, name="a.tar", InferenceId="clip-0-1")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "clip-0-1"
    assert answer["OutputLocation"] == server.storage.uri("results/a.tar")
    eventually(lambda: server.storage.stat("results/a.tar"))
    assert grey_of(server.storage.read("results/a.tar")) == FADE + 20


def test_names_are_generated_without_names_from_the_client(server: LocalServer) -> None:
    server.storage.write("in.tar", grey_chunk(FADE))
    answer = server.client.invoke_endpoint_async(EndpointName="scripted", InputLocation=server.storage.uri("in.tar"))

    key = key_of(server, answer["OutputLocation"])
    assert answer["InferenceId"] not in key
    eventually(lambda: server.storage.stat(key))


def test_endpoint_says_what_it_runs(server: LocalServer) -> None:
    told = served(server.storage, "scripted")

    assert (told.model_id, told.max_body_bytes, told.sagemaker_endpoint) == ("scripted-1", 10**9, None)
    assert told.server
    assert (told.server.url, told.server.host) == (server.url, platform.node())


def test_ping_says_what_is_served(server: LocalServer) -> None:
    eventually(lambda: (ping(server.url) or {})["running"] == 0)

    assert ping(server.url) == {
        "status": "ok",
        "pid": server.process.pid,
        "server": held_below(server, "").server,
        "storage": server.storage.url,
        "endpoints": {"scripted": "scripted-1"},
        "queued": 0,
        "running": 0,
    }


def test_unknown_endpoint_is_sagemakers_error(server: LocalServer) -> None:
    with pytest.raises(
        server.client.exceptions.ValidationError, match=r"Endpoint film of account .* not found"
    ) as caught:
        server.client.invoke_endpoint_async(EndpointName="film", InputLocation=server.storage.uri("x"))

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_input_outside_the_storage_is_refused(server: LocalServer) -> None:
    with pytest.raises(ClientError, match="does not lie below"):
        server.client.invoke_endpoint_async(EndpointName="scripted", InputLocation="file:///etc/passwd")


def test_inline_body_is_refused(server: LocalServer) -> None:
    with pytest.raises(ClientError, match="InputLocation"):
        server.client.invoke_endpoint_async(EndpointName="scripted", Body=b"x" * 128_000)


def test_pages_of_other_hosts_are_refused(server: LocalServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    connection.request("GET", "/ping", headers={"Host": "rebound.example.com"})

    assert connection.getresponse().status == 400
    connection.close()


def test_answers_are_sent_at_once() -> None:
    """Nagle's algorithm and delayed acknowledgements together would hold each answer back for 40 ms."""

    async def nagle_is_off() -> bool:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        with local_endpoint._listening(0) as listener:
            await asyncio.start_server(lambda _, writer: accepted.put(writer), sock=listener)
            _, client = await asyncio.open_connection(*listener.getsockname())
            server_side = (await accepted.get()).get_extra_info("socket")
            client.close()
            return bool(server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    assert asyncio.run(nagle_is_off())


def test_bad_chunk_fails_with_400(server: LocalServer) -> None:
    server.storage.write("bad.tar", grey_chunk(FADE)[:900])
    answer = server.client.invoke_endpoint_async(EndpointName="scripted", InputLocation=server.storage.uri("bad.tar"))

    failure = failure_of(server, answer)
    assert (failure["code"], failure["error"]) == (400, "ChunkFormatError")
    assert server.storage.stat(key_of(server, answer["OutputLocation"])) is None


def test_full_memory_fails_with_507(server: LocalServer) -> None:
    failure = failure_of(server, server.submit(OUT_OF_MEMORY, name="memory.tar"))

    assert failure == {"code": 507, "error": "MemoryError", "message": "no room for a frame"}


def test_missing_input_fails(server: LocalServer) -> None:
    answer = server.client.invoke_endpoint_async(
        EndpointName="scripted", InputLocation=server.storage.uri("missing.tar")
    )

    failure = failure_of(server, answer)
    assert (failure["code"], failure["error"]) == (500, "FileNotFoundError")


def test_stuck_worker_is_killed_and_the_next_request_works(server: LocalServer) -> None:
    stuck = server.submit(STUCK, name="stuck.tar", InvocationTimeoutSeconds=1)
    server.submit(FADE, name="after-stuck.tar")

    assert failure_of(server, stuck)["message"] == "it ran longer than 1 s"
    eventually(lambda: server.storage.stat("results/after-stuck.tar"))
    assert server.storage.stat("results/stuck.tar") is None


def test_request_that_kills_its_workers_fails_at_the_third(server: LocalServer) -> None:
    killer = server.submit(KILLED, name="killer.tar")
    server.submit(FADE, name="after-killer.tar")

    failure = failure_of(server, killer)
    assert failure["code"] == 500
    assert "3 workers died" in str(failure["message"])
    assert server.storage.stat("results/after-killer.tar"), "it stood in the way of the others"


def test_worker_that_died_idle_costs_no_request(server: LocalServer) -> None:
    server.submit(FADE, name="before-idle.tar")
    eventually(lambda: server.storage.stat("results/before-idle.tar"))
    [worker] = server.workers()
    worker.kill()
    eventually(lambda: not server.workers())

    server.submit(FADE, name="after-idle.tar")
    eventually(lambda: server.storage.stat("results/after-idle.tar"))


def test_flow_interpolates(storage: Storage, state: Path) -> None:
    with LocalServer(state, storage, "--endpoint=flow") as server:
        server.submit(FADE, name="flow.tar", EndpointName="flow")
        eventually(lambda: storage.stat("results/flow.tar"))

    with storage.local_file("results/flow.tar") as path, path.open("rb") as file:
        result = ResultReader(file)
        assert result.model_id.startswith("flow")
        [(_, frame)] = result.frames()
    # Flat grey has no motion to follow; what remains is the blend.
    assert abs(int(frame.mean()) - (FADE + 20)) <= 1


def test_killed_server_forgets_nothing_and_repeats_nothing(storage: Storage, state: Path) -> None:
    with LocalServer(state, storage) as server:
        for index, value in enumerate([FADE, FADE, HELD, HELD, FADE]):
            server.submit(value, name=f"{index}.tar")
        eventually(lambda: storage.stat("results/1.tar"))
        server.kill()
    before = {entry.key: entry.modified for entry in storage.list("results/")}
    assert len(before) == 2

    server.gate.touch()
    with LocalServer(state, storage):
        eventually(lambda: all(storage.stat(f"results/{index}.tar") for index in range(5)))
    after = {entry.key: entry.modified for entry in storage.list("results/")}
    assert {key: after[key] for key in before} == before


def logged(storage: Storage, name: str, **values: object) -> Request:
    """A request as a server that was killed has left it."""
    storage.write(f"chunks/{name}", grey_chunk(FADE))
    fields = {
        "storage": storage.url,
        "endpoint": "scripted",
        "inference_id": "i",
        "input_key": f"chunks/{name}",
        "ttl_seconds": 60,
    }
    fields |= {"result_key": f"results/{name}", "failure_key": f"failures/{name}", "timeout_seconds": 9}
    return Request(**{"id": name, "accepted_at": time.time(), **fields, **values})  # type: ignore[arg-type]  # a table


def test_log_decides_what_a_new_server_runs(storage: Storage, state: Path) -> None:
    state.mkdir()
    storage.write("results/has-result", b"kept")
    storage.write("results/has-older-result", b"of an earlier request")
    time.sleep(0.1)  # longer than the clock of file systems is coarse
    with closing(RequestLog(state / "requests.sqlite")) as log:
        log.add(logged(storage, "has-result", accepted_at=time.time() - 10))
        log.add(logged(storage, "has-older-result"))
        log.add(logged(storage, "waited-too-long", accepted_at=time.time() - 61))
        log.add(logged(storage, "killed-three", deaths=3))
        log.add(logged(storage, "for-another-endpoint", endpoint="film"))
        log.add(logged(storage, "waits"))

    with LocalServer(state, storage) as server:
        eventually(lambda: storage.stat("results/waits"))
        text = server.end()
    assert storage.read("results/has-result") == b"kept"
    assert grey_of(storage.read("results/has-older-result")) == FADE + 20
    assert [entry.key for entry in storage.list("results/") if "long" in entry.key or "three" in entry.key] == []
    assert "waited longer than 60 s" in text
    assert {entry.key for entry in storage.list("failures/")} == {"failures/killed-three", "failures/waited-too-long"}
    with closing(RequestLog(state / "requests.sqlite")) as log:
        assert log.ids(storage.url, ["scripted", "film"]) == ["for-another-endpoint"]


def test_what_has_not_ended_is_held_under_the_ids_that_were_told_also_after_a_restart(
    storage: Storage, state: Path
) -> None:
    with LocalServer(state, storage) as server:
        told = [server.submit(STUCK, name=name)["ResponseMetadata"]["HTTPHeaders"] for name in ("a.tar", "b.tar")]
        before = held_below(server, "results/")
        server.kill()
    with LocalServer(state, storage) as server:
        after = held_below(server, "results/")
        elsewhere = held_below(server, "chunks/")

    ids = [each["x-amzn-requestid"] for each in told]
    assert {each["x-slowmo-server"] for each in told} == {before.server}
    assert before == after == Held(before.server, dict(zip(ids, ("results/a.tar", "results/b.tar"), strict=True)))
    assert elsewhere == Held(before.server, {})


def test_a_full_disk_keeps_requests_and_is_told_until_there_is_room(tmp_path: Path) -> None:
    """The log of requests lies on it as well."""
    with small_disk(megabytes=4) as disk:
        storage = open_storage(str(disk / "storage"))
        with LocalServer(disk / "state", storage) as server:
            server.submit(HELD, name="a.tar")
            filler = fill(disk)
            server.gate.touch()
            eventually(lambda: held_below(server, "").trouble)
            assert f"The disk of {disk}/storage is full" in str(held_below(server, "").trouble)
            assert held_below(server, "").requests
            with pytest.raises(ClientError, match=r"ServiceUnavailable.*The disk of .* is full"):
                server.client.invoke_endpoint_async(EndpointName="scripted", InputLocation=storage.uri("x"))
            filler.unlink()
            eventually(lambda: held_below(server, "") == Held(held_below(server, "").server, {}))

        assert grey_of(storage.read("results/a.tar")) == HELD + 20


def is_running_a_request(server: LocalServer) -> bool:
    answer = ping(server.url)
    return answer is not None and answer["running"] > 0


def test_asked_to_end_it_ends_at_once_and_keeps_its_requests(storage: Storage, state: Path) -> None:
    with LocalServer(state, storage) as server:
        server.submit(STUCK, name="stuck.tar")
        server.submit(FADE, name="waits.tar")
        eventually(lambda: is_running_a_request(server))
        workers = server.workers()
        server.end()

    assert server.process.returncode == 0
    assert not any(worker.is_running() for worker in workers)
    assert not (state / "endpoint.json").exists()
    with closing(RequestLog(state / "requests.sqlite")) as log:
        assert len(log.ids(storage.url, ["scripted"])) == 2


def test_workers_do_not_outlive_a_killed_server(storage: Storage, state: Path) -> None:
    with LocalServer(state, storage) as server:
        server.submit(STUCK, name="stuck.tar")
        eventually(lambda: is_running_a_request(server))
        workers = server.workers()
        server.kill()

    assert workers
    eventually(lambda: not any(worker.is_running() for worker in workers))


def test_worker_whose_answer_was_not_read_does_not_outlive_a_killed_server(storage: Storage, state: Path) -> None:
    with LocalServer(state, storage) as server:
        server.submit(HELD, name="held.tar")
        eventually(lambda: is_running_a_request(server))
        workers = server.workers()
        server.process.send_signal(signal.SIGSTOP)
        server.gate.touch()
        eventually(lambda: storage.stat("results/held.tar"))
        time.sleep(0.2)  # for the answer to follow the result
        server.kill()

    eventually(lambda: not any(worker.is_running() for worker in workers))


def test_requests_run_side_by_side(storage: Storage, state: Path) -> None:
    with LocalServer(state, storage, "--workers=3") as server:
        for index in range(3):
            server.submit(STUCK, name=f"{index}.tar")

        eventually(lambda: (ping(server.url) or {})["running"] == 3)
        assert len(server.workers()) == 3


def test_server_loads_no_image_library(server: LocalServer) -> None:
    mapped = {region.path for region in psutil.Process(server.process.pid).memory_maps()}

    assert any("sqlite" in path for path in mapped)
    assert not any("cv2" in path for path in mapped)
