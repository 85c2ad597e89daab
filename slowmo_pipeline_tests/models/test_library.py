import errno
import json
import shutil
from pathlib import Path

import pytest

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import DiskFullError, HomeError, ModelError, SettingsError
from slowmo_pipeline.interpolation.catalog import FILM_WEIGHTS
from slowmo_pipeline.locks import lock, opened
from slowmo_pipeline.models.library import FetchedModel, fetch_model, resolve_model
from slowmo_pipeline_tests.support.model_sources import BESIDE, MODEL, folder_of, model_server, tar_of, zip_of

OTHER = {**MODEL, "saved_model.pb": b"another graph"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def unseen(stage: str, done: int, total: int, unit: str) -> None:
    """Progress that nobody looks at."""


def untried(path: Path) -> None:
    """Tries nothing: these sources are no models."""


def fetched(home: Home, source: Path | str, name: str = "film", sha256: str | None = None) -> FetchedModel:
    return fetch_model(home, str(source), name=name, sha256=sha256, try_out=untried, progress=unseen)


def kept(home: Home) -> dict[str, bytes]:
    """Everything below the models' folder."""
    files = {path.relative_to(home.models).as_posix(): path for path in home.models.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items()}


def film(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"film/{name}": data for name, data in files.items()}


def test_what_is_kept_is_the_saved_model_and_its_record(home: Home, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {**BESIDE, **MODEL})
    model = fetched(home, source)
    record = {"source": str(source), "sha256": model.sha256}
    found = kept(home)
    assert json.loads(found.pop("film.json")) == record
    assert found == film(MODEL)
    assert model.path == home.models / "film"


def test_every_packing_gives_the_same_hash(home: Home, tmp_path: Path) -> None:
    (tmp_path / "film.zip").write_bytes(zip_of(MODEL))
    (tmp_path / "film.tar.gz").write_bytes(tar_of({**BESIDE, **MODEL}))
    folder_of(tmp_path / "folder", MODEL)
    with model_server() as server:
        url = server.reply("/film", zip_of(MODEL))
        sources: list[Path | str] = [tmp_path / "film.zip", tmp_path / "film.tar.gz", tmp_path / "folder", url]
        assert len({fetched(home, source).sha256 for source in sources}) == 1


def test_the_record_holds_no_secret_of_the_address(home: Home) -> None:
    with model_server() as server:
        fetched(home, server.reply("/film.zip", zip_of(MODEL)) + "?signature=secret")
        assert json.loads(kept(home)["film.json"])["source"] == f"{server.url}/film.zip"


def test_fetching_the_same_again_is_harmless(home: Home, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", MODEL)
    first = fetched(home, source)
    before = (first.path.stat().st_ino, kept(home))
    assert fetched(home, source) == first
    assert (first.path.stat().st_ino, kept(home)) == before


def test_another_content_under_a_name_is_refused(home: Home, tmp_path: Path) -> None:
    first = fetched(home, folder_of(tmp_path / "one", MODEL))
    second = fetched(home, folder_of(tmp_path / "two", OTHER), "other")
    before = kept(home)
    with pytest.raises(ModelError, match=f"SHA-256 {first.sha256}, but .*two has {second.sha256}.*--name, or delete"):
        fetched(home, tmp_path / "two")
    assert kept(home) == before


def test_another_content_is_refused_without_a_record_too(home: Home, tmp_path: Path) -> None:
    fetched(home, folder_of(tmp_path / "one", MODEL))
    (home.models / "film.json").unlink()
    with pytest.raises(ModelError, match="delete"):
        fetched(home, folder_of(tmp_path / "two", OTHER))
    fetched(home, tmp_path / "one")
    assert "film.json" in kept(home)


def test_the_record_outlives_the_model(home: Home, tmp_path: Path) -> None:
    shutil.rmtree(fetched(home, folder_of(tmp_path / "one", MODEL)).path)
    with pytest.raises(ModelError, match="delete"):
        fetched(home, folder_of(tmp_path / "two", OTHER))


def test_what_was_damaged_on_disk_is_mended(home: Home, tmp_path: Path) -> None:
    model = fetched(home, folder_of(tmp_path / "source", MODEL))
    (model.path / "saved_model.pb").write_bytes(b"bit rot")
    (model.path / "variables/variables.index").unlink()
    fetched(home, tmp_path / "source")
    assert film(MODEL).items() <= kept(home).items()


def test_a_damaged_record_is_told(home: Home, tmp_path: Path) -> None:
    fetched(home, folder_of(tmp_path / "source", MODEL))
    for text in ("", "[]", "{}"):
        (home.models / "film.json").write_text(text)
        with pytest.raises(ModelError, match=r"film\.json is damaged: .* Delete it"):
            fetched(home, tmp_path / "source")


def test_the_sha256_given_is_held_against_the_content(home: Home, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", MODEL)
    with pytest.raises(ModelError, match=f"not {'0' * 64}: it is not the model that was meant"):
        fetched(home, source, sha256="0" * 64)
    assert kept(home) == {}
    right = fetched(home, source).sha256
    assert fetched(home, source, sha256=right.upper()).sha256 == right


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "sha256:" + "0" * 64])
def test_what_is_no_sha256_is_refused_before_anything_is_fetched(home: Home, sha256: str) -> None:
    with pytest.raises(SettingsError, match="64 hexadecimal digits"):
        fetched(home, "http://127.0.0.1:1/film.zip", sha256=sha256)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", ".incoming", "film.json", "film\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(home: Home, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is no name of a model"):
        fetched(home, folder_of(tmp_path / "source", MODEL), name)


@pytest.mark.parametrize("exception", [KeyboardInterrupt(), RuntimeError("half-way")])
def test_a_fetch_that_is_broken_off_leaves_nothing(home: Home, tmp_path: Path, exception: BaseException) -> None:
    def broken_off(stage: str, done: int, total: int, unit: str) -> None:
        if done > total // 2:
            raise exception

    source = folder_of(tmp_path / "source", MODEL)
    with pytest.raises(type(exception)):
        fetch_model(home, str(source), try_out=untried, progress=broken_off)
    assert list(home.models.iterdir()) == []


def test_a_model_that_does_not_render_is_not_kept(home: Home, tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        assert (path / "saved_model.pb").is_file()
        raise ModelError("it renders nothing")

    with pytest.raises(ModelError, match="it renders nothing"):
        fetch_model(home, str(folder_of(tmp_path / "source", MODEL)), try_out=fails, progress=unseen)
    assert list(home.models.iterdir()) == []


def test_a_full_disk_is_told(home: Home, tmp_path: Path) -> None:
    def full(stage: str, done: int, total: int, unit: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError, match=r"The disk of .*models is full: the model was not kept\. Free some space"):
        fetch_model(home, str(folder_of(tmp_path / "source", MODEL)), try_out=untried, progress=full)
    assert list(home.models.iterdir()) == []


def test_an_archive_whose_file_is_also_a_folder_is_told(home: Home, tmp_path: Path) -> None:
    (tmp_path / "film.tar.gz").write_bytes(tar_of({**MODEL, "variables/variables.index/x": b""}))
    with pytest.raises(ModelError, match=r"cannot be kept .*variables\.index"):
        fetched(home, tmp_path / "film.tar.gz")


def test_messages_call_a_download_by_its_address(home: Home) -> None:
    with model_server() as server, pytest.raises(ModelError, match=f"^{server.url}/page is neither a .zip nor"):
        fetched(home, server.reply("/page", b"<html>"))


def test_a_second_fetch_at_the_same_time_is_refused(home: Home, tmp_path: Path) -> None:
    with opened(home.locks / "models.lock") as descriptor:
        lock(descriptor)
        with pytest.raises(ModelError, match=r"Another fetch .* is under way"):
            fetched(home, folder_of(tmp_path / "source", MODEL))


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HomeError, match="Set SLOWMO_HOME"):
        fetched(Home(tmp_path / "file"), folder_of(tmp_path / "source", MODEL))


def resolved(home: Home, given: str | None) -> Path:
    return resolve_model(home, given, FILM_WEIGHTS, default="film")


def test_a_model_is_found_by_its_name(home: Home, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", MODEL)
    model = fetched(home, source, "film-L1")
    assert resolved(home, "film-L1") == model.path
    default = fetched(home, source)
    assert resolved(home, None) == default.path == home.models / "film"


def test_a_model_is_found_by_its_path(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = folder_of(tmp_path / "film", MODEL)
    assert resolved(home, str(source)) == source
    assert resolved(home, "film") == source
    model = fetched(home, source)
    assert resolved(home, "film") == model.path
    assert resolved(home, "./film") == source


def test_a_model_that_is_not_there_is_told_with_the_next_step(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model in .*: `slowmo model fetch`"):
        resolved(home, None)
    with pytest.raises(ModelError, match=r"there are: none"):
        resolved(home, "vgg")
    fetched(home, folder_of(tmp_path / "source", MODEL), "film-L1")
    with pytest.raises(ModelError, match=r"there are: film-L1"):
        resolved(home, "vgg")
    with pytest.raises(ModelError, match=r"is no SavedModel: it has no saved_model\.pb"):
        resolved(home, str(tmp_path))
