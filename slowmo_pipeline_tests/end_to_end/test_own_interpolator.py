"""An interpolator with weights of its own is one folder and one entry: the rest of the program asks the entry."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.chunks.files import ResultReader
from slowmo_pipeline.endpoint.local_state import ServerState
from slowmo_pipeline.serving.container.model_folder import read_properties
from slowmo_pipeline.serving.container.package import packaged_model_id
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.video.reader import probe, read_frames
from slowmo_pipeline_tests.support.chunk_samples import chunk_bytes
from slowmo_pipeline_tests.support.containers import DjlWorker, container_python, content, serving, unpacked
from slowmo_pipeline_tests.support.dimmed import PERCENT, load_dimmed
from slowmo_pipeline_tests.support.film_models import noise
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.media import write_clip
from slowmo_pipeline_tests.support.own_interpolator import NAME, OwnProgram
from slowmo_pipeline_tests.support.pipeline import LIMITS

FLOOR = 40


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnProgram]:
    program = OwnProgram.make(tmp_path_factory.mktemp("program"))
    yield program
    eventually(lambda: not ServerState(program.home / "endpoint").has_server)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    (folder / PERCENT).write_text("63")
    return folder


@pytest.fixture(scope="module")
def package(program: OwnProgram, weights: Path) -> Path:
    path = program.home.with_name("model.tar.gz")
    options = ("--interpolator", NAME, "--floor", FLOOR, "--warm-up", "64x48")
    done = program.slowmo("model", "package", weights, "-o", path, *options)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def model(package: Path) -> Path:
    return unpacked(package, package.with_name("model"))


def test_a_run_makes_the_frames_that_it_makes_by_itself(program: OwnProgram, weights: Path, tmp_path: Path) -> None:
    source = [noise(48, 64, seed=seed) for seed in range(3)]
    clip = write_clip(tmp_path / "noise.mkv", source, codec="ffv1", pixel_format="bgr0")

    options = ("--interpolator", NAME, "--model", weights, "--floor", FLOOR)
    done = program.slowmo("run", clip, "--slowdown", 2, "--cuts", "off", "--codec", "ffv1", *options)

    assert done.returncode == 0, done.stderr
    video = Path(done.stdout.strip())
    new = [frame.tobytes() for _, frame in read_frames(video, probe(video, limits=LIMITS))][1:-1:2]
    expected = load_dimmed(str(weights), floor=FLOOR).render(source, [[Fraction(1, 2)]] * 2)
    assert new == [frame.tobytes() for frame in expected]


def test_what_it_does_not_take_is_refused_with_its_own_options(program: OwnProgram, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [noise(32, 32)] * 2)

    done = program.slowmo("run", clip, "--floor", FLOOR)

    assert done.returncode == 2
    assert done.stderr == f"--model and --floor are for a local {NAME}: add --interpolator {NAME}.\n"


def test_its_package_says_whose_it_is_and_holds_nothing_of_others(package: Path, model: Path) -> None:
    properties = read_properties(model)
    assert packaged_model_id(package) == properties[f"{NAME}_model_id"] == f"dimmed-1-63.{FLOOR}"
    assert properties["interpolator"] == NAME
    interpolators = model / "slowmo_pipeline" / "interpolation"
    assert {path.name for path in interpolators.iterdir()} == {"__init__.py", "base.py", "catalog.py", NAME}
    assert "tensorflow" not in (model / "requirements.txt").read_text()
    assert content(model / NAME).keys() == {PERCENT}


def test_our_container_answers_with_the_frames_that_it_makes_by_itself(
    model: Path, weights: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serving(container_python(tmp_path_factory), model, tmp_path / "scratch") as server:
        answer = server.ready().invoke(chunk_bytes())

    assert made(answer.body) == made(handle(chunk_bytes(), load_dimmed(str(weights), floor=FLOOR)))


def test_djl_serving_answers_with_the_frames_that_it_makes_by_itself(
    model: Path, weights: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DjlWorker(container_python(tmp_path_factory), model, tmp_path / "scratch") as worker:
        assert worker.call(None).code == 204
        answer = worker.call(chunk_bytes())

    assert made(answer.body) == made(handle(chunk_bytes(), load_dimmed(str(weights), floor=FLOOR)))


def made(result: bytes) -> tuple[str, list[tuple[int, bytes]]]:
    """Who made the frames of a result, and their bytes by their numbers; it also says how long that took."""
    reader = ResultReader(io.BytesIO(result))
    return reader.model_id, [(number, frame.tobytes()) for number, frame in reader.frames()]
