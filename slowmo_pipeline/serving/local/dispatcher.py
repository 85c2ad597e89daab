"""From the log of requests to the workers: first come, first served, with SageMaker's limits, but not its silences.

A request ends with its result stored or a failure object: the handler failed, the request killed its worker three
times, it waited or ran too long, its input is missing. SageMaker leaves no object for the latter. What the storage
refuses, a full disk above all, ends nothing: it is tried again for as long as `patience.py` says, and told to whoever
asks. A request that nobody could leave an object for is forgotten: `held` tells that as well.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TypeVar

from slowmo_pipeline.errors import EndpointError, HomeError, StorageError
from slowmo_pipeline.serving.failure import SERVER_ERROR, Failure
from slowmo_pipeline.serving.local.request_queue import Request, RequestLog
from slowmo_pipeline.serving.local.worker_process import Worker, WorkerDiedError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.patience import local_server_pauses

MOST_DEATHS = 3
"""A request that killed this many workers is not tried again."""

logger = logging.getLogger(__name__)


_T = TypeVar("_T")


class Dispatcher:
    """Runs the requests of a log on worker processes, each worker one request at a time.

    Of the requests that an earlier server accepted it runs those for `endpoints` over `storage`.
    """

    def __init__(
        self,
        log: RequestLog,
        storage: Storage,
        endpoints: Collection[str],
        start_worker: Callable[[int], Awaitable[Worker]],
    ) -> None:
        """`start_worker` starts the worker of a place, counted from 0."""
        self._log = log
        self._storage = storage
        self._endpoints = endpoints
        self._start_worker = start_worker
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        inherited = log.ids(storage.url, endpoints)
        for request_id in inherited:
            self._queue.put_nowait(request_id)
        # Accepted by a server that ended: these may have run.
        self._inherited = frozenset(inherited)
        self.running = 0
        """Requests that a worker is processing."""
        self._troubles: dict[int, str] = {}
        """By worker's place, what keeps it."""

    @property
    def queued(self) -> int:
        """Requests that wait for a worker."""
        return self._queue.qsize()

    @property
    def trouble(self) -> str | None:
        """What keeps a worker from going on, if anything does."""
        return next(iter(self._troubles.values()), None)

    def held(self, below: str) -> dict[str, str]:
        """The requests that have not ended for results below a prefix: id to the key of the result."""
        return self._log.results(self._storage.url, self._endpoints, below=below)

    def accept(self, request: Request) -> None:
        """Queue a request; it is on disk when this returns. Raises HomeError, or DiskFullError."""
        self._log.add(request)
        self._queue.put_nowait(request.id)

    async def run(self, first: Worker, *, workers: int) -> None:
        """Process requests until cancelled, on `first` and on further workers, each started when it is needed."""
        slots = [asyncio.create_task(self._work_off(place, first if place == 0 else None)) for place in range(workers)]
        try:
            await asyncio.gather(*slots)
        finally:
            for slot in slots:
                slot.cancel()
            await asyncio.gather(*slots, return_exceptions=True)

    async def _work_off(self, place: int, worker: Worker | None) -> None:
        try:
            while True:
                request_id = await self._queue.get()
                if worker is None or not worker.alive:
                    worker = await self._new_worker(place)
                self.running += 1
                await self._process(self._log.get(request_id), worker, place)
                self.running -= 1
        finally:
            if worker is not None:
                await worker.kill()

    async def _new_worker(self, place: int) -> Worker:
        return await self._patiently(partial(self._start_worker, place), place, (EndpointError, OSError))

    async def _process(self, request: Request, worker: Worker, place: int) -> None:
        started = time.monotonic()
        try:
            failure = await self._failure(request, worker, place)
        except WorkerDiedError as error:
            logger.error("%s: %s It goes back into the queue.", request.inference_id, error)
            # At the back: what kills workers must not stand in the way of the others.
            await self._noted(self._log.count_death, request, place)
            self._queue.put_nowait(request.id)
            return
        if failure is not None:
            logger.error("%s failed: %s", request.inference_id, failure)
            await self._store_failure(request, failure, place)
        else:
            logger.info("%s: %s after %.2f s", request.inference_id, request.result_key, time.monotonic() - started)
        await self._noted(self._log.remove, request, place)

    async def _failure(self, request: Request, worker: Worker, place: int) -> Failure | None:
        """Run a request; how it failed, or None once its result is stored."""
        if (request.id in self._inherited or request.deaths) and await self._has_run(request):
            return None
        if request.deaths >= MOST_DEATHS:
            message = f"{request.deaths} workers died over this request: the chunk may need more memory than there is."
            return Failure(SERVER_ERROR, WorkerDiedError.__name__, message)
        if request.expired:
            return _timed_out(f"it waited longer than {request.ttl_seconds} s for a worker")
        try:
            return await worker.run(request, lambda why: self._tell(place, why))
        except asyncio.TimeoutError:
            await worker.kill()
            return _timed_out(f"it ran longer than {request.timeout_seconds} s")
        finally:
            self._troubles.pop(place, None)

    def _tell(self, place: int, why: str) -> None:
        if self._troubles.get(place) != why:
            logger.error("%s It is tried again; requests wait.", why)
        self._troubles[place] = why

    async def _patiently(
        self, action: Callable[[], Awaitable[_T]], place: int, errors: tuple[type[Exception], ...]
    ) -> _T:
        try:
            for pause in local_server_pauses():
                try:
                    return await action()
                except errors as error:
                    self._tell(place, str(error))
                    await asyncio.sleep(pause)
            return await action()
        finally:
            self._troubles.pop(place, None)

    async def _noted(self, note: Callable[[Request], None], request: Request, place: int) -> None:
        """Note in the log what became of a request, which a full disk may refuse."""

        async def noted() -> None:
            note(request)

        await self._patiently(noted, place, (HomeError, StorageError))

    async def _has_run(self, request: Request) -> bool:
        """Whether the result or the failure of the request is stored, by a worker or a server that died after it."""
        for key in (request.result_key, request.failure_key):
            try:
                entry = await asyncio.to_thread(self._storage.stat, key)
            except Exception:  # whatever a storage raises: running the request twice is allowed
                logger.exception("%s cannot be looked for; %s runs again.", key, request.inference_id)
                return False
            # An older one is the result of an earlier request for the same key.
            if entry is not None and entry.modified.timestamp() >= request.accepted_at:
                return True
        return False

    async def _store_failure(self, request: Request, failure: Failure, place: int) -> None:
        store = partial(asyncio.to_thread, self._storage.write, request.failure_key, failure.body())
        try:
            await self._patiently(store, place, (StorageError,))
        except StorageError as error:
            logger.error("%s leaves no failure object: %s", request.id, error)


def _timed_out(why: str) -> Failure:
    return Failure(SERVER_ERROR, asyncio.TimeoutError.__name__, why)
