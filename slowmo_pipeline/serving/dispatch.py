"""From the log of requests to the workers: first come, first served, with SageMaker's limits and its silences.

A request ends in one of three ways: its result is stored; a failure object is stored (the handler failed, or the
request killed its worker three times); or neither, with a line in the log (it waited or ran too long, its input or
output failed). SageMaker leaves no object for the latter either, so whoever waits keeps a deadline.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection

from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.serving.failure import SERVER_ERROR, Failure
from slowmo_pipeline.serving.request_log import Request, RequestLog
from slowmo_pipeline.serving.workers import Outcome, Worker, WorkerDiedError
from slowmo_pipeline.storage.base import Storage

MOST_DEATHS = 3
"""A request that killed this many workers is not tried again."""

_LONGEST_PAUSE_SECONDS = 30

logger = logging.getLogger(__name__)


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
        self._start_worker = start_worker
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        inherited = log.ids(storage.url, endpoints)
        for request_id in inherited:
            self._queue.put_nowait(request_id)
        # Accepted by a server that ended: these may have run.
        self._inherited = frozenset(inherited)
        self.running = 0
        """Requests that a worker is processing."""

    @property
    def queued(self) -> int:
        """Requests that wait for a worker."""
        return self._queue.qsize()

    def accept(self, request: Request) -> None:
        """Queue a request; it is on disk when this returns."""
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
                await self._process(self._log.get(request_id), worker)
                self.running -= 1
        finally:
            if worker is not None:
                await worker.kill()

    async def _new_worker(self, place: int) -> Worker:
        pause = 1
        while True:
            try:
                return await self._start_worker(place)
            except (EndpointError, OSError) as error:
                logger.error("%s The next attempt is in %d s; requests wait.", error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _process(self, request: Request, worker: Worker) -> None:
        started = time.monotonic()
        try:
            outcome = await self._outcome(request, worker)
        except WorkerDiedError as error:
            logger.error("%s: %s It goes back into the queue.", request.inference_id, error)
            # At the back: what kills workers must not stand in the way of the others.
            self._log.count_death(request)
            self._queue.put_nowait(request.id)
            return
        if outcome.failure is not None:
            logger.error("%s failed: %s", request.inference_id, outcome.failure)
            await self._store_failure(request, outcome.failure)
        elif outcome.lost is not None:
            logger.error("%s leaves neither result nor failure: %s.", request.inference_id, outcome.lost)
        else:
            logger.info("%s: %s after %.2f s", request.inference_id, request.result_key, time.monotonic() - started)
        self._log.remove(request)

    async def _outcome(self, request: Request, worker: Worker) -> Outcome:
        if (request.id in self._inherited or request.deaths) and await self._has_run(request):
            return Outcome()
        if request.deaths >= MOST_DEATHS:
            message = f"{request.deaths} workers died over this request: the chunk may need more memory than there is."
            return Outcome(failure=Failure(SERVER_ERROR, WorkerDiedError.__name__, message))
        if request.expired:
            return Outcome(lost=f"it waited longer than {request.ttl_seconds} s")
        try:
            return await asyncio.wait_for(worker.run(request), request.timeout_seconds)
        except asyncio.TimeoutError:
            await worker.kill()
            return Outcome(lost=f"it ran longer than {request.timeout_seconds} s")

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

    async def _store_failure(self, request: Request, failure: Failure) -> None:
        try:
            await asyncio.to_thread(self._storage.write, request.failure_key, failure.body())
        except Exception:  # whatever a storage raises: one full disk must not end the server
            logger.exception("%s cannot be written; %s leaves no failure object.", request.failure_key, request.id)
