"""Sensors that tell the operator of finished and of failed videos, whoever ran them and by which job.

Dagster's own run status sensors move on when their function raises, so that one outage of SNS would lose a message.
These move their cursor only past what was told: a message may come twice, but none is lost.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any

import dagster as dg
from dagster import DagsterEventType, RunsFilter

from slowmo_pipeline.defs.assets import final_video
from slowmo_pipeline.defs.checks import only_checks
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.reasons import reason_of
from slowmo_pipeline.defs.resources import PipelineStorage
from slowmo_pipeline.defs.video_sensors import Look, completed_outputs, look_at_pending, next_run
from slowmo_pipeline.environment import operator_topic, ui_url
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.notifications import MAX_REASON, Notice, notify
from slowmo_pipeline.steps.records import read_final_record
from slowmo_pipeline.storage.keys import VideoKeys

EVENTS_A_TICK = 50
"""A message takes a tenth of a second, and Dagster ends a tick after 60 s."""

SETTLING_SECONDS = 5
"""Dagster stores that a run failed, and a moment later whether it will retry the run."""

Noticed = tuple[int, Notice | None]
"""Storage id of an event, and what to tell of it."""


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the topic SLOWMO_OPERATOR_TOPIC of every finished video.",
)
def finished_videos(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SkipReason:
    """Tell of every final video that was made since the last tick."""
    instance = context.instance
    newest = instance.fetch_materializations(final_video.key, limit=1).records
    return _tell(context, newest, lambda after: _finished(instance, storage, after))


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the topic SLOWMO_OPERATOR_TOPIC of every video that failed for good: nothing will run it again "
    "before somebody mends the cause.",
)
def failed_videos(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SkipReason:
    """Tell of every run of a video that failed since the last tick and is the end of it."""
    instance = context.instance
    newest = instance.fetch_run_status_changes(DagsterEventType.RUN_FAILURE, limit=1).records
    return _tell(context, newest, lambda after: _failed(instance, storage, context.log, after))


def _tell(
    context: dg.SensorEvaluationContext,
    newest: Sequence[dg.EventLogRecord],
    look: Callable[[int], Iterator[Noticed]],
) -> dg.SkipReason:
    """Publish what `look` finds after the cursor, and move the cursor along."""
    topic = operator_topic()
    if topic is None or context.cursor is None:
        # Whoever sets a topic wants to hear of what comes, not of a year of archive.
        context.update_cursor(str(newest[0].storage_id if newest else 0))
        return dg.SkipReason("SLOWMO_OPERATOR_TOPIC is not set." if topic is None else "Tells of what comes from now.")
    told = 0
    try:
        for storage_id, notice in look(int(context.cursor)):
            if notice is not None:
                notify(topic, notice)
                told += 1
            context.update_cursor(str(storage_id))
    except Exception as error:
        if not told:
            raise
        # A failed tick would forget where the cursor is; the next one begins here, and fails if this still does.
        return dg.SkipReason(f"Messages sent: {told}. Then stopped: {error}")
    return dg.SkipReason(f"Messages sent: {told}.")


def _finished(instance: dg.DagsterInstance, storage: PipelineStorage, after: int) -> Iterator[Noticed]:
    made = dg.AssetRecordsFilter(final_video.key, after_storage_id=after)
    for record in instance.fetch_materializations(made, limit=EVENTS_A_TICK, ascending=True).records:
        yield record.storage_id, _finished_notice(instance, storage, record)


def _finished_notice(
    instance: dg.DagsterInstance, storage: PipelineStorage, record: dg.EventLogRecord
) -> Notice | None:
    event, video_id = record.asset_materialization, record.partition_key
    if event is None or video_id is None or "report" not in event.metadata:
        return None  # somebody reported it by hand
    version = _data_version(event)
    earlier = dg.AssetRecordsFilter(final_video.key, asset_partitions=[video_id], before_storage_id=record.storage_id)
    before = instance.fetch_materializations(earlier, limit=1).records
    if before and before[0].asset_materialization and _data_version(before[0].asset_materialization) == version:
        return None  # run again, and found to be finished
    opened = storage.open()
    final = read_final_record(opened, video_id)
    return Notice(
        id=f"{video_id}:finished:{version}",
        video_id=video_id,
        state="finished",
        run_id=record.run_id,
        run_url=_run_url(record.run_id),
        video=opened.display_path(final.key) if final else None,
        report=opened.display_path(VideoKeys(video_id).finals[1]),
        notes=tuple(note for name in ("losses", "notes") for note in _notes(event.metadata.get(name))),
    )


def _notes(told: dg.MetadataValue[Any] | None) -> tuple[str, ...]:
    """A line each; version 0.1.0 told a list."""
    notes = told.value if told else ""
    return tuple(notes.splitlines()) if isinstance(notes, str) else tuple(map(str, notes))


def _failed(
    instance: dg.DagsterInstance, storage: PipelineStorage, log: logging.Logger, after: int
) -> Iterator[Noticed]:
    failures = dg.RunStatusChangeRecordsFilter(DagsterEventType.RUN_FAILURE, after_storage_id=after)
    look = cache(lambda: look_at_pending(storage.open(), log))
    for record in instance.fetch_run_status_changes(failures, limit=EVENTS_A_TICK, ascending=True).records:
        if record.timestamp > time.time() - SETTLING_SECONDS:
            return
        notice = _failed_notice(instance, record)
        goes_on = notice and _goes_on(instance, storage, notice.video_id, record.timestamp, look, log)
        yield record.storage_id, None if goes_on else notice


def _failed_notice(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> Notice | None:
    run, event = instance.get_run_by_id(record.run_id), record.event_log_entry.dagster_event
    video_id = run.tags.get("dagster/partition") if run else None
    if run is None or event is None or video_id is None:
        return None
    if not instance.has_dynamic_partition(str(videos.name), video_id):
        return None  # another pipeline's, or a video that was deleted meanwhile
    if run.tags.get("dagster/will_retry") == "true" or only_checks(run):
        return None
    return Notice(
        id=f"{video_id}:failed:{run.run_id}",
        video_id=video_id,
        state="failed",
        run_id=run.run_id,
        run_url=_run_url(run.run_id),
        reason=reason_of_run(event)[:MAX_REASON],
    )


def _goes_on(
    instance: dg.DagsterInstance,
    storage: PipelineStorage,
    video_id: str,
    failed_at: float,
    look: Callable[[], Look],
    log: logging.Logger,
) -> bool:
    """Whether the sensor of completed outputs has run the video again since, or will.

    It does so once for each state of a video, and not again before something else is the matter.
    """
    since = RunsFilter(
        tags={"dagster/partition": video_id, "dagster/sensor_name": completed_outputs.name},
        created_after=datetime.fromtimestamp(failed_at, timezone.utc),
    )
    if instance.get_runs(since, limit=1):
        return True  # that one's end is told
    opened = storage.open()
    marker = opened.stat(VideoKeys(video_id).pending)
    if marker is None:
        return False
    try:
        request = next_run(opened, marker, look(), log)
    except StorageError as error:
        log.warning("Whether %s goes on is not known, so that its failure is told. %s", video_id, error)
        return False
    if request is None:
        return True  # chunks are under way; they end, or are overdue
    return not instance.get_runs(RunsFilter(tags={"dagster/run_key": str(request.run_key)}), limit=1)


def reason_of_run(event: dg.DagsterEvent) -> str:
    """Why a run failed, in the words of the step that failed or of who ended the run."""
    # Whoever ends a run from outside says so in the message alone.
    step = event.job_failure_data.first_step_failure_event if event.event_specific_data else None
    return reason_of(step) if step else event.message or "No reason was given."


def _data_version(event: dg.AssetMaterialization) -> str:
    return (event.tags or {})["dagster/data_version"]


def _run_url(run_id: str) -> str | None:
    address = ui_url()
    return address and f"{address.rstrip('/')}/runs/{run_id}"
