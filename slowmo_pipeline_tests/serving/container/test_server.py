import io
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.chunks.files import ChunkReader, ResultReader
from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES
from slowmo_pipeline.environment import gpu_required
from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.serving.container import server as app
from slowmo_pipeline_tests.support.chunk_samples import chunk_bytes, reference_bytes
from slowmo_pipeline_tests.support.containers import (
    BROKEN,
    BUSY,
    DEVICES,
    FILM_OPTIONS,
    Server,
    average_model,
    container_python,
    content,
    film_folder,
    noise_chunk,
    scripted_folder,
    serving,
)
from slowmo_pipeline_tests.support.interpolators import HELD, OUT_OF_MEMORY, STUCK
from slowmo_pipeline_tests.support.local_server import eventually, grey_chunk, grey_of
from slowmo_pipeline_tests.support.places import REPOSITORY

_PIECE = bytes(2**20)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return container_python(tmp_path_factory)


@pytest.fixture(scope="module")
def film(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of FILM that is ready."""
    with serving(python, film_folder(tmp_path_factory), tmp_path_factory.mktemp("film")) as server:
        yield server.ready()


@pytest.fixture(scope="module")
def scripted(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that does what the frames say, and is ready."""
    folder = tmp_path_factory.mktemp("scripted")
    with serving(python, scripted_folder(folder, {"block_width": 3}), folder / "scratch") as server:
        yield server.ready()


@pytest.fixture
def held(python: Path, tmp_path: Path) -> Iterator[Server]:
    """A server whose model is loaded once the file `hold` is gone; it answers already."""
    folder = scripted_folder(tmp_path)
    (folder / "film" / "hold").touch()
    with serving(python, folder, tmp_path / "scratch") as server:
        eventually(server.ping)
        yield server


def test_result_is_the_one_that_film_gives_without_a_container(
    film: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = film_folder(tmp_path_factory)
    before = content(folder)

    answer = film.invoke(chunk_bytes())

    assert (answer.code, answer.content_type) == (200, "application/x-tar")
    result = ResultReader(io.BytesIO(answer.body))
    here = load_film(average_model(tmp_path_factory), **FILM_OPTIONS)
    chunk = ChunkReader(io.BytesIO(chunk_bytes()))
    expected = here.render((frame for _, frame in chunk.frames()), chunk.times)
    assert result.model_id == here.model_id
    for (_, frame), other in zip(result.frames(), expected, strict=True):
        assert np.array_equal(frame, other)
    assert content(folder) == before


def test_chunks_of_the_reference_solution_are_taken(film: Server) -> None:
    assert film.invoke(reference_bytes()).code == 200


def test_a_body_may_come_without_its_length(scripted: Server) -> None:
    assert grey_of(scripted.invoke(iter([grey_chunk(100)[:1000], grey_chunk(100)[1000:]])).body) == 120


def test_options_of_the_package_reach_film(scripted: Server) -> None:
    assert ResultReader(io.BytesIO(scripted.invoke(grey_chunk(100)).body)).model_id == "scripted-block_width.3"


def test_bad_chunk_is_400_and_says_why(film: Server) -> None:
    answer = film.invoke(chunk_bytes()[:700])

    assert (answer.code, answer.content_type) == (400, "application/json")
    assert answer.json()["error"] == "ChunkFormatError"
    assert answer.json()["message"]


def test_out_of_memory_is_507_and_the_server_lives_on(scripted: Server) -> None:
    answer = scripted.invoke(grey_chunk(OUT_OF_MEMORY))

    assert answer.code == 507
    assert answer.json() == {"code": 507, "error": "MemoryError", "message": "no room for a frame"}
    assert scripted.invoke(grey_chunk(100)).code == 200


def test_any_other_error_is_500_and_says_what(scripted: Server) -> None:
    answer = scripted.invoke(grey_chunk(BROKEN))

    assert answer.code == 500
    assert answer.json() == {"code": 500, "error": "RuntimeError", "message": "a kernel\nfailed to launch"}


def test_a_body_over_the_limit_is_413(scripted: Server) -> None:
    pieces = (_PIECE for _ in range(MAX_TAR_BYTES // len(_PIECE) + 1))

    answer = scripted.invoke(pieces)

    assert answer.code == 413
    assert answer.json() == {
        "code": 413,
        "error": "PayloadTooLarge",
        "message": "The chunk has more than 1000000000 bytes: plan smaller chunks.",
    }


def test_a_device_computes_one_chunk_after_another(scripted: Server) -> None:
    with ThreadPoolExecutor() as clients:
        answers = list(clients.map(scripted.invoke, [grey_chunk(BUSY)] * (2 * len(DEVICES) + 1)))

    assert [answer.code for answer in answers] == [200] * len(answers)
    at_once = [int(line) for line in scripted.log.splitlines() if line.isdecimal()]
    assert len(at_once) == len(answers)
    assert max(at_once) <= 1, "chunks on the device of one that begins"


def test_every_device_computes(python: Path, tmp_path: Path) -> None:
    assert len(DEVICES) == 2
    with (
        serving(python, scripted_folder(tmp_path), tmp_path / "scratch") as server,
        ThreadPoolExecutor() as clients,
    ):
        stuck = clients.submit(server.ready().invoke, grey_chunk(STUCK))

        assert [grey_of(server.invoke(grey_chunk(100)).body) for _ in range(3)] == [120] * 3
        assert not stuck.done()
        server.process.kill()
        with pytest.raises(OSError):  # noqa: PT011 - however the connection ends
            stuck.result()


def test_a_client_that_goes_away_is_no_error(scripted: Server) -> None:
    for _ in range(len(DEVICES) + 1):
        with socket.create_connection(("127.0.0.1", scripted.port)) as gone:
            gone.sendall(b"POST /invocations HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nhalf")

    assert grey_of(scripted.invoke(grey_chunk(100)).body) == 120
    eventually(lambda: scripted.log.count("A client went away before its chunk had come.") == len(DEVICES) + 1)
    assert "Exception in ASGI application" not in scripted.log


def test_a_large_result_arrives_whole(film: Server) -> None:
    answer = film.invoke(noise_chunk([Fraction(1, 4), Fraction(1, 2)]))

    assert len(answer.body) > 2 * len(_PIECE)
    assert [number for number, _ in ResultReader(io.BytesIO(answer.body)).frames()] == [1, 2]


def test_ping_answers_while_a_chunk_is_computed(scripted: Server) -> None:
    with ThreadPoolExecutor() as clients:
        chunk = clients.submit(scripted.invoke, grey_chunk(HELD))
        eventually(lambda: "held" in scripted.log)
        assert [scripted.ping() for _ in range(6)] == [200] * 6
        assert not chunk.done()
        scripted.gate.touch()

    assert chunk.result().code == 200


def test_ping_is_503_until_the_model_is_loaded(held: Server, tmp_path: Path) -> None:
    assert held.ping() == 503
    assert held.invoke(grey_chunk(100)).json()["error"] == "NotReady"

    (tmp_path / "model" / "film" / "hold").unlink()

    held.ready()
    assert held.invoke(grey_chunk(100)).code == 200


def test_a_model_that_cannot_be_loaded_ends_the_server(python: Path, tmp_path: Path) -> None:
    folder = scripted_folder(tmp_path)
    with (folder / "serving.properties").open("a") as properties:
        properties.write("option.tile_pixels=lots\n")

    with serving(python, folder, tmp_path / "scratch") as server:
        assert server.process.wait() == 1

    assert server.log.splitlines()[-1].startswith("tile_pixels = 'lots' must be a whole number of at least 1")


def test_without_the_gpu_that_is_required_the_server_ends(
    python: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = film_folder(tmp_path_factory)
    monkeypatch.setenv("SLOWMO_REQUIRE_GPU", "1")

    with serving(python, folder, tmp_path / "scratch") as server:
        assert server.process.wait() == 1

    assert server.log.splitlines()[-1].startswith("TensorFlow sees no GPU, and SLOWMO_REQUIRE_GPU asks for one: ")
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("value", "required"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_gpu_is_required_unless_it_says_no(monkeypatch: pytest.MonkeyPatch, value: str, required: bool) -> None:
    monkeypatch.setenv("SLOWMO_REQUIRE_GPU", value)
    assert gpu_required() == required


def test_the_image_asks_for_the_devices_and_the_driver_of_its_host() -> None:
    dockerfile = (REPOSITORY / "deploy" / "serving" / "Dockerfile").read_text().replace("\\\n", " ")
    settings = {word for line in dockerfile.splitlines() if line.startswith("ENV ") for word in line.split()[1:]}
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= settings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_even_while_it_loads(held: Server, number: int) -> None:
    os.kill(held.process.pid, number)

    assert held.process.wait() == 0


def test_sigterm_lets_a_chunk_finish(python: Path, tmp_path: Path) -> None:
    with (
        serving(python, scripted_folder(tmp_path), tmp_path / "scratch") as server,
        ThreadPoolExecutor() as clients,
    ):
        chunk = clients.submit(server.ready().invoke, grey_chunk(HELD))
        eventually(lambda: "held" in server.log)
        server.process.terminate()
        eventually(lambda: server.ping() is None)
        server.gate.touch()

        assert grey_of(chunk.result().body) == HELD + 20
        assert server.process.wait() == 0


@pytest.mark.slow
def test_sigterm_ends_a_chunk_that_takes_too_long_before_sagemaker_kills(python: Path, tmp_path: Path) -> None:
    with (
        serving(python, scripted_folder(tmp_path), tmp_path / "scratch") as server,
        ThreadPoolExecutor() as clients,
    ):
        chunk = clients.submit(server.ready().invoke, grey_chunk(STUCK))
        eventually(lambda: "stuck" in server.log)
        server.process.terminate()

        assert server.process.wait() == 0
        assert app._GRACE_SECONDS < 30
        assert chunk.exception() is not None or chunk.result().code >= 500
