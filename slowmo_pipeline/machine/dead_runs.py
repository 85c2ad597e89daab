"""Runs whose process is gone, and how one is told from a run that lives or is yet to be launched."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterRun, DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.storage.tags import GRPC_INFO_TAG, PARENT_RUN_ID_TAG

from slowmo_pipeline.environment import Home
from slowmo_pipeline.locks import lock, opened, try_lock

_OWN_RUN_TAG = "slowmo/executed_by"

_LAUNCHING_SECONDS = 1
"""Dagster says that a run is STARTING some milliseconds before its launcher notes the server."""

_ANSWER_SECONDS = 5

_MAYBE_DEAD = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@contextmanager
def own_run(home: Home, run_id: str) -> Iterator[dict[str, str]]:
    """Execute a run in this process: yields the tags that let others see when the process is gone."""
    path = _lock_path(home, run_id)
    with opened(path) as descriptor:
        lock(descriptor)
        # The daemon cannot repeat a run that it did not launch.
        yield {_OWN_RUN_TAG: "slowmo run", "dagster/max_retries": "0"}
    path.unlink(missing_ok=True)


def is_own_run(run: DagsterRun) -> bool:
    """Whether a `slowmo run` executes this run. Not Dagster's repetition of one, which has the same tags."""
    return _OWN_RUN_TAG in run.tags and run.remote_job_origin is None


def close_dead_runs(instance: dg.DagsterInstance, home: Home) -> int:
    """Mark the runs whose process is gone as failed, so that their video can run again; returns how many.

    Dagster itself never notices: its default launcher has no health check. What was never launched, it fails by itself
    after `start_timeout_seconds`.
    """
    unfinished = instance.get_run_records(RunsFilter(statuses=_MAYBE_DEAD))
    suspects = [each for each in unfinished if _is_dead(each, instance, home)]
    if any(each.dagster_run.status == DagsterRunStatus.STARTING for each in suspects):
        time.sleep(_LAUNCHING_SECONDS)
    closed = 0
    for suspect in suspects:
        now = instance.get_run_record_by_id(suspect.dagster_run.run_id)
        if now is None or now.dagster_run.is_finished or not _is_dead(now, instance, home):
            continue  # between the two looks its process ended in good order, or it was launched again
        run = now.dagster_run
        instance.report_run_failed(run, "The process of this run was killed. Run the video again: it resumes.")
        _lock_path(home, run.run_id).unlink(missing_ok=True)
        closed += 1
    return closed


def _is_dead(record: RunRecord, instance: dg.DagsterInstance, home: Home) -> bool:
    if is_own_run(record.dagster_run):
        return not _is_held(_lock_path(home, record.dagster_run.run_id))
    server = _server_of(record, instance)
    return server is not None and _is_gone(json.loads(server))


def _server_of(record: RunRecord, instance: dg.DagsterInstance) -> str | None:
    """The code server that Dagster's default launcher asked to execute a run; None where that is not certain.

    A repeated run inherits the tag that says it, with all others of its parent, until its own launch overwrites it.
    """
    run = record.dagster_run
    server = run.tags.get(GRPC_INFO_TAG)
    if run.status == DagsterRunStatus.NOT_STARTED:
        return None  # nobody was asked yet
    parent_id = run.parent_run_id or run.tags.get(PARENT_RUN_ID_TAG)
    if record.start_time is not None or parent_id is None:
        return server
    parent = instance.get_run_by_id(parent_id)
    return None if parent is None or parent.tags.get(GRPC_INFO_TAG) == server else server


def _is_gone(server: Mapping[str, Any]) -> bool:
    """Whether nobody listens at that address; a server that is slow, or stopped for a while, does."""
    try:
        if "socket" in server:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(server["socket"])
        else:
            socket.create_connection((server["host"], server["port"]), _ANSWER_SECONDS).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:  # somewhere on the way: nothing is known
        return False
    return False


def _lock_path(home: Home, run_id: str) -> Path:
    return home.locks / f"run-{run_id}.lock"


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with opened(path) as descriptor:
        return not try_lock(descriptor)
