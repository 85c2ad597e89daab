"""Sensors: uploads become partitions and runs; submitted videos are finished. Both look at what is, not at events."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import cache, partial

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from pydantic import Field

from slowmo_pipeline.defs.assets import InterpolatedChunksConfig
from slowmo_pipeline.defs.cursor import Cursor
from slowmo_pipeline.defs.jobs import change_model, finish_video, slow_motion
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import PipelineStorage, held_here, local_model
from slowmo_pipeline.endpoint.sagemaker import known_lost
from slowmo_pipeline.errors import DamagedRecordError, StorageError, VideoIdTakenError
from slowmo_pipeline.steps.changes import Change, change_of, noted
from slowmo_pipeline.steps.pending_marker import NeededRun, Pending, needed_run, read_pending
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.steps.video_ids import video_ids_for
from slowmo_pipeline.steps.video_status import is_made_of
from slowmo_pipeline.storage.base import Entry, Storage
from slowmo_pipeline.storage.keys import FAILURES, PENDING, SIDECAR_SUFFIX, UPLOADS, sidecar_key, video_id_of_pending

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob"}
    | {".mxf", ".flv", ".f4v", ".wmv", ".asf", ".ogv", ".ogg"}
)
"""Endings of the files that the upload sensor takes up, in lower case."""

MAX_NEW_VIDEOS = 25
"""Runs requested in one tick, by each sensor."""

MAX_VIDEOS_UNDER_WAY = 100
"""Videos with a run of their own or with pending chunks beyond which the upload sensor requests no more: what drops in
by the thousand would queue at SageMaker for longer than its six hours, and be looked at in more than one tick."""

LONGEST_PENDING = timedelta(hours=8)
"""After a submission everything has ended within the seven hours of queue and time-out. An older marker waits for
people, and holds up nobody."""

NAMED = 5
"""Uploads or videos with which something is wrong that a tick's reason names."""

PATIENCE_SECONDS = 3
"""For the results of a new video: a tiny clip's are there by then, and its second run would take as long to start."""

Look = Callable[[Storage, str, Pending], NeededRun | None]
"""Tells the run that a pending video needs, if any."""

TICK_SECONDS = 40
"""Dagster ends a tick after 60 s, submission not counted."""

_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


class UploadCursor(Cursor):
    """What the upload sensor remembers. Only a cache: without it, known uploads are looked at once more."""

    requested: dict[str, str] = Field({})
    """Version of each video for which a run was requested."""
    seen: dict[str, str] = Field({})
    """Version of each video at the last tick that was new then: a folder's file may still be growing."""

    def knows(self, video_id: str, version: str) -> bool:
        """Whether this version of a video was met before."""
        return version in (self.requested.get(video_id), self.seen.get(video_id))


@dg.sensor(
    job=slow_motion,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Registers each new or changed upload as a partition and requests its run. Stopped at first, since "
    "runs spend money on AWS.",
)
def new_uploads(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SensorResult:
    """Request a run for every upload whose version is not known yet, and of which no video is finished."""
    opened = storage.open()
    began = time.monotonic()
    before, after = UploadCursor.parse(context.cursor), UploadCursor()
    requests: list[dg.RunRequest] = []
    finished: list[str] = []
    skipped = Counter[str]()
    busy = cache(partial(_partitions_with_unfinished_runs, context.instance))
    changes, skipped["not a video"], unusable = _usable_uploads(opened)
    room: int | None = None
    for key, video_id in video_ids_for(opened, changes, lambda key, each: before.knows(each, changes[key].version)):
        version = changes[key].version
        if before.requested.get(video_id) == version:
            after.requested[video_id] = version
            skipped["known"] += 1
        elif not opened.uploads_appear_whole and before.seen.get(video_id) != version:
            after.seen[video_id] = version
            skipped["new, looked at again next time"] += 1
        elif len(requests) == (room := _room(context.instance, opened) if room is None else room):
            after.seen[video_id] = version
            skipped["waiting for others to be finished"] += 1
        elif time.monotonic() - began > TICK_SECONDS:
            after.seen[video_id] = version
            skipped["left for the next tick"] += 1
        else:
            try:
                video_id = register(opened, key)
                # What is under way may be about to make another video of it.
                is_finished = video_id not in busy() and is_made_of(opened, video_id, version)
                change = None if is_finished else noted(opened, video_id, changes[key])
            except (VideoIdTakenError, StorageError) as error:
                after.seen[video_id] = version
                unusable[key] = str(error)
                continue
            after.requested[video_id] = version
            if change is None:
                finished.append(video_id)
                skipped["finished"] += 1
            else:
                requests.append(_run_request(video_id, str(change), slow_motion.name))
    if requests and unusable:
        context.log.warning("%d uploads are unusable: %s", len(unusable), _named(unusable, len(unusable)))
    counts = _counts(skipped, unusable, "unusable")
    nothing = f"No new uploads in {opened.display_path('uploads')}: {counts or 'nothing there'}."
    # Those that are finished as well: in a home that is new they are no partitions yet.
    partitions = [*finished, *(str(request.partition_key) for request in requests)]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else nothing,
        dynamic_partitions_requests=[videos.build_add_request(partitions)] if partitions else [],
        cursor=after.dump(),
    )


@dg.sensor(
    jobs=[finish_video, change_model],
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finishes videos whose runs did not wait: all their chunks have a result or a failure, or are overdue. "
    "Of those that wait for a model which another one has replaced, the chunks are submitted to that one.",
)
def completed_outputs(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SensorResult | dg.SkipReason:
    """Request a run for every pending video whose chunks have all ended, or whose model was replaced."""
    opened = storage.open()
    began = time.monotonic()
    pending = {video_id_of_pending(entry.key): entry for entry in opened.list(PENDING)}
    if not pending:
        return dg.SkipReason("No video is pending.")
    partitions = set(context.instance.get_dynamic_partitions(str(videos.name)))
    look = look_at_pending(opened, context.log)
    busy = _partitions_with_unfinished_runs(context.instance)
    requests: list[dg.RunRequest] = []
    unusable: dict[str, str] = {}
    skipped = Counter({"have no partition any more": len(pending.keys() - partitions)})
    waiting = pending.keys() & partitions
    # A tick that has done enough leaves off there: else those at the end of the alphabet would wait for all others.
    left_off = context.cursor or ""
    for done, video_id in enumerate(sorted(waiting, key=lambda each: (each <= left_off, each))):
        if len(requests) == MAX_NEW_VIDEOS or time.monotonic() - began > TICK_SECONDS:
            skipped["left for the next tick"] = len(waiting) - done
            break
        if video_id in busy:
            skipped["have a run"] += 1
        else:
            try:
                request = next_run(opened, pending[video_id], look, context.log)
            except StorageError as error:
                unusable[video_id] = str(error)
            else:
                if request is None:
                    skipped["under way"] += 1
                else:
                    requests.append(request)
        left_off = video_id
    if requests and unusable:
        context.log.warning("%d pending videos cannot be looked at: %s", len(unusable), _named(unusable, len(unusable)))
    if not requests:
        context.update_cursor(left_off)
        return dg.SkipReason(f"{_counts(skipped, unusable, 'cannot be looked at')}.")
    return dg.SensorResult(run_requests=requests, cursor=left_off)


def look_at_pending(storage: Storage, log: logging.Logger) -> Look:
    """Looks at pending videos one by one; what they share is asked once for all of them."""
    return partial(
        needed_run,
        failures={entry.key for entry in storage.list(FAILURES)},
        why_lost=cache(partial(known_lost, log=log)),
        local_model=cache(local_model),
        held=held_here,
    )


def next_run(storage: Storage, marker: Entry, look: Look, log: logging.Logger) -> dg.RunRequest | None:
    """The run that the video of a marker needs; None while it is under way, or finished just now."""
    video_id = video_id_of_pending(marker.key)
    try:
        pending = read_pending(storage, video_id)
        needed = look(storage, video_id, pending) if pending else None
    except DamagedRecordError as error:
        log.warning("%s A run of %s writes it anew.", error, video_id)
        return _run_request(video_id, f"torn:{marker.version}:{marker.changed}", finish_video.name)
    if pending is None or needed is None:
        return None
    # With the reason: what failed for want of an endpoint is run again once there is another.
    state = f"{pending.plan}:{pending.model_id}:{pending.submitted_at}:{needed.why}"
    if needed.change_to is None:
        return _run_request(video_id, state, finish_video.name)
    return _run_request(video_id, f"{state}:{needed.change_to}", change_model.name)


_NOT_WAITING = dg.RunConfig(ops={"interpolated_chunks": InterpolatedChunksConfig(wait=False)})

_HARDLY_WAITING = dg.RunConfig(
    ops={"interpolated_chunks": InterpolatedChunksConfig(wait=False, patience_seconds=PATIENCE_SECONDS)}
)


def _room(instance: dg.DagsterInstance, storage: Storage) -> int:
    """How many more videos a tick may set under way."""
    partitions = set(instance.get_dynamic_partitions(str(videos.name)))
    oldest = datetime.now(timezone.utc) - LONGEST_PENDING
    pending = {video_id_of_pending(entry.key) for entry in storage.list(PENDING) if entry.modified > oldest}
    under_way = (pending & partitions) | _partitions_with_unfinished_runs(instance, of_backfills=False)
    return min(MAX_NEW_VIDEOS, max(MAX_VIDEOS_UNDER_WAY - len(under_way), 0))


def _run_request(video_id: str, state: str, job: str) -> dg.RunRequest:
    """A run of a video that does not wait; never a second one for the same state of it."""
    config = _HARDLY_WAITING if job == slow_motion.name else _NOT_WAITING
    return dg.RunRequest(run_key=f"{video_id}:{state}", partition_key=video_id, job_name=job, run_config=config)


def is_video(name: str) -> bool:
    """Whether a file's name is one that the upload sensor takes up."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and not name.startswith(".") and name.isprintable() and f"{dot}{suffix}".lower() in VIDEO_SUFFIXES


def _usable_uploads(storage: Storage) -> tuple[dict[str, Change], int, dict[str, str]]:
    """What each upload is now, in order of their keys; how many objects are none; why others cannot be used."""
    found = storage.uploads()
    entries: dict[str, Entry] = {entry.key: entry for entry in found.entries}
    sidecars = {key for key in entries if key.endswith(SIDECAR_SUFFIX)}
    clips = sorted(key for key in entries if is_video(key.rpartition("/")[2]))
    changes = {key: change_of(entries[key], entries.get(sidecar_key(key))) for key in clips}
    return changes, len(entries) - len(sidecars) - len(clips), dict(found.unusable)


def _counts(skipped: Mapping[str, int], unusable: Mapping[str, str], what: str) -> str:
    """How many there are of each kind, and the first of those that something is wrong with."""
    counts = [f"{count} {reason}" for reason, count in skipped.items() if count]
    if unusable:
        counts.append(f"{len(unusable)} {what} ({_named(unusable, NAMED)})")
    return ", ".join(counts)


def _named(unusable: Mapping[str, str], most: int) -> str:
    """The first names, with their reasons; a name may hold anything."""
    told = [f"{key.removeprefix(UPLOADS)!r}: {reason}" for key, reason in sorted(unusable.items())[:most]]
    return "; ".join([*told, "…"] if len(unusable) > most else told)


def _partitions_with_unfinished_runs(instance: dg.DagsterInstance, *, of_backfills: bool = True) -> set[str]:
    tags = [record.dagster_run.tags for record in instance.get_run_records(RunsFilter(statuses=_UNFINISHED))]
    return {
        each["dagster/partition"]
        for each in tags
        if "dagster/partition" in each and (of_backfills or "dagster/backfill" not in each)
    }
