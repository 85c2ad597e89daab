"""The models that a home keeps: fetched once, under a name, and never silently replaced.

models/<name>/         a SavedModel
models/<name>.json     where it came from, and the SHA-256 of its content: what comes next must have the same
models/.incoming/      what is being fetched; what a killed fetch left in it goes at the next
"""

import errno
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import DamagedRecordError, DiskFullError, ModelError, SettingsError, SlowmoError
from slowmo_pipeline.interpolation.catalog import CatalogEntry, Weights
from slowmo_pipeline.locks import opened, try_lock
from slowmo_pipeline.models.download import download, is_url, without_secrets
from slowmo_pipeline.models.hub import PUBLISHED, download_published
from slowmo_pipeline.models.saved_model import GRAPH, copy_saved_model, saved_model_sha256
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.record import Record

DEFAULT_NAME = "film"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Kept(Record):
    """The record beside a model."""

    source: str
    sha256: str


@dataclass(frozen=True)
class FetchedModel:
    """A model that the home keeps."""

    path: Path
    """Folder of the SavedModel, absolute."""
    sha256: str
    """Of its content, as `saved_model_sha256` makes it."""


def fetch_model(
    home: Home,
    source: str | None,
    *,
    name: str = DEFAULT_NAME,
    member: str | None = None,
    sha256: str | None = None,
    try_out: Callable[[Path], object],
    progress: Progress,
) -> FetchedModel:
    """Get a SavedModel and keep it under a name; fetching the same again is harmless, and mends what was damaged.

    `source` is an http(s) address or a path of a .zip or a .tar.gz, or a folder; None is the published FILM. `member`
    names the folder inside it where several hold a SavedModel. `sha256` is what `saved_model_sha256` must be. `try_out`
    renders with the SavedModel in a folder, and raises ModelError when that fails: it is not kept then.
    Raises SettingsError for a name or a SHA-256 that is none, ModelError when the model cannot be had, or is not the
    one expected or kept under that name, and DiskFullError.
    """
    if _NAME.fullmatch(name) is None:
        raise SettingsError(f"{name!r} is no name of a model: use letters, digits, - and _, such as film-l1.")
    expected = None if sha256 is None else sha256.lower()
    if expected is not None and _SHA256.fullmatch(expected) is None:
        raise SettingsError(f"{sha256!r} is no SHA-256: it has 64 hexadecimal digits.")
    with _incoming(home) as incoming:
        fresh = incoming / "model"
        obtained, shown = _obtained(source, incoming, progress)
        copy_saved_model(obtained, fresh, origin=shown, member=member, progress=progress)
        found = FetchedModel(home.models / name, saved_model_sha256(fresh))
        if expected not in (None, found.sha256):
            raise ModelError(
                f"The SHA-256 of {shown} is {found.sha256}, not {expected}: it is not the model that was meant. Check "
                "where it comes from."
            )
        _require_same(found, shown)
        try_out(fresh)
        _keep(found, fresh, shown)
    return found


def model_folder(home: Home, entry: CatalogEntry, given: str | None) -> Path | None:
    """The folder of an interpolator's model, of that name or path; None where it has no weights.

    Raises ModelError when there is no such model, and SettingsError for one that the interpolator does not take.
    """
    if entry.weights is not None:
        return resolve_model(home, given, entry.weights, default=entry.name)
    if given is not None:
        raise SettingsError(f"The interpolator {entry.name} takes no model: leave {given} out.")
    return None


def resolve_model(home: Home, given: str | None, weights: Weights, *, default: str) -> Path:
    """The folder of a model, absolute: of a kept one by its name, or by its path (`./film` where both exist).

    None is the model that the home keeps as `default`. Raises ModelError when there is none with such weights.
    """
    name = default if given is None else given
    kept = home.models / name
    if _NAME.fullmatch(name) and (kept / weights.file).is_file():
        return kept
    if given is None:
        raise ModelError(f"There is no model in {kept}: {weights.obtain}.")
    path = Path(given).absolute()
    if path.is_dir():
        if (path / weights.file).is_file():
            return path
        raise ModelError(f"{path} is no {weights.kind}: it has no {weights.file}. Give the folder that holds it.")
    raise ModelError(
        f"{given} is neither a folder nor the name of a fetched model: {weights.obtain}; there are: "
        f"{', '.join(fetched_models(home, weights.file)) or 'none'}."
    )


def fetched_models(home: Home, file: str = GRAPH) -> list[str]:
    """Names of the models that the home keeps, sorted; those with this file in them."""
    return sorted(name for found in home.models.glob(f"*/{file}") if _NAME.fullmatch(name := found.parent.name))


def _obtained(source: str | None, incoming: Path, progress: Progress) -> tuple[Path, str]:
    """A folder or an archive with the source's content, and what messages and the record call the source."""
    if source is None:
        return download_published(incoming / "hub"), PUBLISHED
    if is_url(source):
        download(source, incoming / "download", progress)
        return incoming / "download", without_secrets(source)
    path = Path(source).absolute()
    return path, str(path)


def _require_same(found: FetchedModel, shown: str) -> None:
    """Raise ModelError if something else was kept under that name before."""
    before = _recorded_sha256(found.path)
    if before is None and found.path.exists():
        # A fetch was killed between folder and record, or somebody put the folder there.
        before = saved_model_sha256(found.path)
    if before not in (None, found.sha256):
        raise ModelError(
            f"{found.path} was fetched with SHA-256 {before}, but {shown} has {found.sha256}. Fetch it under another "
            f"--name, or delete {found.path} and {_record_of(found.path)} first."
        )


def _keep(model: FetchedModel, fresh: Path, shown: str) -> None:
    """Put the new folder and its record in place; a crash in between costs the record, not the model."""
    if not model.path.exists() or saved_model_sha256(model.path) != model.sha256:
        shutil.rmtree(model.path, ignore_errors=True)
        fresh.replace(model.path)
    if _recorded_sha256(model.path) is None:
        aside = fresh.with_name("record")
        aside.write_bytes(_Kept(source=shown, sha256=model.sha256).to_json())
        aside.replace(_record_of(model.path))


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _recorded_sha256(path: Path) -> str | None:
    record = _record_of(path)
    if not record.exists():
        return None
    try:
        return _Kept.from_json(record.read_bytes(), where=str(record)).sha256
    except DamagedRecordError as error:
        raise ModelError(f"{error} Delete it and {path}, and fetch the model again.") from error


@contextmanager
def _incoming(home: Home) -> Iterator[Path]:
    """An empty folder on the models' own disk, for one fetch at a time."""
    folder = home.models / ".incoming"
    with opened(home.locks / "models.lock") as descriptor:
        if not try_lock(descriptor):
            raise ModelError(f"Another fetch into {home.models} is under way: wait for its end.")
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            yield folder
        except SlowmoError:
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFullError(
                    f"The disk of {home.models} is full: the model was not kept. Free some space, or set SLOWMO_HOME "
                    "to a folder on another disk."
                ) from error
            raise ModelError(f"The model cannot be kept in {home.models}: {error}.") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
