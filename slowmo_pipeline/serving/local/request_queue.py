"""Accepted requests on disk: what the server has answered 202 for, it still knows after a crash.

SQLite, since a commit is durable as a whole or not at all, and the queue needs no place in memory. The log is open in
one process only, which the server's lock sees to.
"""

import logging
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.storage.disk_errors import full


@dataclass(frozen=True)
class Request:
    """One accepted invocation."""

    id: str
    """The server's own; a client may use one InferenceId twice."""
    storage: str
    """Root that the keys lie below, as in `Storage.url`."""
    endpoint: str
    inference_id: str
    input_key: str
    result_key: str
    failure_key: str
    ttl_seconds: int
    """Longest wait in the queue."""
    timeout_seconds: int
    """Longest processing."""
    accepted_at: float
    """Seconds since the epoch."""
    deaths: int = 0
    """Workers that died over it."""

    @property
    def expired(self) -> bool:
        """Whether it has waited too long for its first worker."""
        return self.deaths == 0 and time.time() > self.accepted_at + self.ttl_seconds


logger = logging.getLogger(__name__)

# What SQLite says of the disk and of others who use the file; anything else is the file's own doing.
_NOT_TORN = ("locked", "disk I/O error", "disk is full", "unable to open", "readonly", "permission")

_COLUMNS = ", ".join(field.name for field in fields(Request))
_PLACES = ", ".join("?" for _ in fields(Request))


class RequestLog:
    """The requests that were accepted and are not finished, in order of acceptance.

    A file that a crash has torn is set aside, and the log begins anew: whoever waits for its requests submits them
    again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._database = _opened(path)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if any(words in str(error) for words in _NOT_TORN):
                raise _unusable(path, error) from error
            aside = _set_aside(path)
            logger.error("%s is damaged (%s) and was moved to %s: what had been accepted is lost.", path, error, aside)
            self._database = _opened(path)

    def close(self) -> None:
        """Close the file; requests stay in it."""
        self._database.close()

    def add(self, request: Request) -> None:
        """Keep a request. It is on the disk when this returns; DiskFullError or HomeError when it cannot be."""
        values = [getattr(request, field.name) for field in fields(Request)]
        with self._errors_as_home_error():
            self._database.execute(f"INSERT INTO requests ({_COLUMNS}) VALUES ({_PLACES})", values)

    def get(self, request_id: str) -> Request:
        """The request; KeyError when it is finished."""
        query = f"SELECT {_COLUMNS} FROM requests WHERE id = ?"
        row = self._database.execute(query, [request_id]).fetchone()
        if row is None:
            raise KeyError(request_id)
        return Request(*row)

    def ids(self, storage: str, endpoints: Collection[str]) -> list[str]:
        """The ids of the requests for these endpoints over this storage, oldest first.

        Those for others wait for a server that serves them.
        """
        places = ", ".join("?" for _ in endpoints)
        query = f"SELECT id FROM requests WHERE storage = ? AND endpoint IN ({places}) ORDER BY rowid"
        return [row[0] for row in self._database.execute(query, [storage, *endpoints])]

    def results(self, storage: str, endpoints: Collection[str], *, below: str) -> dict[str, str]:
        """Of the same requests those for results below a prefix: id to the key of the result."""
        places = ", ".join("?" for _ in endpoints)
        query = f"SELECT id, result_key FROM requests WHERE storage = ? AND endpoint IN ({places})"
        rows = self._database.execute(
            f"{query} AND substr(result_key, 1, ?) = ?", [storage, *endpoints, len(below), below]
        )
        return dict(rows.fetchall())

    def count_death(self, request: Request) -> None:
        """Note that a worker died over the request. Raises as `add` does."""
        with self._errors_as_home_error():
            self._database.execute("UPDATE requests SET deaths = deaths + 1 WHERE id = ?", [request.id])

    def remove(self, request: Request) -> None:
        """Forget a request, which has ended. Raises as `add` does."""
        with self._errors_as_home_error():
            self._database.execute("DELETE FROM requests WHERE id = ?", [request.id])

    @contextmanager
    def _errors_as_home_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "full" in str(error):
                raise full(self._path.parent, "SLOWMO_HOME") from error
            raise _unusable(self._path, error) from error


def _opened(path: Path) -> sqlite3.Connection:
    # Autocommit: each statement is one durable step.
    database = sqlite3.connect(path, isolation_level=None)
    try:
        # Locked before WAL is chosen, SQLite keeps its index in memory, so network file systems do.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"CREATE TABLE IF NOT EXISTS requests ({_COLUMNS}, PRIMARY KEY (id))")
        [(verdict,)] = database.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        for _ in database.execute(f"SELECT {_COLUMNS} FROM requests"):
            pass  # whatever cannot be read shows now
    except BaseException:
        database.close()
        raise
    return database


def _unusable(path: Path, error: Exception) -> HomeError:
    return HomeError(f"{path} cannot be used: {error}. Look at the disk and at who else uses the file, then try again.")


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):  # of the torn file: applied to a new one, they would tear it as well
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
