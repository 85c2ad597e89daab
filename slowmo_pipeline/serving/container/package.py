"""model.tar.gz: a model's weights, the code that serves them and the settings, for a SageMaker endpoint.

The same package serves in DJL Serving's image and in our own (deploy/serving). It carries its code, so that what was
deployed is what runs, whatever the image holds. Equal inputs give equal bytes: the SHA-256 names the package.
"""

import ast
import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from slowmo_pipeline.chunks.documents import MODEL_ID_PATTERN
from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.interpolation.catalog import CatalogEntry, OptionValue, entry_of
from slowmo_pipeline.serving.container.model_folder import (
    INTERPOLATOR,
    PROPERTIES,
    WARM_UP,
    WITHOUT_NAME,
    factory_options,
    model_id_property,
    parse_properties,
    warm_up_size,
)
from slowmo_pipeline.storage.disk_errors import replacing
from slowmo_pipeline.storage.hashing import file_sha256

_SERVER = "slowmo_pipeline.serving.container.server"
"""What our own image runs; DJL Serving runs model.py."""

_CODE = "slowmo_pipeline"
_CODE_FOLDER = Path(__file__).parents[3]
"""Holds the folder `slowmo_pipeline`."""
_DJL_FOLDER = Path(__file__).with_name("djl")
_MODEL = "model.py"
_REQUIREMENTS = "requirements.txt"
"""Of DJL's adapter; an interpolator may have its own, in its folder."""

_EARLIER_MODEL_ID = "model_id"
_LARGEST_PROPERTIES = 1 << 16
_GZIP_LEVEL = 1  # weights hardly shrink at any level


def write_package(
    output: Path, interpolator: str, model: Path | None, options: Mapping[str, OptionValue], *, model_id: str
) -> str:
    """Write model.tar.gz to `output`, whole or not at all; return its SHA-256 as 64 hex digits.

    `interpolator` is a name of the catalog, `model` the folder of its weights, None where it has none. `options` are
    those of the interpolator, and model_folder.WARM_UP; `model_id` is that of what its factory makes of them.
    Raises ModelError when the folder holds no such weights, SettingsError for an unknown interpolator or option or a
    bad value, and StorageError when `output` cannot be written.
    """
    entry = entry_of(interpolator)
    properties = _properties(entry, options, model_id)
    members = [(_MODEL, _DJL_FOLDER / _MODEL)]
    members += [(path.as_posix(), _CODE_FOLDER / path) for path in serving_code(entry)]
    members += [(f"{entry.name}/{name}", path) for name, path in _weights(entry, model)]
    with replacing(output) as aside:
        with aside.open("wb") as file:
            _write(file, {PROPERTIES: properties, _REQUIREMENTS: _requirements(entry)}, members)
        return file_sha256(aside)


def packaged_model_id(package: Path) -> str:
    """The model id of a package; ModelError for any other file. Reads only its beginning."""
    try:
        with tarfile.open(package, "r:gz") as tar:
            first = tar.next()
            # A link of that name is none of ours, and may lead nowhere.
            is_ours = first is not None and first.name == PROPERTIES and first.isreg()
            properties = tar.extractfile(first) if first is not None and is_ours else None
            lines = properties.read(_LARGEST_PROPERTIES).decode().splitlines() if properties else []
    # ValueError: text that is no UTF-8, and headers with numbers that are none.
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError) as error:
        raise ModelError(f"{package} cannot be read as a package: {error}.") from error
    found = parse_properties(lines)
    model_id = found.get(model_id_property(found.get(INTERPOLATOR, WITHOUT_NAME)))
    if model_id is None:
        if _EARLIER_MODEL_ID in found:
            raise ModelError(
                f"{package} was made by an earlier version, whose code loses large results: make it anew with `slowmo "
                "model package`."
            )
        raise ModelError(f"{package} is no package of a model: make one with `slowmo model package`.")
    if not MODEL_ID_PATTERN.fullmatch(model_id):
        raise ModelError(
            f"{package} names its model {model_id[:200]!r}, which must match {MODEL_ID_PATTERN.pattern}: make it anew "
            "with `slowmo model package`."
        )
    return model_id


def serving_code(entry: CatalogEntry) -> list[Path]:
    """The source files of this package that serving needs, relative to the folder that holds it, sorted.

    Of interpolators it is the one of this entry, and what that imports.

    Found by reading import statements, those inside functions too; nothing is imported.
    """
    found: set[Path] = set()
    named = [name.partition(":")[0] for name in (entry.factory, entry.devices) if name]
    waiting = [_SERVER, *named, *_imports(_DJL_FOLDER / _MODEL)]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or path in found:
            continue
        found.add(path)
        waiting += [name.rpartition(".")[0], *_imports(path)]
    return sorted(path.relative_to(_CODE_FOLDER) for path in found)


def _imports(source: Path) -> Iterator[str]:
    """Names that a source file imports from this package: modules, and what may be one."""
    for node in ast.walk(ast.parse(source.read_bytes(), filename=str(source))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.partition(".")[0] == _CODE)


def _file_of(name: str) -> Path | None:
    """The source of a module or a package; None for any other name."""
    stem = _CODE_FOLDER.joinpath(*name.split("."))
    return next((path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()), None)


def _weights(entry: CatalogEntry, model: Path | None) -> list[tuple[str, Path]]:
    """The files of a model's folder, by their paths in it."""
    if entry.weights is None or model is None:
        return []
    if not (model / entry.weights.file).is_file():
        raise ModelError(f"{model} is no {entry.weights.kind}: give the folder that has {entry.weights.file} in it.")
    return [(path.relative_to(model).as_posix(), path) for path in sorted(model.rglob("*")) if path.is_file()]


def _requirements(entry: CatalogEntry) -> bytes:
    """What DJL Serving installs: what its adapter needs, and what the interpolator needs besides."""
    module = _file_of(entry.factory.partition(":")[0])
    own = [module.with_name(_REQUIREMENTS)] if module else []
    return b"\n".join(path.read_bytes() for path in [_DJL_FOLDER / _REQUIREMENTS, *own] if path.is_file())


def _write(file: BinaryIO, made: Mapping[str, bytes], members: Iterable[tuple[str, Path]]) -> None:
    with (
        gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in made.items():
            tar.addfile(_member(name, len(data)), io.BytesIO(data))
        for name, path in members:
            with path.open("rb") as content:
                tar.addfile(_member(name, path.stat().st_size), content)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A header that says nothing of this machine: time 0, user 0, readable by all."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info


def _properties(entry: CatalogEntry, options: Mapping[str, OptionValue], model_id: str) -> bytes:
    known = [*(option.name for option in entry.options), WARM_UP]
    if unknown := sorted(set(options) - set(known)):
        raise SettingsError(f"There is no option {unknown[0]!r} of {entry.name}. Known: {', '.join(known)}.")
    factory_options(entry, options)
    warm_up_size(options)
    named = {INTERPOLATOR: entry.name, model_id_property(entry.name): model_id}
    lines = [f"option.{name}={value}\n" for name, value in [*named.items(), *sorted(options.items())]]
    text = (_DJL_FOLDER / PROPERTIES).read_text()
    return "".join([text, "\n# Which interpolator and which model this is, and its options.\n", *lines]).encode()
