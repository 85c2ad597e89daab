"""How long each stage of a video took, kept in the storage beside its other records.

A stage that finds its work done leaves the time of the run that did it. One that was killed leaves none.

    probe, encode, verify    never resumed: the last time that it was done
    cut                      done chunk by chunk: added up over the runs that cut for the plan, also interrupted ones
    interpolate              while at least one chunk was under way, from its receipt to its result by the storage's
                             own clock (S3's has whole seconds): whether a run waited for it, died, or came later
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from slowmo_pipeline.planning.plan import Chunk
from slowmo_pipeline.record import Epoch, Record
from slowmo_pipeline.steps.records import ActivePlan, ActiveVersions, Final, Source
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole, write_record
from slowmo_pipeline.storage.keys import ResultKeys, VideoKeys


class Stage(Record):
    """A stage that was done."""

    of: str
    """What it made, or what it was made from: a time of something else says nothing of what is there now."""
    seconds: Annotated[float, Field(ge=0)]
    """Wall time."""
    ended_at: Epoch


class Stages(Record):
    """What is known of each; None for one that was not done yet, or before this was kept."""

    probe: Stage | None = None
    """Hash and look at the upload, its way here included; of its SHA-256."""
    cut: Stage | None = None
    """Of a plan."""
    interpolate: Stage | None = None
    """Of a plan and a model."""
    encode: Stage | None = None
    """Read the results, encode, make the sound, store the video; of its SHA-256."""
    verify: Stage | None = None
    """The same."""


STAGES = tuple(Stages.model_fields)
"""Their names, in their order."""


def read_stages(storage: Storage, video_id: str) -> Stages:
    """What is known of a video's stages; a torn record counts as none."""
    torn = "The times of its stages are lost."
    return read_if_whole(storage, Stages, VideoKeys(video_id).stages, torn=torn) or Stages()


def note_stage(storage: Storage, video_id: str, name: str, *, of: str, seconds: float, add: bool = False) -> None:
    """Store how long a stage took that ended now; with `add`, beside what it took before."""
    stages = read_stages(storage, video_id)
    before: Stage | None = getattr(stages, name)
    if add and before and before.of == of:
        seconds += before.seconds
    _write(storage, video_id, stages, **{name: Stage(of=of, seconds=round(seconds, 3), ended_at=time.time())})


def seconds_by_stage(stages: Stages, source: Source, versions: ActiveVersions, final: Final | None) -> dict[str, float]:
    """Seconds of the stages that made what is there now, in their order; stages of anything else are left out."""
    made = final.sha256 if final else None
    now = {
        "probe": source.sha256,
        "cut": versions.plan,
        "interpolate": interpolated(versions),
        "encode": made,
        "verify": made,
    }
    return {name: stage.seconds for name, of in now.items() if (stage := getattr(stages, name)) and stage.of == of}


def interpolated(versions: ActiveVersions) -> str:
    """What interpolation makes: the results of a plan by a model."""
    return f"{versions.plan}/{versions.model_id}"


def note_interpolated(storage: Storage, active: ActivePlan, stored: Mapping[str, datetime], *, now: bool) -> None:
    """Store how long chunks were under way, from when each receipt and each result was `stored`, by key.

    Unless something was submitted `now`, a time that is known already stays.
    """
    stages = read_stages(storage, active.video_id)
    of, before = interpolated(active.versions), stages.interpolate
    ways = sorted(_ways(stored, active.result_keys, active.plan.chunks))
    if not ways or (not now and before and before.of == of):
        return
    seconds, until = 0.0, ways[0][0]
    for begin, end in ways:
        seconds += max((end - max(begin, until)).total_seconds(), 0)
        until = max(until, end)
    stage = Stage(of=of, seconds=round(seconds, 3), ended_at=until.timestamp())
    _write(storage, active.video_id, stages, interpolate=stage)


def _ways(
    stored: Mapping[str, datetime], keys: ResultKeys, chunks: Iterable[Chunk]
) -> Iterator[tuple[datetime, datetime]]:
    """From when till when each chunk was under way. A result can be there before the receipt is."""
    for chunk in chunks:
        begin, end = stored.get(keys.receipt(chunk.index)), stored.get(keys.result(chunk.index))
        if begin and end:
            yield min(begin, end), end


def _write(storage: Storage, video_id: str, stages: Stages, **new: Stage) -> None:
    write_record(storage, VideoKeys(video_id).stages, stages.model_copy(update=new))
