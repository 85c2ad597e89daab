"""How fast an endpoint is, measured on the videos that it has finished.

The same model may have run elsewhere before it was deployed: on a laptop, say, a hundred times slower. So a result
counts for an instance type only if its chunk was submitted after the endpoint's record, which names the type, was
written. Both times are the storage's own, so no clocks are compared.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath

from slowmo_pipeline.endpoint.record import EndpointRecord, served
from slowmo_pipeline.errors import DamagedRecordError, EndpointError, SettingsError, UnknownVideoError
from slowmo_pipeline.steps.records import ActivePlan, Final, read_finished
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FINALS, endpoint_key

MEASURED_VIDEOS = 20
"""The latest that are looked at: each costs several requests."""


@dataclass(frozen=True)
class Speed:
    """A measured speed, and what it was measured on."""

    seconds_per_megapixel: float
    """Seconds that the endpoint spent on a million pixels of new frames, reading and writing the images included."""
    videos: int
    model_id: str


def made_on(storage: Storage, active: ActivePlan) -> str | None:
    """The SageMaker instance type that all results of the plan in force come from.

    None when it is not known: the local endpoint made some, the model is no longer deployed, or was deployed after
    they were made, or their receipts have been cleaned away.
    """
    try:
        found = _record(storage, active.versions.interpolator)
    except EndpointError:
        return None
    if found is None:
        return None
    record, written = found
    if record.model_id != active.versions.model_id:
        return None
    submitted = {entry.key: entry.modified for entry in storage.list(active.result_keys.receipts)}
    times = [submitted.get(active.result_keys.receipt(chunk.index)) for chunk in active.plan.chunks]
    return record.instance_type if all(time is not None and time >= written for time in times) else None


def measured_speed(storage: Storage, interpolator: str, *, instance_type: str) -> Speed:
    """The mean over the latest videos that the endpoint of that name, on that type of instance, has finished.

    Raises SettingsError when there are none.
    """
    found = _record(storage, interpolator)
    if found is None:
        raise _unmeasured(interpolator, instance_type, f"no endpoint of that name serves {storage.url}")
    record, written = found
    if record.instance_type != instance_type:
        actual = record.instance_type or "a local machine"
        raise _unmeasured(interpolator, instance_type, f"the endpoint runs on {actual}")
    counts = (
        made for made in _made_latest(storage, interpolator, written) if made_on(storage, made[0]) == instance_type
    )
    speed = _mean(counts, record.model_id)
    if speed is None:
        raise _unmeasured(interpolator, instance_type, "it has finished no video yet")
    return speed


def speed_now(storage: Storage, interpolator: str) -> Speed | None:
    """The mean over the latest videos of what serves that name now, on SageMaker or on a machine; None for none."""
    found = _record(storage, interpolator)
    if found is None:
        return None
    record, _ = found
    if record.instance_type is not None:
        try:
            return measured_speed(storage, interpolator, instance_type=record.instance_type)
        except SettingsError:
            return None
    # A local endpoint writes its record at each start: the model says whether it is the same.
    latest = _made_latest(storage, interpolator, datetime.fromtimestamp(0, timezone.utc))
    return _mean((made for made in latest if made[0].versions.model_id == record.model_id), record.model_id)


def _made_latest(storage: Storage, interpolator: str, since: datetime) -> Iterator[tuple[ActivePlan, Final]]:
    for video_id in _finished_since(storage, since)[:MEASURED_VIDEOS]:
        made = _made(storage, video_id)
        if made is not None and made[0].versions.interpolator == interpolator:
            yield made


def _mean(videos: Iterable[tuple[ActivePlan, Final]], model_id: str) -> Speed | None:
    seconds, pixels, count = 0.0, 0, 0
    for active, final in videos:
        seconds += sum(final.chunk_seconds)
        pixels += active.plan.new_frame_count * active.info.width * active.info.height
        count += 1
    return Speed(seconds / (pixels / 1e6), count, model_id) if pixels and seconds else None


def _record(storage: Storage, interpolator: str) -> tuple[EndpointRecord, datetime] | None:
    """What an endpoint is, and when that was written."""
    entry = storage.stat(endpoint_key(interpolator))
    return (served(storage, interpolator), entry.modified) if entry else None


def _finished_since(storage: Storage, moment: datetime) -> list[str]:
    """Ids of the videos finished since then, the latest first."""
    entries = [entry for entry in storage.list(FINALS) if entry.key.endswith(".json") and entry.modified >= moment]
    entries.sort(key=lambda entry: entry.modified, reverse=True)
    return [PurePosixPath(entry.key).stem for entry in entries]


def _made(storage: Storage, video_id: str) -> tuple[ActivePlan, Final] | None:
    """A finished video with the plan it was made from; None when another plan is in force by now."""
    try:
        return read_finished(storage, video_id)
    except (UnknownVideoError, DamagedRecordError):
        return None


def _unmeasured(interpolator: str, instance_type: str, reason: str) -> SettingsError:
    return SettingsError(
        f"The speed of {interpolator} on {instance_type} is not measured: {reason}. Give --seconds-per-megapixel, the "
        "seconds that a million pixels of new frames take there, or let that endpoint finish one short video first."
    )
