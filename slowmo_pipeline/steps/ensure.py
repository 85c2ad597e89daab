"""From chunks to results: submit what is neither there nor under way, and see it to its end.

Every chunk is in one of four states, all of them told by stored objects alone:

    done        its result is there
    failed      its receipt names a failure object that is there, or the receipt's deadline has passed
    under way   it has a receipt and none of the above
    missing     it has no receipt

A crash between submitting a chunk and storing its receipt costs one needless inference: the next run submits it again,
and both write the same result to the same key.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from slowmo_pipeline.endpoint import AsyncEndpoint, ChunkFailure, Receipt, read_failure, served
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError, InterpolationFailedError, UnknownVideoError
from slowmo_pipeline.keys import FAILURES, ResultKeys, VideoKeys
from slowmo_pipeline.plan import Chunk, Plan
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.records import is_finished, read_in_force
from slowmo_pipeline.storage import Storage

MAX_UNDER_WAY = 200
"""Chunks of one video in the queue at once: SageMaker drops what has queued for six hours, without a trace."""

RESTART_SECONDS = 20
"""How long a local endpoint may be gone before a run gives up."""

_EXPIRED = ChunkFailure("neither a result nor a failure appeared before the deadline", permanent=False)


@dataclass
class Progressing:
    """Where the chunks of a plan stand after one look."""

    done: list[Chunk] = field(default_factory=list)
    under_way: list[Chunk] = field(default_factory=list)
    missing: list[Chunk] = field(default_factory=list)
    failed: list[tuple[Chunk, Receipt, ChunkFailure]] = field(default_factory=list)


@dataclass(frozen=True)
class Ensured:
    """What `ensure` found and did."""

    complete: bool
    """All results are there; False only without waiting."""
    submitted: int
    """Chunks sent now."""
    chunks: int


@dataclass(frozen=True)
class Pending:
    """The marker of a submitted and unfinished plan."""

    plan: str
    model_id: str
    submitted_at: float
    """Seconds since the epoch, of the last submission: a resubmission is a new state to the completion sensor."""
    deadline: float
    """Seconds since the epoch; after it everything submitted has ended in some way."""


class Ensurer:
    """Sees the chunks of one video's plan in force to their results."""

    def __init__(
        self,
        storage: Storage,
        connect: Callable[[str], AsyncEndpoint],
        video_id: str,
        *,
        max_attempts: int,
        progress: Progress,
    ) -> None:
        """`connect` finds the live endpoint of a name; it is asked once there is something to submit or to wait for."""
        self._storage = storage
        self._connect = connect
        self._endpoint: AsyncEndpoint | None = None
        self._video_id = video_id
        self._max_attempts = max_attempts
        self._progress = progress
        self._in_force = read_in_force(storage, video_id)
        self._plan = self._in_force.plan
        self._current = self._in_force.current
        self._keys_of_plan = VideoKeys(video_id).plan(self._current.plan)
        self._keys = self._keys_of_plan.model(self._current.model_id)
        self._receipts = _read_receipts(storage, self._keys, self._plan.chunks)

    def ensure(self, *, wait: bool) -> Ensured:
        """Submit what is missing or failed and may be tried again; with `wait`, return once all results are there.

        Raises InterpolationFailedError when a chunk has failed for good; its receipt is forgotten, so that the next
        run tries it afresh.
        """
        submitted = 0
        if is_finished(self._storage, self._video_id, self._in_force.source, self._current):
            return Ensured(True, 0, len(self._plan.chunks))  # its results may be gone by choice
        while True:
            state = self.look()
            self._progress("interpolate", len(state.done), len(self._plan.chunks), "chunks")
            self._give_up_on_hopeless(state)
            if len(state.done) == len(self._plan.chunks):
                self._storage.delete([VideoKeys(self._video_id).pending])
                return Ensured(True, submitted, len(self._plan.chunks))
            if not wait:
                self._mark_pending()  # before as well: a run that dies while it submits is finished by the sensor
            submitted += self._submit(state)
            if not wait:
                self._mark_pending()
                return Ensured(False, submitted, len(self._plan.chunks))
            time.sleep(self._reached().poll_seconds)

    def look(self) -> Progressing:
        """One listing of results and one of failures tell where every chunk stands."""
        results = {entry.key for entry in self._storage.list(self._keys.results)}
        failures = {entry.key for entry in self._storage.list(FAILURES)} if self._receipts else set()
        state = Progressing()
        for chunk in self._plan.chunks:
            receipt = self._receipts.get(chunk.index)
            if self._keys.result(chunk.index) in results:
                state.done.append(chunk)
            elif receipt is None:
                state.missing.append(chunk)
            elif failure := self._failure_of(receipt, failures):
                state.failed.append((chunk, receipt, failure))
            else:
                state.under_way.append(chunk)
        return state

    def _failure_of(self, receipt: Receipt, failures: set[str]) -> ChunkFailure | None:
        if receipt.failure_location:
            key = self._storage.key_of(receipt.failure_location)
            if key in failures:
                return read_failure(self._storage.read(key))
        return _EXPIRED if time.time() > receipt.deadline else None

    def _give_up_on_hopeless(self, state: Progressing) -> None:
        hopeless = [
            (chunk, receipt, failure)
            for chunk, receipt, failure in state.failed
            if failure.permanent or receipt.attempt >= self._max_attempts
        ]
        if not hopeless:
            return
        chunk, receipt, failure = hopeless[0]
        self._forget(hopeless)
        self._storage.delete([VideoKeys(self._video_id).pending])
        raise InterpolationFailedError(
            f"{len(hopeless)} of {len(self._plan.chunks)} chunks failed for good. Chunk {chunk.index}, after attempt "
            f"{receipt.attempt}: {failure.message}. The other results are kept; run again once the cause is mended."
        )

    def _submit(self, state: Progressing) -> int:
        failed = {chunk.index: receipt for chunk, receipt, _ in state.failed}
        room = max(MAX_UNDER_WAY - len(state.under_way), 0)
        chunks = ([chunk for chunk, _, _ in state.failed] + state.missing)[:room]
        if not chunks:
            return 0
        self._check_acceptable(chunks)
        endpoint = self._endpoint or self._reached()
        for chunk in chunks:
            before = failed.get(chunk.index)
            attempt = before.attempt + 1 if before else 1
            receipt = endpoint.submit(
                input_key=self._keys_of_plan.chunk(chunk.index),
                result_key=self._keys.result(chunk.index),
                inference_id=f"{self._current.plan}-{chunk.index}-{attempt}",
                attempt=attempt,
            )
            self._storage.write_json(self._keys.receipt(chunk.index), receipt.to_json())
            self._receipts[chunk.index] = receipt
            if before:
                self._delete_failure(before)
        return len(chunks)

    def _reached(self) -> AsyncEndpoint:
        """The endpoint, alive. A local one that died is given time: `slowmo up` starts it again, at a new address."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                if self._endpoint is None:
                    self._endpoint = self._connect(self._current.interpolator)
                else:
                    self._endpoint.check_alive()
                return self._endpoint
            except EndpointUnreachableError:
                self._endpoint = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _check_acceptable(self, chunks: Iterable[Chunk]) -> None:
        """An endpoint says nothing of an input that is missing, and little of one that is too large: look before."""
        endpoint = served(self._storage, self._current.interpolator)
        if endpoint.model_id != self._current.model_id:
            raise EndpointError(
                f"The endpoint {self._current.interpolator} now runs {endpoint.model_id}, the chunks were cut for "
                f"{self._current.model_id}: materialise frame_chunks again."
            )
        sizes = {entry.key: entry.size for entry in self._storage.list(self._keys_of_plan.chunks)}
        for chunk in chunks:
            key = self._keys_of_plan.chunk(chunk.index)
            if key not in sizes:
                raise UnknownVideoError(f"{key} is not there any more: materialise frame_chunks again.")
            if sizes[key] > endpoint.max_body_bytes:
                raise EndpointError(
                    f"{key} has {sizes[key]} bytes, the endpoint {self._current.interpolator} accepts "
                    f"{endpoint.max_body_bytes}: raise its limit, or set images to jpeg."
                )

    def _mark_pending(self) -> None:
        before = read_pending(self._storage, self._video_id)
        # A run that cannot submit must not look like a submission: the sensor would start the next such run at once.
        began = before.submitted_at if before else time.time()
        pending = Pending(
            plan=self._current.plan,
            model_id=self._current.model_id,
            submitted_at=max((receipt.submitted_at for receipt in self._receipts.values()), default=began),
            deadline=max((receipt.deadline for receipt in self._receipts.values()), default=began),
        )
        self._storage.write_json(VideoKeys(self._video_id).pending, asdict(pending))

    def _forget(self, failed: Iterable[tuple[Chunk, Receipt, ChunkFailure]]) -> None:
        for chunk, receipt, _ in failed:
            self._storage.delete([self._keys.receipt(chunk.index)])
            self._delete_failure(receipt)

    def _delete_failure(self, receipt: Receipt) -> None:
        """Every look lists all failures: one that was acted on goes."""
        if receipt.failure_location:
            self._storage.delete([self._storage.key_of(receipt.failure_location)])


def has_ended(storage: Storage, video_id: str, pending: Pending, failures: set[str]) -> bool:
    """Whether everything submitted of a pending plan has a result or a failure, or the deadline has passed.

    `failures` are the keys of all failure objects. Costs two listings, and reads receipts only when failures could
    account for all that is still open.
    """
    if time.time() > pending.deadline:
        return True
    plan_keys = VideoKeys(video_id).plan(pending.plan)
    stored = storage.read_json(plan_keys.plan)
    if stored is None:
        return True  # cleaned meanwhile: the run that follows says so
    plan, keys = Plan.from_json(stored), plan_keys.model(pending.model_id)
    results = {entry.key for entry in storage.list(keys.results)}
    submitted = {entry.key for entry in storage.list(keys.receipts)}
    still_open = [
        chunk
        for chunk in plan.chunks
        if keys.result(chunk.index) not in results and keys.receipt(chunk.index) in submitted
    ]
    if len(still_open) > len(failures):
        return False
    receipts = _read_receipts(storage, keys, still_open).values()
    return all(
        receipt.failure_location is not None and storage.key_of(receipt.failure_location) in failures
        for receipt in receipts
    )


def read_pending(storage: Storage, video_id: str) -> Pending | None:
    """The marker of a video, or None when nothing of it is under way."""
    value = storage.read_json(VideoKeys(video_id).pending)
    return Pending(**value) if value else None


def _read_receipts(storage: Storage, keys: ResultKeys, chunks: Iterable[Chunk]) -> dict[int, Receipt]:
    there = {entry.key for entry in storage.list(keys.receipts)}
    return {
        chunk.index: Receipt.from_json(storage.read_json(keys.receipt(chunk.index)))
        for chunk in chunks
        if keys.receipt(chunk.index) in there
    }
