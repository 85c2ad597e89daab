import ast
import gzip
import hashlib
import inspect
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest

from slowmo_pipeline.chunks.files import ChunkReader
from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.frames import FrameShape
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, CatalogEntry
from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.serving.container.model_folder import load_warm, read_properties
from slowmo_pipeline.serving.container.package import packaged_model_id, serving_code, write_package
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline_tests.support.chunk_samples import tar_bytes
from slowmo_pipeline_tests.support.containers import (
    LEVELS,
    average_model,
    container_python,
    film_folder,
    pip_python,
    unpack,
    unpacked,
)
from slowmo_pipeline_tests.support.places import REPOSITORY

OURS = "slowmo_pipeline"
MODEL_ID = "film-1-0123abcd"
FILM, FLOW = INTERPOLATORS["film"], INTERPOLATORS["flow"]


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return average_model(tmp_path_factory)


def test_equal_content_gives_equal_bytes_whatever_its_dates_and_rights(model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    for number, path in enumerate(copy.rglob("*")):
        os.utime(path, (10**9 + number, 10**9 + number))
        path.chmod(0o700)

    options: dict[str, str | int] = {"block_height": 2, "block_width": 3}
    first = write_package(tmp_path / "first.tar.gz", "film", model, options, model_id=MODEL_ID)
    same = {"block_width": "3", "block_height": "2"}
    second = write_package(tmp_path / "another name.tar.gz", "film", copy, same, model_id=MODEL_ID)

    assert first == second
    for name in ("first.tar.gz", "another name.tar.gz"):
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == first


def test_every_member_is_dated_and_owned_alike_and_readable_by_all(model: Path, tmp_path: Path) -> None:
    write_package(tmp_path / "model.tar.gz", "film", model, {}, model_id=MODEL_ID)

    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert {(member.mtime, member.uid, member.gid, member.mode, member.isreg()) for member in tar} == {
            (0, 0, 0, 0o644, True)
        }


def test_root_has_what_djl_serving_looks_for_and_nothing_it_would_mistake(model: Path, tmp_path: Path) -> None:
    root = {path.name for path in unpack(tmp_path, model, {}, model_id=MODEL_ID).iterdir()}

    assert root == {"serving.properties", "model.py", "requirements.txt", "slowmo_pipeline", "film"}


def test_saved_model_arrives_whole(model: Path, tmp_path: Path) -> None:
    folder = unpack(tmp_path, model, {}, model_id=MODEL_ID) / "film"

    for path in (path for path in model.rglob("*") if path.is_file()):
        assert (folder / path.relative_to(model)).read_bytes() == path.read_bytes()


CODE = """
__init__ errors frames record strict_json
chunks/__init__ chunks/aws_reference chunks/documents chunks/files chunks/images chunks/tar
interpolation/__init__ interpolation/base interpolation/catalog
serving/__init__ serving/failure serving/gpus serving/handler
serving/container/__init__ serving/container/model_folder serving/container/reply serving/container/server
"""
"""What serves any interpolator. A file that comes to it has to be meant."""


@pytest.mark.parametrize(
    ("entry", "besides"), [(FLOW, ""), (FILM, "environment interpolation/tiling")], ids=["flow", "film"]
)
def test_a_package_holds_its_own_interpolator_and_what_serves_it(entry: CatalogEntry, besides: str) -> None:
    own = REPOSITORY.joinpath(OURS, "interpolation", entry.name).glob("*.py")
    code = {Path(OURS, f"{name}.py") for name in f"{CODE} {besides}".split()}

    assert set(serving_code(entry)) == code | {path.relative_to(REPOSITORY) for path in own}


@pytest.mark.parametrize(("entry", "own"), [(FLOW, set()), (FILM, {"tensorflow"})], ids=["flow", "film"])
def test_code_imports_only_what_a_container_installs(entry: CatalogEntry, own: set[str]) -> None:
    imported = set()
    for path in serving_code(entry):
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])

    foreign = imported - sys.stdlib_module_names - {OURS}
    assert foreign == {"cv2", "numpy", "pydantic", "qoi", "starlette", "uvicorn"} | own


@pytest.fixture(params=["linked", pytest.param("installed by pip", marks=pytest.mark.slow)])
def python(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the requirements of a container and nothing else."""
    return container_python(tmp_path_factory) if request.param == "linked" else pip_python(tmp_path / "python")


def test_unpacked_code_imports_in_a_python_of_its_own(
    python: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = film_folder(tmp_path_factory)
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in serving_code(FILM)]
    script = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + "".join(f"import {name}\n" for name in modules)
    script += "print(*sorted(name for name, module in sys.modules.items() if name.startswith('slowmo_pipeline')))\n"
    script += "print({module.__file__.split('slowmo_pipeline')[0] for name, module in sys.modules.items()"
    script += " if name.startswith('slowmo_pipeline')})\n"

    run = subprocess.run([python, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    names, origins = run.stdout.splitlines()
    assert names.split() == sorted(modules)
    assert origins == repr({f"{folder}/"})


def test_packing_runs_none_of_what_it_packs(model: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from slowmo_pipeline.serving.container.package import write_package\n"
        "write_package(Path(sys.argv[1]), 'film', Path(sys.argv[2]), {}, model_id='film-1-00000000')\n"
        "print(*{'tensorflow', 'cv2', 'uvicorn'} & set(sys.modules))"
    )

    command = [sys.executable, "-c", script, str(tmp_path / "model.tar.gz"), str(model)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n"


def test_the_model_id_is_read_back_from_the_package(model: Path, tmp_path: Path) -> None:
    write_package(tmp_path / "model.tar.gz", "film", model, {}, model_id=MODEL_ID)

    assert packaged_model_id(tmp_path / "model.tar.gz") == MODEL_ID


def tar_of_one(kind: bytes, *, links_to: str = "", pax: dict[str, str] | None = None) -> bytes:
    """A tar whose only member has the name of the properties, and is something else."""
    member = tarfile.TarInfo("serving.properties")
    member.type, member.linkname, member.pax_headers = kind, links_to, pax or {}
    return member.tobuf(tarfile.PAX_FORMAT) + bytes(1024)


def damaged_after(beginning: bytes) -> bytes:
    """A gzip file that is whole as far as the beginning, and no deflate after it."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(beginning) + packer.flush(zlib.Z_SYNC_FLUSH) + b"\xff" * 99


OTHERS = {
    "empty": b"",
    "no archive": b"no archive",
    "no tar": gzip.compress(b"no tar"),
    "empty tar": gzip.compress(bytes(10240)),
    "damaged header": damaged_after(b"serving"),
    "damaged properties": damaged_after(tar_bytes({"serving.properties": random.Random(0).randbytes(60_000)})[:50_000]),
    "link to nothing": gzip.compress(tar_of_one(tarfile.LNKTYPE, links_to="elsewhere")),
    "symbolic link to nothing": gzip.compress(tar_of_one(tarfile.SYMTYPE, links_to="elsewhere")),
    "link to itself": gzip.compress(tar_of_one(tarfile.SYMTYPE, links_to="serving.properties")),
    "folder": gzip.compress(tar_of_one(tarfile.DIRTYPE)),
    "sparse without numbers": gzip.compress(tar_of_one(tarfile.REGTYPE, pax={"GNU.sparse.map": "a,b"})),
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_other_files_are_no_package(content: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    other.write_bytes(content)

    with pytest.raises(ModelError, match=r"other\.tar\.gz"):
        packaged_model_id(other)


@pytest.mark.parametrize("model_id", ["", "../../x y", "film/1", "film 1", "film°", "f" * 129])
def test_a_model_id_that_is_no_part_of_a_key_is_refused(model_id: str, tmp_path: Path) -> None:
    package = tmp_path / "model.tar.gz"
    properties = f"option.film_model_id={model_id}\n".encode()
    package.write_bytes(gzip.compress(tar_bytes({"serving.properties": properties})))

    with pytest.raises(ModelError, match=r"must match .*: make it anew with `slowmo model package`"):
        packaged_model_id(package)


def test_a_package_of_before_is_told_by_its_age(tmp_path: Path) -> None:
    package = tmp_path / "model.tar.gz"
    package.write_bytes(gzip.compress(tar_bytes({"serving.properties": b"option.model_id=film-2-01234567\n"})))

    with pytest.raises(ModelError, match=r"was made by an earlier version.*`slowmo model package`"):
        packaged_model_id(package)


@pytest.mark.parametrize(
    ("options", "size"), [({}, (448, 256)), ({"warm_up": "320x180"}, (320, 180))], ids=["usual", "named"]
)
def test_warming_up_renders_frames_of_the_size_to_come(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], size: tuple[int, int]
) -> None:
    rendered: list[FrameShape] = []

    def noted(body: bytes, interpolator: Interpolator) -> bytes:
        rendered.append(ChunkReader(io.BytesIO(body)).shape)
        return handle(body, interpolator)

    monkeypatch.setattr("slowmo_pipeline.serving.container.model_folder.handle", noted)
    model_id = load_film(model, pyramid_levels=LEVELS).model_id
    folder = unpack(tmp_path, model, {"pyramid_levels": LEVELS, **options}, model_id=model_id)
    load_warm(folder, read_properties(folder))

    assert rendered == [FrameShape(*size, 8)]


def test_a_package_of_before_names_no_interpolator_and_is_film(model: Path, tmp_path: Path) -> None:
    model_id = load_film(model, pyramid_levels=LEVELS).model_id
    folder = unpack(tmp_path, model, {"pyramid_levels": LEVELS}, model_id=model_id)
    properties = read_properties(folder)

    assert properties.pop("interpolator") == "film"
    assert load_warm(folder, properties).model_id == model_id


def test_an_interpolator_without_weights_is_packaged_too(tmp_path: Path) -> None:
    model_id = FLOW.spec().make().model_id
    package = tmp_path / "model.tar.gz"
    write_package(package, "flow", None, {"warm_up": "64x48"}, model_id=model_id)

    folder = unpacked(package, tmp_path / "model")
    assert packaged_model_id(package) == load_warm(folder, read_properties(folder)).model_id == model_id
    assert "tensorflow" not in (folder / "requirements.txt").read_text()


def test_a_package_that_says_another_model_is_not_served(model: Path, tmp_path: Path) -> None:
    folder = unpack(tmp_path, model, {"pyramid_levels": LEVELS}, model_id=MODEL_ID)

    with pytest.raises(ModelError, match=rf"says {MODEL_ID}: package it again"):
        load_warm(folder, read_properties(folder))


def test_options_stand_in_the_properties(model: Path, tmp_path: Path) -> None:
    folder = unpack(tmp_path, model, {"tile_pixels": 262144, "block_height": 2}, model_id=MODEL_ID)

    lines = (folder / "serving.properties").read_text().splitlines()
    assert lines[-2:] == ["option.block_height=2", "option.tile_pixels=262144"]
    assert "option.entryPoint=model.py" in lines
    assert read_properties(folder)["block_height"] == "2"


def test_options_are_those_of_load_film() -> None:
    assert {option.name for option in FILM.options} <= set(inspect.signature(load_film).parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 2}, "There is no option 'blocks' of film. Known: pyramid_levels, block_height, block_width"),
        ({"block_width": "two"}, "block_width = 'two' must be a whole number of at least 1"),
        ({"block_width": 0}, "block_width = 0 must be a whole number of at least 1"),
        ({"tile_pixels": "9" * 5000}, "tile_pixels = '9+[.]{3}9+' must be .* at most nine digits"),
        ({"block_height": "0" * 5000 + "2"}, "must be a whole number"),
        ({"block_width": "2\noption.entryPoint=other.py"}, "must be a whole number"),
    ],
)
def test_bad_options_are_refused(options: dict[str, str | int], message: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        write_package(tmp_path / "model.tar.gz", "film", model, options, model_id=MODEL_ID)

    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_saved_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"give the folder that has saved_model\.pb in it"):
        write_package(tmp_path / "model.tar.gz", "film", tmp_path, {}, model_id=MODEL_ID)


def test_a_package_that_fails_leaves_the_one_before(model: Path, tmp_path: Path) -> None:
    package = tmp_path / "model.tar.gz"
    sha256 = write_package(package, "film", model, {}, model_id=MODEL_ID)
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / f"z{'z' * 200}").touch()

    with pytest.raises(ValueError, match="name is too long"):
        write_package(package, "film", copy, {}, model_id=MODEL_ID)

    assert hashlib.sha256(package.read_bytes()).hexdigest() == sha256
    assert {path.name for path in tmp_path.iterdir()} == {"model.tar.gz", "copy"}
