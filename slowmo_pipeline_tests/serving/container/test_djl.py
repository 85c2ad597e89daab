import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.chunks.files import ChunkReader, ResultReader
from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.serving.container.model_folder import read_properties
from slowmo_pipeline_tests.support.chunk_samples import WANTS, chunk_bytes, reference_bytes
from slowmo_pipeline_tests.support.containers import (
    BROKEN,
    FILM_OPTIONS,
    TELLS_GPU,
    DjlWorker,
    average_model,
    container_python,
    content,
    film_folder,
    noise_chunk,
    scripted_folder,
    scripted_model_id,
)
from slowmo_pipeline_tests.support.interpolators import OUT_OF_MEMORY
from slowmo_pipeline_tests.support.local_server import grey_chunk, grey_of


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return container_python(tmp_path_factory)


@pytest.fixture(scope="module")
def film(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjlWorker]:
    """A worker that has loaded FILM, and was told the package's options, as DJL Serving's server does."""
    folder = film_folder(tmp_path_factory)
    with DjlWorker(python, folder, tmp_path_factory.mktemp("film")) as worker:
        assert worker.call(None, **read_properties(folder)).code == 204
        yield worker


@pytest.fixture
def scripted(python: Path, tmp_path: Path) -> Iterator[DjlWorker]:
    """A worker that does what the frames say; it has loaded nothing yet."""
    with DjlWorker(python, scripted_folder(tmp_path), tmp_path / "scratch") as worker:
        yield worker


def test_result_is_the_one_that_film_gives_without_a_container(
    film: DjlWorker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    answer = film.call(chunk_bytes())

    assert (answer.code, answer.content_type) == (200, "application/x-tar")
    result = ResultReader(io.BytesIO(answer.body))
    here = load_film(average_model(tmp_path_factory), **FILM_OPTIONS)
    chunk = ChunkReader(io.BytesIO(chunk_bytes()))
    expected = here.render((frame for _, frame in chunk.frames()), chunk.times)
    assert result.model_id == here.model_id
    assert result.outputs == [want.output for want in WANTS]
    for (_, frame), other in zip(result.frames(), expected, strict=True):
        assert np.array_equal(frame, other)


def test_chunks_of_the_reference_solution_are_taken(film: DjlWorker) -> None:
    answer = film.call(reference_bytes())

    assert answer.code == 200
    assert ResultReader(io.BytesIO(answer.body)).outputs == [1, 2, 4, 5]


@pytest.mark.parametrize("damage", [slice(0, 700), slice(0, 0)])
def test_bad_chunk_is_400_and_says_why(film: DjlWorker, damage: slice) -> None:
    answer = film.call(chunk_bytes()[damage])

    assert (answer.code, answer.content_type, answer.message) == (400, "application/json", "ChunkFormatError")
    failure = answer.json()
    assert failure["code"] == 400
    assert failure["message"].strip()


def test_a_request_without_content_is_a_bad_chunk_once_the_model_is_loaded(film: DjlWorker) -> None:
    assert film.call(None).code == 400


def test_a_request_leaves_no_files_behind(film: DjlWorker, tmp_path_factory: pytest.TempPathFactory) -> None:
    folders = film_folder(tmp_path_factory), film.scratch
    # TensorFlow keeps what it generated while it traced the network, until the process ends.
    film.call(reference_bytes())
    before = [content(folder) for folder in folders]

    assert film.call(reference_bytes()).code == 200

    assert [content(folder) for folder in folders] == before


def test_options_of_the_first_request_reach_film(python: Path, tmp_path: Path) -> None:
    options: dict[str, str | int] = {"block_height": 2, "tile_pixels": 65536}
    with DjlWorker(python, scripted_folder(tmp_path, options), tmp_path / "scratch") as worker:
        assert worker.call(None).code == 204
        answer = worker.call(grey_chunk(100))

    assert ResultReader(io.BytesIO(answer.body)).model_id == scripted_model_id(options)


def test_a_large_result_goes_in_pieces(film: DjlWorker) -> None:
    answer = film.call(noise_chunk([Fraction(1, 2)]))

    assert len(answer.body) > 2**20 == answer.largest_piece
    assert [number for number, _ in ResultReader(io.BytesIO(answer.body)).frames()] == [1]


@pytest.mark.parametrize(("device_id", "gpu"), [("-1", "4,6"), ("0", "4"), ("1", "6")])
def test_a_worker_takes_the_gpu_that_it_is_given(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device_id: str, gpu: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    with DjlWorker(python, scripted_folder(tmp_path), tmp_path / "scratch") as worker:
        assert worker.call(None, device_id=device_id).code == 204

        assert worker.call(grey_chunk(TELLS_GPU)).json()["message"] == f"GPU {gpu}"


def test_out_of_memory_is_507_and_the_worker_lives_on(scripted: DjlWorker) -> None:
    scripted.call(None)

    answer = scripted.call(grey_chunk(OUT_OF_MEMORY))

    assert (answer.code, answer.message) == (507, "MemoryError")
    assert answer.json() == {"code": 507, "error": "MemoryError", "message": "no room for a frame"}
    assert grey_of(scripted.call(grey_chunk(100)).body) == 120


def test_any_other_error_is_500_and_says_what(scripted: DjlWorker) -> None:
    scripted.call(None)

    answer = scripted.call(grey_chunk(BROKEN))

    assert answer.json() == {"code": 500, "error": "RuntimeError", "message": "a kernel\nfailed to launch"}
    assert (answer.code, answer.message) == (500, "RuntimeError")


def test_a_model_that_cannot_be_loaded_fails_the_worker(scripted: DjlWorker) -> None:
    answer = scripted.call(None, block_height="many")

    assert answer.code >= 300
    assert "block_height = 'many'" in answer.json()["error"]


def test_without_the_gpu_that_is_required_the_worker_fails(
    python: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = film_folder(tmp_path_factory)
    monkeypatch.setenv("SLOWMO_REQUIRE_GPU", "1")

    with DjlWorker(python, folder, tmp_path / "scratch") as worker:
        answer = worker.call(None)

    assert answer.code >= 300
    assert answer.json()["error"].startswith("TensorFlow sees no GPU, and SLOWMO_REQUIRE_GPU asks for one: ")


def test_a_chunk_before_the_model_is_loaded_fails(scripted: DjlWorker) -> None:
    assert scripted.call(grey_chunk(100)).code >= 300
