"""From chunks to results: submit what is neither there nor under way, and see it to its end.

Where chunks stand is told by stored objects alone (`chunk_states.py`), so whatever dies, the next run goes on.
A crash between submitting a chunk and storing its receipt costs one needless inference: the next run submits it again,
and both write the same result to the same key.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from slowmo_pipeline.endpoint.client import AsyncEndpoint, ChunkFailure, Receipt
from slowmo_pipeline.endpoint.local_client import Held
from slowmo_pipeline.endpoint.record import EndpointRecord, served
from slowmo_pipeline.endpoint.sagemaker import why_lost
from slowmo_pipeline.errors import (
    EndpointError,
    EndpointUnreachableError,
    InterpolationFailedError,
    UnknownVideoError,
)
from slowmo_pipeline.planning.plan import Chunk
from slowmo_pipeline.progress import RunProgress
from slowmo_pipeline.steps.chunk_states import ChunkStates, ChunkTracker
from slowmo_pipeline.steps.pending_marker import Pending
from slowmo_pipeline.steps.records import ActivePlan, is_finished
from slowmo_pipeline.steps.stage_seconds import note_interpolated
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole, write_record
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.patience import BUSY_PAUSE_SECONDS, BUSY_SECONDS, RESTART_SECONDS

MAX_UNDER_WAY = 200
"""Chunks of one video in the queue at once: SageMaker drops what has queued for six hours, without a trace."""


@dataclass(frozen=True)
class Interpolated:
    """What a run found and did."""

    complete: bool
    """All results are there; False only without waiting."""
    submitted: int
    """Chunks sent now."""
    chunks: int


class Interpolation:
    """Sees the chunks of a video's active plan to their results."""

    def __init__(
        self,
        storage: Storage,
        connect: Callable[[str], AsyncEndpoint],
        active: ActivePlan,
        *,
        max_attempts: int,
        progress: RunProgress,
    ) -> None:
        """`connect` finds the live endpoint of a name; it is asked once there is something to submit or to wait for."""
        self._storage = storage
        self._connect = connect
        self._endpoint: AsyncEndpoint | None = None
        self._max_attempts = max_attempts
        self._progress = progress
        self._active = active
        self._plan = active.plan
        self._versions = active.versions
        self._keys = active.result_keys
        self._marker_key = VideoKeys(active.video_id).pending
        self._tracker = ChunkTracker(storage, self._keys, self._plan.chunks, self._record, self._ask_what_is_held)
        self._told: str | None = None
        """The trouble of the endpoint that was told last, so that each is told once."""
        self._sizes: dict[str, int] | None = None

    def run(self, *, wait: bool) -> Interpolated:
        """Submit what is missing or failed and may be tried again; with `wait`, return once all results are there.

        Raises InterpolationFailedError when a chunk has failed for good; its receipt is forgotten, so that the next
        run tries it afresh. EndpointError when the endpoint can make no result any more.
        """
        submitted = 0
        if is_finished(self._storage, self._active):
            self._unmark()
            return Interpolated(True, 0, len(self._plan.chunks))  # its results may be gone by choice
        while True:
            state = self._tracker.look()
            self._progress("interpolate", len(state.done), len(self._plan.chunks), "chunks")
            self._give_up_on_hopeless(state)
            if len(state.done) == len(self._plan.chunks):
                self._take_over_marker()
                note_interpolated(self._storage, self._active, self._tracker.stored, now=submitted > 0)
                return Interpolated(True, submitted, len(self._plan.chunks))
            if not wait:
                self._mark_pending()  # before as well: the sensor takes over from a run that dies while it submits
            submitted += self._submit(state)
            if not wait:
                self._mark_pending()
                if submitted == 0:
                    self._check_not_lost()
                return Interpolated(False, submitted, len(self._plan.chunks))
            time.sleep(self._live_endpoint().poll_seconds)

    def _give_up_on_hopeless(self, state: ChunkStates) -> None:
        hopeless = [
            (chunk, receipt, failure)
            for chunk, receipt, failure in state.failed
            if failure.permanent or receipt.attempt >= self._max_attempts
        ]
        if not hopeless:
            return
        chunk, receipt, failure = hopeless[0]
        self._forget(hopeless)
        self._unmark()
        raise InterpolationFailedError(
            f"{len(hopeless)} of {len(self._plan.chunks)} chunks failed for good. Chunk {chunk.index}, after attempt "
            f"{receipt.attempt}: {failure.message}. The other results are kept; run again once the cause is mended."
        )

    def _submit(self, state: ChunkStates) -> int:
        failed = {chunk.index: receipt for chunk, receipt, _ in state.failed}
        room = max(MAX_UNDER_WAY - len(state.under_way), 0)
        chunks = ([chunk for chunk, _, _ in state.failed] + state.missing)[:room]
        if not chunks:
            return 0
        self._check_acceptable(chunks)
        for chunk in chunks:
            before = failed.get(chunk.index)
            receipt = self._submit_patiently(chunk, attempt=before.attempt + 1 if before else 1)
            write_record(self._storage, self._keys.receipt(chunk.index), receipt)
            self._tracker.receipts[chunk.index] = receipt
            if before:
                self._storage.delete(self._failures_of([before]))
        return len(chunks)

    def _submit_patiently(self, chunk: Chunk, *, attempt: int) -> Receipt:
        """Submit a chunk; an endpoint that is busy, or being started again, is given time."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            endpoint = self._endpoint or self._live_endpoint()
            try:
                return endpoint.submit(
                    input_key=self._active.keys.chunk(chunk.index),
                    result_key=self._keys.result(chunk.index),
                    inference_id=f"{self._versions.plan}-{chunk.index}-{attempt}",
                    attempt=attempt,
                )
            except EndpointUnreachableError as error:
                if time.monotonic() > deadline:
                    raise
                self._tell(str(error))
                self._endpoint = None
                # Other runs wait for the same endpoint: not all at the same moment.
                time.sleep(BUSY_PAUSE_SECONDS * random.uniform(0.5, 1))

    def _live_endpoint(self) -> AsyncEndpoint:
        """The endpoint, alive. A local one that died is given time: `slowmo up` starts it again, at a new address."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                if self._endpoint is None:
                    self._endpoint = self._connect(self._versions.interpolator)
                else:
                    self._endpoint.check_alive()
                return self._endpoint
            except EndpointUnreachableError:
                self._endpoint = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _ask_what_is_held(self) -> Held | None:
        """What a local endpoint holds of these chunks; None when it is SageMaker's, or nobody answers just now."""
        try:
            self._endpoint = self._endpoint or self._connect(self._versions.interpolator)
        except EndpointUnreachableError:
            return None
        held = self._endpoint.held(self._keys.results)
        self._tell(held.trouble if held else None)
        return held

    def _tell(self, trouble: str | None) -> None:
        if trouble and trouble != self._told:
            self._progress.note(
                f"The endpoint {self._versions.interpolator} cannot go on yet, and tries again: {trouble}"
            )
        self._told = trouble

    def _record(self) -> EndpointRecord:
        """What the endpoint is now; EndpointError when it is none that can make these results."""
        found = served(self._storage, self._versions.interpolator)
        if found.model_id != self._versions.model_id:
            # The marker, if any, stays: by it the completion sensor changes the video to that model.
            raise EndpointError(
                f"The endpoint {self._versions.interpolator} now runs {found.model_id}, the chunks were cut for "
                f"{self._versions.model_id}: materialise frame_chunks again."
            )
        return found

    def _check_not_lost(self) -> None:
        """Raise EndpointError when nothing more comes of what is under way: that may be why the sensor asked for a run.

        Not knowing is an error as well. The sensor asks once for each reason, so this run has to tell.
        """
        name = self._record().sagemaker_endpoint
        if name is not None and (lost := why_lost(name)):
            raise EndpointError(lost)

    def _check_acceptable(self, chunks: Iterable[Chunk]) -> None:
        """Check the inputs: endpoints do not tell that one is missing, and little of one that is too large."""
        limit = self._record().max_body_bytes
        if self._sizes is None:
            self._sizes = {entry.key: entry.size for entry in self._storage.list(self._active.keys.chunks)}
        for chunk in chunks:
            key = self._active.keys.chunk(chunk.index)
            if key not in self._sizes:
                self._unmark()
                raise UnknownVideoError(f"{key} is not there any more: materialise frame_chunks again.")
            if self._sizes[key] > limit:
                self._unmark()
                raise EndpointError(
                    f"{key} has {self._sizes[key]} bytes, the endpoint {self._versions.interpolator} accepts "
                    f"{limit}: raise its limit, or set images to jpeg."
                )

    def _unmark(self) -> None:
        """Nothing is under way any more, or nobody but people can go on."""
        self._storage.delete([self._marker_key])

    def _take_over_marker(self) -> None:
        """Rewrite a marker of another plan or model as ours: it stays until assembly, which may refuse results."""
        before = self._marker()
        if before is not None and not self._is_ours(before):
            self._mark_pending()

    def _marker(self) -> Pending | None:
        return read_if_whole(self._storage, Pending, self._marker_key, torn="It is made anew.")

    def _is_ours(self, marker: Pending) -> bool:
        return (marker.plan, marker.model_id) == (self._versions.plan, self._versions.model_id)

    def _mark_pending(self) -> None:
        before = self._marker()
        # Of chunks that were done from the start no receipt was read: the marker remembers the last submission.
        submissions: list[Pending | Receipt] = [*self._tracker.receipts.values()]
        if before is not None and self._is_ours(before):
            submissions.append(before)
        # A run that cannot submit must not look like a submission: the sensor would start the next such run at once.
        began = before.submitted_at if before else time.time()
        pending = Pending(
            plan=self._versions.plan,
            model_id=self._versions.model_id,
            submitted_at=max((submission.submitted_at for submission in submissions), default=began),
            deadline=max((submission.deadline for submission in submissions), default=began),
            changed_to=before.changes(self._versions.plan, self._versions.model_id) if before else (),
            server=max(submissions, key=lambda each: each.submitted_at).server if submissions else None,
        )
        write_record(self._storage, self._marker_key, pending)

    def _forget(self, failed: Iterable[tuple[Chunk, Receipt, ChunkFailure]]) -> None:
        self._storage.delete(self._keys.receipt(chunk.index) for chunk, _, _ in failed)
        self._storage.delete(self._failures_of(receipt for _, receipt, _ in failed))

    def _failures_of(self, receipts: Iterable[Receipt]) -> Iterator[str]:
        """Keys of these receipts' failure objects: they go once acted on, since every look lists all failures."""
        for receipt in receipts:
            if receipt.failure_location:
                yield self._storage.key_of(receipt.failure_location)
