"""SLOWMO_HOME: made once, locked where only one may work, and cleared of runs whose process is gone.

dagster/         DAGSTER_HOME
dagster.new/     the same while it is made
endpoint/        state of the local endpoint
storage/         the storage root, unless SLOWMO_STORAGE names another
locks/           home.lock: held while the home is made ready
                 up.lock: held by the one `slowmo up`
                 video-<id>.lock: held by a `slowmo run` of that video
                 run-<run id>.lock: held by the process that executes the run
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import DBAPIError  # of Dagster's database, which is SQLAlchemy's

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError, SlowmoError
from slowmo_pipeline.locks import lock, opened, try_lock
from slowmo_pipeline.machine.dead_runs import close_dead_runs
from slowmo_pipeline.storage.disk_errors import disk_errors, full

# What is said here is for a terminal. Dagster would have it take the way over a file in the home, which no full disk
# takes, and a `tail` of it.
_UNCAPTURED = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
_PARTS = ("dagster.yaml", "history", "schedules")
"""Of the folder of Dagster: its settings, the database of runs and events, that of sensors."""
_LEAST_FREE_BYTES = 1 << 20
"""Less is a full disk to SQLite."""


@contextmanager
def open_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The home's Dagster instance, made and cleared of dead runs if need be.

    Four processes that open a fresh SQLite instance at once break it for good, hence the lock. Raises HomeError, or
    DiskFullError, also for what Dagster's database meets while the instance is in use.
    """
    with _database_errors(home):
        with locked(home, "home"), disk_errors(home.root, setting="SLOWMO_HOME"):
            _make_dagster_home(home)
            instance = _instance_of(home.dagster)
            close_dead_runs(instance, home)
        with instance:
            yield instance


def _instance_of(folder: Path) -> dg.DagsterInstance:
    instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=_UNCAPTURED))
    instance.get_runs_count()  # with which its databases are there
    return instance


def _make_dagster_home(home: Home) -> None:
    """Dagster's settings and databases, each whole or not at all, as one that was cut off is never mended."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    if all((home.dagster / name).exists() for name in _PARTS):
        return
    aside = home.root / "dagster.new"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir()
    with packaged("dagster.yaml") as default:
        shutil.copyfile(default, aside / "dagster.yaml")  # not its mode: that is for the umask
    with _instance_of(aside):
        pass
    for name in _PARTS:
        if not (home.dagster / name).exists():
            (aside / name).replace(home.dagster / name)
    shutil.rmtree(aside)


@contextmanager
def _database_errors(home: Home) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _of_database(home, error.orig or error) from error
    except sqlite3.Error as error:
        raise _of_database(home, error) from error


def _of_database(home: Home, error: BaseException) -> SlowmoError:
    # "disk I/O error" is also how SQLite says that there was no room for its journal.
    if shutil.disk_usage(home.root).free < _LEAST_FREE_BYTES:
        return full(home.root, "SLOWMO_HOME")
    return HomeError(
        f"Dagster's database in {home.dagster} cannot be used: {error}. Look at the disk; if the database is damaged, "
        "move that folder away: the videos stay, and only the history of runs is lost."
    )


def packaged(name: str) -> AbstractContextManager[Path]:
    """A file that the package carries."""
    return as_file(files("slowmo_pipeline") / name)


@contextmanager
def locked(home: Home, name: str, *, busy: str | None = None) -> Iterator[None]:
    """Hold a lock of the home alone. Waits for it, or raises HomeError with the message `busy` if there is one."""
    with opened(home.locks / f"{name}.lock") as descriptor:
        if not try_lock(descriptor):
            if busy is not None:
                raise HomeError(busy)
            lock(descriptor)
        yield
