import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.models.saved_model import saved_model_sha256
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline_tests.support.film_models import TINY, random_film, small_film
from slowmo_pipeline_tests.support.forked import FILM, slowmo
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.model_sources import BESIDE, MODEL, ModelServer, folder_of, model_server, zip_of

COMMAND = [sys.executable, "-m", "slowmo_pipeline", "model"]

HUB = "http://localhost/api/v1/models.ModelApiService"
"""kagglehub's idea of a server of its developers' own."""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands keep models in."""
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FILM with 2 pyramid levels."""
    return random_film(tmp_path_factory.mktemp("film") / "saved_model", **TINY)


@pytest.fixture(scope="module")
def published(film: Path) -> dict[str, bytes]:
    """Its files, as a release has them."""
    return {path.relative_to(film).as_posix(): path.read_bytes() for path in film.rglob("*") if path.is_file()}


LEVELS = ("--pyramid-levels", 2)


def slowmo_model(*arguments: object) -> subprocess.CompletedProcess[str]:
    return slowmo("model", *arguments, imported=FILM)


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What a command printed: a name, two spaces or more, a value."""
    assert done.returncode == 0, done.stderr
    found = [re.fullmatch(r"(\w+) {2,}(.+)", line) for line in done.stdout.splitlines()]
    assert None not in found, done.stdout
    return {match[1]: match[2] for match in found if match}


def test_fetch_prints_path_and_hash(models: Path, server: ModelServer, published: dict[str, bytes]) -> None:
    done = slowmo_model("fetch", server.reply("/film.zip", zip_of(published)), *LEVELS)
    assert facts(done) == {"path": str(models / "film"), "sha256": saved_model_sha256(models / "film")}
    assert server.asked == ["/film.zip"]


def test_a_fetched_model_is_no_copy_of_what_lies_beside_it(
    models: Path, tmp_path: Path, published: dict[str, bytes]
) -> None:
    source = folder_of(tmp_path / "release", {**BESIDE, **{f"Style/{name}": data for name, data in published.items()}})
    slowmo_model("fetch", source, "--member", "Style", "--name", "style", *LEVELS)
    found = {path.relative_to(models / "style").as_posix() for path in models.glob("style/**/*") if path.is_file()}
    assert found == published.keys()


def test_what_renders_nothing_is_not_kept(models: Path, tmp_path: Path, film: Path) -> None:
    refused = slowmo_model("fetch", film, "--pyramid-levels", 5)
    damaged = slowmo_model("fetch", folder_of(tmp_path / "damaged", MODEL))
    assert (refused.returncode, damaged.returncode) == (1, 1)
    assert "another number of pyramid levels than 5?" in refused.stderr
    assert "cannot be loaded" in damaged.stderr
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fetch", "nowhere"], "nowhere does not exist"),
        (["fetch", "http://127.0.0.1:1/film.zip"], "could not be downloaded: [Errno"),
        (["info"], "`slowmo model fetch`"),
        (["info", "nowhere"], "there are: none"),
        (["package", "nowhere", "-o", "model.tar.gz"], "there are: none"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_1(models: Path, arguments: list[str], told: str) -> None:
    done = slowmo_model(*arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_fetch_that_is_killed_leaves_no_model_and_the_next_cleans_up(
    models: Path, server: ModelServer, published: dict[str, bytes]
) -> None:
    data = zip_of(published)
    url = server.reply("/film.zip", data[: len(data) // 2], Content_Length=str(len(data)))
    server.going_on.clear()
    fetching = subprocess.Popen([*COMMAND, "fetch", url], stderr=subprocess.DEVNULL)
    eventually(lambda: (models / ".incoming/download").exists())
    fetching.kill()
    fetching.wait()
    server.going_on.set()
    assert [path.name for path in models.iterdir()] == [".incoming"]
    server.reply("/film.zip", data)
    assert slowmo_model("fetch", url, *LEVELS).returncode == 0
    assert {path.name for path in models.iterdir()} == {"film", "film.json"}


@pytest.fixture
def hub(server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The server as what kagglehub finds behind its proxy."""
    for name, value in {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "http_proxy": server.url,
        "no_proxy": "",
        "HOME": str(tmp_path),
        "KAGGLE_API_TOKEN": "",
    }.items():
        monkeypatch.setenv(name, value)
    return server


def test_without_a_source_the_published_model_comes_from_the_hub(
    models: Path, hub: ModelServer, tmp_path: Path, published: dict[str, bytes]
) -> None:
    files = {**BESIDE, **published}
    listing = {"files": [{"name": name} for name in files], "nextPageToken": ""}
    hub.reply(f"{HUB}/ListModelInstanceVersionFiles", json.dumps(listing).encode(), Content_Type="application/json")
    for name, data in files.items():
        hub.reply(f"{HUB}/DownloadModelInstanceVersion {name}", data)
    done = slowmo_model("fetch", *LEVELS)
    assert facts(done) == {"path": str(models / "film"), "sha256": saved_model_sha256(models / "film")}
    assert saved_model_sha256(models / "film") == saved_model_sha256(folder_of(tmp_path / "model", published))
    assert json.loads((models / "film.json").read_text())["source"] == "google/film/tensorFlow2/film/1"
    assert '"ownerSlug": "google", "modelSlug": "film"' in hub.asked[0]
    assert not (tmp_path / ".cache").exists()  # no second copy


def test_a_hub_that_fails_is_told(models: Path, hub: ModelServer) -> None:
    done = slowmo_model("fetch")
    assert done.returncode == 1
    assert "kagglehub could not fetch google/film/tensorFlow2/film/1: 404 Client Error" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "command", "told"),
    [
        ("kagglehub", "fetch", "kagglehub, which fetches the published model,"),
        ("tensorflow", "fetch", "FILM cannot be loaded without TensorFlow."),
        ("tensorflow", "info", "FILM cannot be loaded without TensorFlow."),
    ],
)
def test_a_missing_package_is_told(module: str, command: str, told: str, models: Path) -> None:
    folder_of(models / "film", MODEL)
    hidden = f"import sys; sys.modules[{module!r}] = None; sys.argv = ['slowmo', 'model', {command!r}]"
    program = f"{hidden}; from slowmo_pipeline.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(told)
    assert "pip install 'slowmo_pipeline[film]'" in done.stderr


def test_info_shows_what_the_model_is_and_how_fast(models: Path, film: Path) -> None:
    slowmo_model("fetch", film, *LEVELS)
    shown = facts(slowmo_model("info", *LEVELS))
    assert shown["path"] == str(models / "film")
    assert shown["sha256"] == saved_model_sha256(film)
    assert shown["parameters"] == str(sum(variable.numpy().size for variable in small_film(**TINY).variables))
    assert shown["model_id"].startswith("film-")
    assert {name: shown[name] for name in ("pyramid_levels", "filters", "flow_filters")} == {
        "pyramid_levels": "2",
        "filters": "4",
        "flow_filters": "(4,)",
    }
    assert (shown["device"], shown["precision"]) == ("CPU:0", "float32")
    for precision in ("float32", "tf32", "float16"):
        assert re.fullmatch(r".+ levels of 255 in the mean, .+ at most", shown[f"{precision}_differs_by"])
    assert float(shown["seconds_a_frame"]) > 0
    assert int(shown["threads"]) >= 1


def test_package_writes_what_an_endpoint_takes(models: Path, film: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.tar.gz"
    done = slowmo_model("package", film, "-o", output, *LEVELS, "--block-height", 2, "--warm-up", "640x360")
    model_id = load_film(film, pyramid_levels=2, block_height=2, precision="tf32").model_id
    assert facts(done) == {"path": str(output), "sha256": file_sha256(output), "model_id": model_id}
    with tarfile.open(output) as archive:
        properties = archive.extractfile("serving.properties")
        assert properties is not None
        lines = properties.read().decode().splitlines()
    assert {
        "option.pyramid_levels=2",
        "option.block_height=2",
        "option.precision=tf32",
        "option.warm_up=640x360",
    } <= set(lines)


def test_a_size_that_is_none_is_told_before_a_model_is_loaded(models: Path, tmp_path: Path) -> None:
    damaged = folder_of(tmp_path / "damaged", MODEL)
    for size in ("1080p", "20000x20000"):
        done = slowmo_model("package", damaged, "-o", tmp_path / "model.tar.gz", *LEVELS, "--warm-up", size)
        assert done.returncode == 2
        assert f"warm_up = '{size}' must be width x height in pixels, such as 1920x1080" in done.stderr


def test_a_model_that_does_not_fit_is_not_packaged(models: Path, film: Path, tmp_path: Path) -> None:
    done = slowmo_model("package", film, "-o", tmp_path / "model.tar.gz", "--pyramid-levels", 1)
    assert done.returncode == 1
    assert "pyramid_levels = 1, but these variables need at least 2" in done.stderr
    assert not (tmp_path / "model.tar.gz").exists()


def test_a_package_that_cannot_be_written_is_told(models: Path, film: Path, tmp_path: Path) -> None:
    done = slowmo_model("package", film, "-o", tmp_path / "nowhere" / "model.tar.gz", *LEVELS)
    assert done.returncode == 1
    assert "There is no folder" in done.stderr
    assert "Traceback" not in done.stderr
