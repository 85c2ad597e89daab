"""The marker of a plan that was submitted and not waited for, and what tells that it needs a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from slowmo_pipeline.endpoint import Receipt
from slowmo_pipeline.keys import VideoKeys
from slowmo_pipeline.steps.overview import served_now
from slowmo_pipeline.storage import Storage


@dataclass(frozen=True)
class Pending:
    """The marker of a submitted and unfinished plan."""

    plan: str
    model_id: str
    submitted_at: float
    """Seconds since the epoch, of the last submission: a resubmission is a new state to the completion sensor."""
    deadline: float
    """Seconds since the epoch; after it everything submitted has ended in some way."""


def read_pending(storage: Storage, video_id: str) -> Pending | None:
    """The marker of a video, or None when nothing of it is under way."""
    value = storage.read_json(VideoKeys(video_id).pending)
    return Pending(**value) if value else None


def why_run(
    storage: Storage, video_id: str, pending: Pending, *, failures: set[str], why_lost: Callable[[str], str | None]
) -> str | None:
    """Why a pending plan needs a run: all that was submitted has ended, or nothing more can come of it; else None.

    The same words while the reason and the endpoint are the same: what failed for want of an endpoint is run again once
    there is another. `failures` are the keys of all failure objects, `why_lost` tells why SageMaker has lost an
    endpoint, if it has. Costs one listing and two small objects; receipts are read only when failures could account for
    all that is still open.
    """
    current = storage.read_json(VideoKeys(video_id).current)
    endpoint = served_now(storage, current["interpolator"]) if current else None
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
    submitted = {int(PurePosixPath(key).stem) for key in stored if key.startswith(keys.receipts)}
    still_open = {chunk for chunk in submitted if keys.result(chunk) not in stored}
    if len(still_open) > len(failures):
        return False
    receipts = [Receipt.from_json(storage.read_json(keys.receipt(chunk))) for chunk in still_open]
    told = {storage.location(key) for key in failures}
    return all(receipt.failure_location in told for receipt in receipts)
