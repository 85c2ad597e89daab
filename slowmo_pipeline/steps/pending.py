"""The marker of a plan that was submitted and not waited for, and what tells that it needs a run."""

import time
from collections.abc import Callable

from slowmo_pipeline.endpoint import read_receipt
from slowmo_pipeline.keys import VideoKeys
from slowmo_pipeline.record import Epoch, Record
from slowmo_pipeline.steps.overview import served_now
from slowmo_pipeline.steps.records import read_current
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_record


class Pending(Record):
    """The marker of a submitted and unfinished plan."""

    plan: str
    model_id: str
    submitted_at: Epoch
    """Seconds since the epoch, of the last submission: a resubmission is a new state to the completion sensor."""
    deadline: Epoch
    """Seconds since the epoch; after it everything submitted has ended in some way."""


def read_pending(storage: Storage, video_id: str) -> Pending | None:
    """The marker of a video, or None when nothing of it is under way. Raises DamagedRecordError."""
    return read_record(storage, Pending, VideoKeys(video_id).pending)


def why_run(
    storage: Storage, video_id: str, pending: Pending, *, failures: set[str], why_lost: Callable[[str], str | None]
) -> str | None:
    """Why a pending plan needs a run: all that was submitted has ended, or nothing more can come of it; else None.

    The same words while the reason and the endpoint are the same: what failed for want of an endpoint is run again once
    there is another. `failures` are the keys of all failure objects, `why_lost` tells why SageMaker has lost an
    endpoint, if it has. Costs one listing and two small objects; receipts are read only when failures could account for
    all that is still open.
    """
    current = read_current(storage, video_id)
    endpoint = served_now(storage, current.interpolator) if current else None
    now = f"{endpoint.model_id} of {endpoint.deployed_at}" if endpoint else "no endpoint"
    if _has_ended(storage, video_id, pending, failures):
        return f"ended, {now}"
    if current and (endpoint is None or (endpoint.sagemaker_endpoint and why_lost(endpoint.sagemaker_endpoint))):
        return "no endpoint"  # the run that follows says so
    if time.time() > pending.deadline:
        return f"overdue, {now}"
    if endpoint and (endpoint.model_id != pending.model_id or (endpoint.deployed_at or 0) > pending.submitted_at):
        return f"another endpoint, {now}"
    return None


def _has_ended(storage: Storage, video_id: str, pending: Pending, failures: set[str]) -> bool:
    """Whether everything that was submitted has a result or a failure."""
    keys = VideoKeys(video_id).plan(pending.plan).model(pending.model_id)
    stored = {entry.key for entry in storage.list(keys.prefix)}
    still_open = {chunk for chunk in map(keys.chunk_of_receipt, stored) if chunk is not None}
    still_open -= {chunk for chunk in still_open if keys.result(chunk) in stored}
    if len(still_open) > len(failures):
        return False
    told = {storage.uri(key) for key in failures}
    receipts = (read_receipt(storage, keys.receipt(chunk)) for chunk in still_open)
    # One that is torn or gone makes a run submit its chunk again.
    return all(receipt is None or receipt.failure_location in told for receipt in receipts)
