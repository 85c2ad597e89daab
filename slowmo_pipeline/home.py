"""SLOWMO_HOME: made once, locked where only one may work, and cleared of runs whose process is gone.

dagster/         DAGSTER_HOME
endpoint/        state of the local endpoint
storage/         the storage root, unless SLOWMO_STORAGE names another
locks/           home.lock: held while the home is made ready
                 up.lock: held by the one `slowmo up`
                 video-<id>.lock: held by a `slowmo run` of that video
                 run-<run id>.lock: held by the process that executes the run
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import dagster as dg
from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import DBAPIError  # of Dagster's database, which is SQLAlchemy's

from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError, SlowmoError
from slowmo_pipeline.locks import lock, opened, try_lock
from slowmo_pipeline.storage.disk_errors import disk_errors, full

OWN_RUN_TAG = "slowmo/executed_by"
"""Marks the runs that `slowmo run` executes in its own process."""

_MAYBE_DEAD = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
# What is said here is for a terminal. Dagster would have it take the way over a file in the home, which no full disk
# takes, and a `tail` of it.
_UNCAPTURED = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
_LEAST_FREE_BYTES = 1 << 20
"""Less is a full disk to SQLite."""

# Dagster's default launcher notes here which code server it asked to execute a run.
_LAUNCHED_BY_TAG = ".dagster/grpc_info"


@contextmanager
def open_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The home's Dagster instance, made and cleared of dead runs if need be.

    Four processes that open a fresh SQLite instance at once break it for good, hence the lock. Raises HomeError, or
    DiskFullError, also for what Dagster's database meets while the instance is in use.
    """
    with _database_errors(home):
        with locked(home, "home"), disk_errors(home.root, setting="SLOWMO_HOME"):
            _make_dagster_home(home)
            instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home.dagster), overrides=_UNCAPTURED))
            instance.get_runs_count()
            close_dead_runs(instance, home)
        with instance:
            yield instance


def _make_dagster_home(home: Home) -> None:
    """Dagster's folder, with its settings; whole or not at all, as one that was cut off cannot be mended."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    config = home.dagster / "dagster.yaml"
    if not config.exists():
        aside = config.with_suffix(".new")
        with packaged("dagster.yaml") as default:
            shutil.copy(default, aside)
        aside.replace(config)


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


@contextmanager
def packaged(name: str) -> Iterator[Path]:
    """A file that the package carries."""
    with as_file(files("slowmo_pipeline") / name) as path:
        yield path


@contextmanager
def locked(home: Home, name: str, *, busy: str | None = None) -> Iterator[None]:
    """Hold a lock of the home alone. Waits for it, or raises HomeError with the message `busy` if there is one."""
    with opened(home.locks / f"{name}.lock") as descriptor:
        if not try_lock(descriptor):
            if busy is not None:
                raise HomeError(busy)
            lock(descriptor)
        yield


@contextmanager
def own_run(home: Home, run_id: str) -> Iterator[dict[str, str]]:
    """Execute a run in this process: yields the tags that let others see when the process is gone."""
    with locked(home, f"run-{run_id}"):
        # The daemon cannot repeat a run that it did not launch.
        yield {OWN_RUN_TAG: "slowmo run", "dagster/max_retries": "0"}
    _lock_path(home, run_id).unlink(missing_ok=True)


def close_dead_runs(instance: dg.DagsterInstance, home: Home) -> int:
    """Mark the runs whose process is gone as failed, so that their video can run again; returns how many.

    Dagster itself never notices: its default launcher has no health check.
    """
    closed = 0
    for run in instance.get_runs(RunsFilter(statuses=_MAYBE_DEAD)):
        if not _is_dead(run, home):
            continue
        now = instance.get_run_by_id(run.run_id)
        if now is None or now.is_finished or not _is_dead(now, home):
            continue  # between the two looks its process ended in good order, or it was launched again
        instance.report_run_failed(now, "The process of this run was killed. Run the video again: it resumes.")
        _lock_path(home, run.run_id).unlink(missing_ok=True)
        closed += 1
    return closed


def _is_dead(run: DagsterRun, home: Home) -> bool:
    if OWN_RUN_TAG in run.tags:
        return not _is_held(_lock_path(home, run.run_id))
    launched_by = run.tags.get(_LAUNCHED_BY_TAG)
    return launched_by is not None and not _code_server_answers(json.loads(launched_by))


def _code_server_answers(address: dict[str, object]) -> bool:
    from dagster._grpc.client import DagsterGrpcClient  # the launcher's own way to reach it; loads gRPC

    port, socket, host = address.get("port"), address.get("socket"), address.get("host")
    client = DagsterGrpcClient(
        port=int(str(port)) if port else None, socket=str(socket) if socket else None, host=str(host or "localhost")
    )
    try:
        client.ping("")
    except Exception:  # gRPC has an error for every way of being gone
        return False
    return True


def _lock_path(home: Home, run_id: str) -> Path:
    return home.locks / f"run-{run_id}.lock"


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with opened(path) as descriptor:
        return not try_lock(descriptor)
