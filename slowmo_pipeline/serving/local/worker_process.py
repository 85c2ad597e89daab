"""Worker processes as the server sees them: started, sent one job at a time, killed.

Plain child processes rather than a process pool: thread limits must stand in the environment before the libraries
load, a closed socket tells both sides at once that the other died, and a worker imports nothing of the server.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from slowmo_pipeline.child_python import running
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.serving.failure import Failure
from slowmo_pipeline.serving.gpus import see_only
from slowmo_pipeline.serving.local.endpoint_spec import EndpointSpec
from slowmo_pipeline.serving.local.request_queue import Request

_START_SECONDS = 600
"""Loading a large model from a slow disk takes minutes; more means stuck."""

_EXIT_SECONDS = 5

_LONGEST_ANSWER = 1 << 20
"""Bytes; asyncio's own limit is 64 KiB, and a worker keeps far below either."""

# Each library asks its own variable, once, when it is loaded.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class WorkerDiedError(EndpointError):
    """A worker process ended before it answered."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker of a server is started with."""

    storage_url: str
    endpoints: Sequence[EndpointSpec]
    count: int
    """How many workers share the machine."""

    def command(self, descriptor: int) -> list[str]:
        """The command line of a worker that answers on this socket."""
        served = map(str, self.endpoints)
        return running("slowmo_pipeline.serving.local.worker_main", str(descriptor), self.storage_url, *served)

    def environment(self, place: int) -> dict[str, str]:
        """The environment of the worker in that place of `count`: its share of the cores, and its GPU if there are any.

        The cores are every library's number of threads.
        """
        threads = str(max(1, usable_cores() // self.count))
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, threads)}
        see_only(place, environment)
        return environment


def usable_cores() -> int:
    """Cores that this process may run on; fewer than the machine has in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker:
    """A running worker process. Killed, never asked to end: what it was doing is in the log of requests."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.model_ids: Mapping[str, str] = {}
        """Endpoint's name to model id, once it has started."""

    @classmethod
    async def start(cls, settings: WorkerSettings, place: int) -> "Worker":
        """Start the worker of a place and wait until its models are loaded; EndpointError if it cannot load them."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *settings.command(theirs.fileno()),
                env=settings.environment(place),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is for the server
            )
        worker = cls(process, *await asyncio.open_unix_connection(sock=ours, limit=_LONGEST_ANSWER))
        try:
            worker.model_ids = await asyncio.wait_for(worker._answer(), _START_SECONDS)
        except BaseException as error:  # cancelling included
            await worker.kill()
            if isinstance(error, asyncio.TimeoutError):
                raise EndpointError(f"A worker did not load its model within {_START_SECONDS} seconds.") from None
            raise
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as is known."""
        return self._process.returncode is None

    async def run(self, request: Request, tell: Callable[[str], None]) -> Failure | None:
        """Have a request processed; how it failed, or None once its result is stored.

        `tell` is told what keeps the worker meanwhile: a storage that it tries again. Raises WorkerDiedError when the
        process ends over it, and asyncio.TimeoutError when nothing was heard of it for as long as it may run.
        """
        job = {"endpoint": request.endpoint, "input": request.input_key, "result": request.result_key}
        self._writer.write(json.dumps(job).encode() + b"\n")
        while "trouble" in (answer := await asyncio.wait_for(self._answer(), request.timeout_seconds)):
            tell(answer["trouble"])
        return Failure(**answer["failure"]) if "failure" in answer else None

    async def kill(self) -> int:
        """End the process, whatever it does, wait until it is gone and return its exit status."""
        self._writer.close()
        if self.alive:
            self._process.kill()
        return await self._process.wait()

    async def _answer(self) -> Any:
        try:
            line = await self._reader.readline()
        except ConnectionError:  # it died with a job unread
            line = b""
        except ValueError:
            await self.kill()
            raise WorkerDiedError(f"A worker was ended: its answer has more than {_LONGEST_ANSWER} bytes.") from None
        if not line:
            with suppress(asyncio.TimeoutError):  # it may hang on its way out
                await asyncio.wait_for(self._process.wait(), _EXIT_SECONDS)
            raise WorkerDiedError(f"A worker ended with {_manner(await self.kill())}.")
        return json.loads(line)


def _manner(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
