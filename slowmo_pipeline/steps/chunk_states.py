"""Where the chunks of a plan stand. Every chunk is in one of four states, told by stored objects alone:

    done        its result is there, whatever else is: a failure, a second request, a receipt out of time
    failed      its receipt names a failure object that is there; or the receipt's deadline has passed; or the endpoint
                that it was sent to was deleted, and its queue with it
    under way   it has a receipt and none of the above
    missing     it has no receipt that can be read

One thing a local server tells beside: which requests it holds. What it holds is under way, whatever a clock says; what
it does not hold, without a result or a failure, has failed.

No order is assumed, of submissions, results or failures. What an earlier attempt leaves after the chunk was submitted
again counts if it is a result, and is nobody's if it is a failure.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from slowmo_pipeline.endpoint.client import ChunkFailure, Receipt, read_failure, read_receipt
from slowmo_pipeline.endpoint.local_client import Held, held_by
from slowmo_pipeline.endpoint.record import EndpointRecord, LocalServer
from slowmo_pipeline.planning.plan import Chunk
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES, ResultKeys

_EXPIRED = ChunkFailure("neither a result nor a failure appeared before the deadline", permanent=False)
_GONE = ChunkFailure("the endpoint that it was sent to was deleted", permanent=False)
_FORGOTTEN = ChunkFailure("the local endpoint that it was sent to does not know it any more", permanent=False)


@dataclass
class ChunkStates:
    """Where the chunks of a plan stand after one look."""

    done: list[Chunk] = field(default_factory=list)
    under_way: list[Chunk] = field(default_factory=list)
    missing: list[Chunk] = field(default_factory=list)
    failed: list[tuple[Chunk, Receipt, ChunkFailure]] = field(default_factory=list)


class ChunkTracker:
    """Looks at the chunks of a plan again and again."""

    def __init__(
        self,
        storage: Storage,
        keys: ResultKeys,
        chunks: Sequence[Chunk],
        find_served: Callable[[], EndpointRecord],
        find_held: Callable[[], Held | None],
    ) -> None:
        """`find_served` tells what the endpoint is now, and raises when it can make no result any more.

        `find_held` tells which requests the local endpoint holds; None when there is none that tells.
        """
        self._storage = storage
        self._keys = keys
        self._chunks = chunks
        self._find_served = find_served
        self._find_held = find_held
        self._done_before: int | None = None
        self.receipts: dict[int, Receipt] = {}
        """By chunk: those of chunks that were not done when they were first looked at, and what was added since."""
        self.stored: dict[str, datetime] = {}
        """When each receipt and each result of the last look was written, by key."""

    def look(self) -> ChunkStates:
        """One listing. A look that finds no result more than the last one also asks what became of the others.

        So does the first one. That takes another listing, of failures, and what `find_served` asks.
        """
        stored = self.stored = {entry.key: entry.modified for entry in self._storage.list(self._keys.prefix)}
        standing = ChunkStates(done=[chunk for chunk in self._chunks if self._keys.result(chunk.index) in stored])
        submitted: list[tuple[Chunk, Receipt]] = []
        for chunk in self._chunks:
            if self._keys.result(chunk.index) in stored:
                continue
            receipt = self._receipt(chunk) if self._keys.receipt(chunk.index) in stored else None
            if receipt is not None:
                submitted.append((chunk, receipt))
            else:
                standing.missing.append(chunk)
        stands_still = len(standing.done) == self._done_before or self._done_before is None
        self._done_before = len(standing.done)
        if not (stands_still and submitted):
            standing.under_way += [chunk for chunk, _ in submitted]
            return standing
        began = self._find_served().deployed_at or 0.0
        # Asked before failures are listed: a request that ends in between is found there, or its result at the end.
        held = _HeldEverywhere(self._find_held(), self._keys.results)
        failure_keys = {entry.key for entry in self._storage.list(FAILURES)}
        for chunk, receipt in submitted:
            failure = self._failure_of(receipt, failure_keys, began, held)
            if failure is None:
                standing.under_way.append(chunk)
            elif failure is _FORGOTTEN and (result := self._storage.stat(self._keys.result(chunk.index))):
                standing.done.append(chunk)  # since it was looked for
                stored[result.key] = result.modified
            else:
                standing.failed.append((chunk, receipt, failure))
        return standing

    def _receipt(self, chunk: Chunk) -> Receipt | None:
        if chunk.index not in self.receipts:
            receipt = read_receipt(self._storage, self._keys.receipt(chunk.index))
            if receipt is None:
                return None
            self.receipts[chunk.index] = receipt
        return self.receipts[chunk.index]

    def _failure_of(
        self, receipt: Receipt, failure_keys: set[str], began: float, held: "_HeldEverywhere"
    ) -> ChunkFailure | None:
        if receipt.failure_location:
            key = self._storage.key_of(receipt.failure_location)
            if key in failure_keys:
                return read_failure(self._storage.read(key))
        if receipt.submitted_at < began:
            return _GONE
        holds = held.holds(receipt)
        if holds is not None:
            return None if holds else _FORGOTTEN
        return _EXPIRED if time.time() > receipt.deadline else None


class _HeldEverywhere:
    """Which requests are held, by this home's local endpoint and by others that receipts tell of, each asked once."""

    def __init__(self, here: Held | None, below: str) -> None:
        self._here = here
        self._below = below
        self._asked: dict[LocalServer | None, Held | None] = {}

    def holds(self, receipt: Receipt) -> bool | None:
        """Whether the server that accepted a chunk still holds it; None when nobody can tell."""
        if self._here is None:
            return None
        if receipt.server not in self._asked:
            self._asked[receipt.server] = held_by(receipt.server, self._here, self._below)
        held = self._asked[receipt.server]
        return None if held is None else receipt.local_request in held.requests
