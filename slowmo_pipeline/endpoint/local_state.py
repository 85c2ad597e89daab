"""The state folder of a local server: its address, its log of requests, and the locks that say who uses it.

    server.lock       held alone by the server while it lives; holds its pid
    server-id         names the folder to those who sent it something: the same for every server in it
    users.lock        shared by those who use the server; a server that ends with its last user tries to hold it alone
    start.lock        held alone by whoever looks for a live server and may start one
    request-token     what requests must carry, for its user alone to read (request_token.py)
    endpoint.json     the address, there while the server takes requests
    endpoint.log      what a server that was started for its users has to say; .1 is the one before
    requests.sqlite   what was accepted and is not finished

The locks are flock(2): the kernel drops them with their process, SIGKILL included.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from slowmo_pipeline.errors import DamagedRecordError, HomeError
from slowmo_pipeline.locks import lock, opened, try_lock
from slowmo_pipeline.record import Items, Record

_PATIENCE_SECONDS = 1
"""Whoever asks whether there is a server holds its lock for a moment."""


class EndpointAddress(Record):
    """Where a local server is and what it serves."""

    url: str
    """`http://127.0.0.1:port`, for boto3's endpoint_url."""
    pid: int
    storage: str
    """The storage's root, as in `Storage.url`."""
    endpoints: Items[str]
    """As `str(EndpointSpec)`."""
    started: float
    """Seconds since the epoch."""

    def serves(self, entry: str) -> bool:
        """Whether it has that endpoint: `NAME`, however that is made, or `NAME=SPEC` exactly."""
        names = {served.partition("=")[0] for served in self.endpoints}
        return entry in names or entry in self.endpoints


class ServerState:
    """One state folder; made by the first who needs a lock in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "endpoint.log"
        self.requests = folder / "requests.sqlite"
        self._address = folder / "endpoint.json"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the folder, as the one server in it; HomeError names the one that does."""
        with opened(self.folder / "server.lock") as descriptor:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not try_lock(descriptor):
                if time.monotonic() > deadline:
                    pid = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
                    raise HomeError(
                        f"An endpoint server (pid {pid}) already uses {self.folder}: use that one, or end it first."
                    )
                time.sleep(_PATIENCE_SECONDS / 10)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            self._address.unlink(missing_ok=True)  # of a server that was killed
            yield

    def server_id(self) -> str:
        """The id of the folder, made by its first server; for the server that owns it. A torn one is made anew."""
        path = self.folder / "server-id"
        with suppress(FileNotFoundError, ValueError):
            return uuid.UUID(hex=path.read_bytes().decode("ascii")).hex
        made = uuid.uuid4().hex
        _replace(path, made.encode())
        return made

    @property
    def has_server(self) -> bool:
        """Whether a server owns the folder, ready or not."""
        with opened(self.folder / "server.lock") as descriptor:
            # Shared, so that two who ask do not take each other for the server.
            return not try_lock(descriptor, shared=True)

    @contextmanager
    def announced(self, address: EndpointAddress) -> Iterator[None]:
        """Show the address to those who look for the server."""
        self.show(address)
        try:
            yield
        finally:
            self._address.unlink(missing_ok=True)

    def show(self, address: EndpointAddress) -> None:
        """Write the address where it is looked for, whole or not at all."""
        _replace(self._address, address.to_json())

    def address(self) -> EndpointAddress | None:
        """The address shown last; whether a server still answers there is another question. Raises HomeError."""
        try:
            return EndpointAddress.from_json(self._address.read_bytes(), where=str(self._address))
        except (FileNotFoundError, DamagedRecordError):
            return None  # a torn one as well: the server shows its address anew
        except OSError as error:
            raise HomeError(
                f"{self._address} cannot be read: {error.strerror}. Set SLOWMO_HOME to a folder you may write to."
            ) from error

    @contextmanager
    def used(self) -> Iterator[None]:
        """Be a user. Waits while a server that found itself unused ends."""
        with opened(self.folder / "users.lock") as descriptor:
            lock(descriptor, shared=True)
            yield

    @contextmanager
    def no_users(self) -> Iterator[Callable[[], bool]]:
        """Yields what tells the server whether nobody uses it; from the first True on nobody can before this ends."""
        with opened(self.folder / "users.lock") as descriptor:
            yield partial(try_lock, descriptor)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Be the only one who looks for a server and may start one."""
        with opened(self.folder / "start.lock") as descriptor:
            lock(descriptor)
            yield


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    aside = path.with_suffix(".tmp")
    aside.write_bytes(content)
    aside.replace(path)
