"""What becomes of the videos that wait for a model when another one is deployed under its name."""

from collections.abc import Iterator

from slowmo_pipeline.endpoint.client import read_receipt
from slowmo_pipeline.endpoint.record import served_now
from slowmo_pipeline.errors import DamagedRecordError, StorageError
from slowmo_pipeline.steps.pending_marker import read_pending, still_open
from slowmo_pipeline.steps.records import read_active_versions
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES, PENDING, ResultKeys, VideoKeys, video_id_of_pending

MAX_RECEIPTS = 500
"""Read at most, to tell chunks that failed from those that queue; a request each."""


def under_way(storage: Storage, interpolator: str, model_id: str) -> list[str]:
    """What to tell of the videos under way before that model is deployed: a line, or none when it replaces nothing.

    Costs a listing and two small objects for each pending video, and receipts only when there are failures. Whoever
    may not read those may deploy all the same, and is told.
    """
    now = served_now(storage, interpolator)
    if now is None or now.model_id == model_id:
        return []
    try:
        waiting = list(_waiting(storage, interpolator, now.model_id))
        queued = _queued(storage, waiting)
    except StorageError as error:
        return [f"not known what is under way with {now.model_id}: {error}"]
    if not waiting:
        return []
    return [
        f"under way with {now.model_id}: {len(waiting)} videos. What it has not completed is made with {model_id}; "
        f"up to {queued} chunks in its queue are still computed and paid for"
    ]


def _waiting(storage: Storage, interpolator: str, model_id: str) -> Iterator[ResultKeys]:
    """Where the results of each pending video of that model will be."""
    for entry in storage.list(PENDING):
        video_id = video_id_of_pending(entry.key)
        try:
            pending = read_pending(storage, video_id)
        except DamagedRecordError:
            continue  # the sensor has it written anew
        versions = read_active_versions(storage, video_id)
        if pending and versions and (pending.model_id, versions.interpolator) == (model_id, interpolator):
            yield VideoKeys(video_id).plan(pending.plan).model(model_id)


def _queued(storage: Storage, waiting: list[ResultKeys]) -> int:
    """How many of their chunks have a receipt, and neither a result nor, as far as receipts are read, a failure."""
    receipts = [keys.receipt(chunk) for keys in waiting for chunk in still_open(storage, keys)]
    told = {storage.uri(entry.key) for entry in storage.list(FAILURES)}
    read = [read_receipt(storage, key) for key in receipts[:MAX_RECEIPTS]] if told else []
    return len(receipts) - sum(receipt is not None and receipt.failure_location in told for receipt in read)
