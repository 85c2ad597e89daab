"""The local endpoint: SageMaker's InvokeEndpointAsync over HTTP on loopback, run by worker processes on this machine.

As at SageMaker a request may run twice, results come in any order, and failures have names of their own. In one thing
it is nicer: every request ends with an object, and it tells which have not ended. Accepted requests outlive the server
in its state folder.
`python -m slowmo_pipeline.serving.local.server --state FOLDER --storage URL`
"""

import argparse
import asyncio
import logging
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.middleware import Middleware

from slowmo_pipeline.endpoint.local_state import EndpointAddress, ServerState
from slowmo_pipeline.endpoint.record import LocalServer
from slowmo_pipeline.endpoint.request_token import make_token, read_token, write_token
from slowmo_pipeline.errors import EndpointError, SettingsError, SlowmoError, StorageError
from slowmo_pipeline.serving.gpus import visible_gpus
from slowmo_pipeline.serving.local.admission import Admission
from slowmo_pipeline.serving.local.announcement import announce, announce_again
from slowmo_pipeline.serving.local.dispatcher import Dispatcher
from slowmo_pipeline.serving.local.endpoint_spec import EndpointSpec
from slowmo_pipeline.serving.local.http import create_app
from slowmo_pipeline.serving.local.request_queue import RequestLog
from slowmo_pipeline.serving.local.worker_process import Worker, WorkerSettings, usable_cores
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage

_GRACE_SECONDS = 2
"""For answers under way when the server ends."""
_LOOK_FOR_USERS_SECONDS = 1

logger = logging.getLogger(__name__)


def serve(
    *,
    state_dir: Path,
    storage_url: str,
    port: int = 0,
    workers: int | None = None,
    endpoints: Sequence[str] = ("flow",),
    until_unused: bool = False,
    open_to_all: bool = False,
) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT; requests that are then unfinished stay in the state folder.

    `port` 0 takes a free one. Each worker loads all `endpoints` (see EndpointSpec.parse); `workers` None means one a
    core, or one a GPU (one alone without any) where an interpolator uses all of it by itself. With `until_unused` it
    also ends once nobody uses it (endpoint/local.py). With `open_to_all` it takes requests without its token, of any
    user of this machine. Raises HomeError when another server owns the folder, and
    EndpointError when the port is taken or a worker cannot load its interpolators.
    """
    state = ServerState(state_dir)
    storage = open_storage(storage_url)
    served = [EndpointSpec.parse(entry) for entry in endpoints]
    count = _fitting_workers(served) if workers is None else workers
    if count < 1:
        raise SettingsError(f"workers = {count} must be at least 1.")
    settings = WorkerSettings(storage.url, served, count)
    # Outermost, so that a user who waits for the end of an unused server finds the folder free.
    with state.no_users() as no_users, state.owned(), closing(RequestLog(state.requests)) as log:
        server = _Server(state, storage, log, settings, port, no_users if until_unused else None, open_to_all)
        asyncio.run(_until_signalled(server.run()))


def _fitting_workers(served: Sequence[EndpointSpec]) -> int:
    entries = [endpoint.spec.entry for endpoint in served]
    if any(entry.busy_on_all_cores for entry in entries if entry):
        return max(len(visible_gpus()), 1)
    return usable_cores()


@dataclass(frozen=True)
class _Server:
    state: ServerState
    storage: Storage
    log: RequestLog
    workers: WorkerSettings
    port: int
    no_users: Callable[[], bool] | None
    """Whether nobody is left for whom it lives; None: it lives until it is told to end."""
    open_to_all: bool
    """Whether it takes requests without its token."""

    async def run(self) -> None:
        """Serve until cancelled, or unused."""
        first = await Worker.start(self.workers, 0)
        try:
            with _listening(self.port) as listener:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                this = LocalServer(
                    id=self.state.server_id(), url=url, host=platform.node(), state=str(self.state.folder.absolute())
                )
                for name, model_id in first.model_ids.items():
                    await asyncio.to_thread(announce, self.storage, name, model_id, this)
                dispatcher = Dispatcher(
                    self.log, self.storage, first.model_ids, lambda place: Worker.start(self.workers, place)
                )
                await self._serve(listener, dispatcher, first, this)
        finally:
            await first.kill()

    async def _serve(self, listener: socket.socket, dispatcher: Dispatcher, first: Worker, this: LocalServer) -> None:
        token = make_token()
        write_token(self.state.folder, token)
        admission = Middleware(Admission, token=None if self.open_to_all else token, folder=str(self.state.folder))
        app = create_app(dispatcher, self.storage, first.model_ids, this.id, admission)
        config = uvicorn.Config(
            app, lifespan="off", log_level="warning", log_config=None, timeout_graceful_shutdown=_GRACE_SECONDS
        )
        http = uvicorn.Server(config)
        serving = asyncio.create_task(http.serve(sockets=[listener]))
        parts = {serving, asyncio.create_task(dispatcher.run(first, workers=self.workers.count))}
        if self.no_users is not None:
            parts.add(asyncio.create_task(_until(self.no_users)))
        logger.info(
            "Serving %s on %s for %s with %d workers.",
            ", ".join(first.model_ids),
            this.url,
            self.storage.url,
            self.workers.count,
        )
        if self.open_to_all:
            logger.warning("Any user of this machine may have it read and write that storage.")
        address = EndpointAddress(
            url=this.url,
            pid=os.getpid(),
            storage=self.storage.url,
            endpoints=tuple(map(str, self.workers.endpoints)),
            started=time.time(),
        )
        try:
            with self.state.announced(address):
                parts.add(asyncio.create_task(self._keep_known(address, token, first.model_ids, this)))
                ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in ended:
                part.result()  # raises what ended it
        finally:
            http.should_exit = True
            await serving
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _keep_known(
        self, address: EndpointAddress, token: str, model_ids: Mapping[str, str], this: LocalServer
    ) -> None:
        """Write the address, the token and the records anew when somebody has torn or removed them."""
        while True:
            await asyncio.sleep(max(_LOOK_FOR_USERS_SECONDS, self.storage.poll_seconds))
            try:
                if self.state.address() != address:
                    self.state.show(address)
                if read_token(self.state.folder) != token:
                    write_token(self.state.folder, token)
                for name, model_id in model_ids.items():
                    await asyncio.to_thread(announce_again, self.storage, name, model_id, this)
            except (StorageError, OSError) as error:  # a full disk, say: the next look may succeed
                logger.warning("%s", error)


async def _until(no_users: Callable[[], bool]) -> None:
    while not no_users():
        await asyncio.sleep(_LOOK_FOR_USERS_SECONDS)
    logger.info("Nobody uses this server any more.")


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends by itself, or cancel it on SIGTERM and SIGINT."""
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Stays in force below uvicorn's own handler, which hands the signal on after its shutdown.
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(signalled.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if signalled.is_set():
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    else:
        await working


def _listening(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off, 40 ms a request, only for sockets that name their protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise EndpointError(f"127.0.0.1:{port} cannot be served: {error.strerror}. Choose another port.") from error
    return listener


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the command line says; a SlowmoError ends it with status 1 and its message."""
    parser = argparse.ArgumentParser(prog="python -m slowmo_pipeline.serving.local.server")
    parser.add_argument("--state", type=Path, required=True, help="folder for the server's log of requests and locks")
    parser.add_argument("--storage", required=True, help="root of the storage: a folder or s3://bucket/prefix")
    parser.add_argument("--port", type=int, default=0, help="default: a free one, named in endpoint.json")
    parser.add_argument("--workers", type=int, help="default: one a core, or one where it uses all cores")
    parser.add_argument("--endpoint", action="append", help="NAME or NAME=SPEC; default: flow; repeatable")
    parser.add_argument("--until-unused", action="store_true", help="end with the last user")
    parser.add_argument("--open", action="store_true", help="take requests of all users, without the server's token")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        serve(
            state_dir=options.state,
            storage_url=options.storage,
            port=options.port,
            workers=options.workers,
            endpoints=options.endpoint or ("flow",),
            until_unused=options.until_unused,
            open_to_all=options.open,
        )
    except SlowmoError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
