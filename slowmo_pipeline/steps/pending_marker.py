"""The marker of a plan that was submitted and not waited for, and what tells that it needs a run.

Chunks do not depend on the model, so when another one is deployed than they were submitted for:

    all results of the old model are there      the video is finished with them
    some are not                                the video is changed to the new model: its chunks are submitted again

A marker remembers the models that its video was changed to, and none of them gets it a second time. So two endpoints
that take turns under one name (two homes over one storage, with versions of `flow` of their own) get a video once each,
and whoever has it last keeps it. A run that failed before it wrote the marker is followed by another one in the next of
three states: chunks are under way, all have ended, they are overdue.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from slowmo_pipeline.endpoint.client import read_receipt
from slowmo_pipeline.endpoint.local_client import Held, held_by
from slowmo_pipeline.endpoint.record import EndpointRecord, LocalServer, served_now
from slowmo_pipeline.errors import DamagedRecordError, UnknownVideoError
from slowmo_pipeline.record import Epoch, Items, Record
from slowmo_pipeline.steps.records import is_finished, missing_results, read_active_plan, read_active_versions
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_record
from slowmo_pipeline.storage.keys import ResultKeys, VideoKeys


class Pending(Record):
    """The marker of a submitted and unfinished plan."""

    plan: str
    model_id: str
    submitted_at: Epoch
    """Seconds since the epoch, of the last submission: a resubmission is a new state to the completion sensor."""
    deadline: Epoch
    """Seconds since the epoch; after it everything submitted has ended in some way."""
    changed_to: Items[str] = ()
    """The models that it was changed to after its first submission, in this order."""
    server: LocalServer | None = None
    """The local server that the last submission went to; None for SageMaker, and for a local one of version 0.1.0."""

    def changes(self, plan: str, model_id: str) -> tuple[str, ...]:
        """`changed_to` once that model makes that plan; another plan begins anew."""
        if plan != self.plan:
            return ()
        known = model_id == self.model_id or model_id in self.changed_to
        return self.changed_to if known else (*self.changed_to, model_id)


@dataclass(frozen=True)
class NeededRun:
    """A run that a pending video needs."""

    why: str
    """The same words while the reason and the endpoint are the same: what failed for want of an endpoint is run again
    once there is another."""
    change_to: str | None = None
    """The model that makes the video from now on; None: the one that it was submitted for."""


def read_pending(storage: Storage, video_id: str) -> Pending | None:
    """The marker of a video, or None when nothing of it is under way. Raises DamagedRecordError."""
    return read_record(storage, Pending, VideoKeys(video_id).pending)


def needed_run(
    storage: Storage,
    video_id: str,
    pending: Pending,
    *,
    failures: set[str],
    why_lost: Callable[[str], str | None],
    local_model: Callable[[str], str | None],
    held: Callable[[str], Held | None],
) -> NeededRun | None:
    """The run that a pending plan needs: all that was submitted has ended, or nothing more can come of it; else None.

    `failures` are the keys of all failure objects; `why_lost` tells why SageMaker has lost an endpoint, if it has;
    `local_model` which model the local endpoint here runs under an interpolator's name, if any; `held` which requests
    it holds for results below a prefix. Costs one listing and two small objects; receipts are read only when failures
    could account for all that is still open, and the plan only when another model is deployed.
    """
    versions = read_active_versions(storage, video_id)
    endpoint = served_now(storage, versions.interpolator) if versions else None
    ended = _has_ended(storage, video_id, pending, failures)
    now = f"{endpoint.model_id} of {endpoint.deployed_at}" if endpoint else "no endpoint"
    may_change = versions and endpoint and _may_change(pending, endpoint, partial(local_model, versions.interpolator))
    if endpoint and may_change and not _can_be_finished(storage, video_id, pending):
        state = "overdue" if _change_is_overdue(pending, endpoint) else "ended" if ended else "another endpoint"
        return NeededRun(f"{state}, {now}", change_to=endpoint.model_id)
    if ended:
        return NeededRun(f"ended, {now}")
    if versions and (endpoint is None or (endpoint.sagemaker_endpoint and why_lost(endpoint.sagemaker_endpoint))):
        return NeededRun("no endpoint")  # the run that follows says so
    told_here = endpoint and endpoint.sagemaker_endpoint is None and endpoint.model_id == pending.model_id
    holds = _is_held(storage, video_id, pending, held) if told_here else None
    if holds is False:
        return NeededRun(f"forgotten, {now}")
    if holds is None and time.time() > pending.deadline:
        return NeededRun(f"overdue, {now}")
    # A local endpoint of another home may still be at work, whatever the record says of the latest one.
    if endpoint and endpoint.sagemaker_endpoint and _is_another(endpoint, pending):
        return NeededRun(f"another endpoint, {now}")
    return None


def _may_change(pending: Pending, endpoint: EndpointRecord, local_model: Callable[[], str | None]) -> bool:
    """Whether the endpoint runs another model, can be given the chunks from here, and was not given them before."""
    return (
        endpoint.model_id != pending.model_id
        and endpoint.model_id not in pending.changed_to
        and (endpoint.sagemaker_endpoint is not None or local_model() == endpoint.model_id)
    )


def _change_is_overdue(pending: Pending, endpoint: EndpointRecord) -> bool:
    """Whether a submission would be, had it been made anew when the endpoint was deployed."""
    since = max(pending.submitted_at, endpoint.deployed_at or 0)
    return time.time() - since > pending.deadline - pending.submitted_at


def _is_another(endpoint: EndpointRecord, pending: Pending) -> bool:
    """Whether the endpoint is not the one that the plan was submitted to."""
    return endpoint.model_id != pending.model_id or (endpoint.deployed_at or 0) > pending.submitted_at


def _can_be_finished(storage: Storage, video_id: str, pending: Pending) -> bool:
    """Whether the video can be finished with the model that it was submitted for."""
    try:
        active = read_active_plan(storage, video_id)
    except (UnknownVideoError, DamagedRecordError):
        return False  # cutting makes anew what is missing
    if (active.versions.plan, active.versions.model_id) != (pending.plan, pending.model_id):
        return False
    if is_finished(storage, active):
        return True  # its results may be gone by choice
    return not missing_results(storage, active)


def _is_held(storage: Storage, video_id: str, pending: Pending, held_here: Callable[[str], Held | None]) -> bool | None:
    """Whether the local server that the plan was submitted to still holds any of it; None when nobody can tell."""
    keys = VideoKeys(video_id).plan(pending.plan).model(pending.model_id)
    here = held_here(keys.results)
    held = here and held_by(pending.server, here, keys.results)
    if held is None:
        return None
    # Looked for after asking: what ends in between has a result, or a failure that tells another reason.
    return not {keys.result(chunk) for chunk in still_open(storage, keys)}.isdisjoint(held.requests.values())


def still_open(storage: Storage, keys: ResultKeys) -> set[int]:
    """The chunks that have a receipt and no result."""
    stored = {entry.key for entry in storage.list(keys.prefix)}
    submitted = {chunk for chunk in map(keys.chunk_of_receipt, stored) if chunk is not None}
    return {chunk for chunk in submitted if keys.result(chunk) not in stored}


def _has_ended(storage: Storage, video_id: str, pending: Pending, failures: set[str]) -> bool:
    """Whether everything that was submitted has a result or a failure."""
    keys = VideoKeys(video_id).plan(pending.plan).model(pending.model_id)
    chunks = still_open(storage, keys)
    if len(chunks) > len(failures):
        return False
    told = {storage.uri(key) for key in failures}
    receipts = (read_receipt(storage, keys.receipt(chunk)) for chunk in chunks)
    # One that is torn or gone makes a run submit its chunk again.
    return all(receipt is None or receipt.failure_location in told for receipt in receipts)
