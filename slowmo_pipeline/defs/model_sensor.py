"""The sensor of served models: once an endpoint runs another one, its videos show as out of date, in two places.

In the lineage by an observation of their `endpoint`, which the sensor tells by itself; and by the check
`made_by_served_model` of their final videos, which a run tells: what no run tells of a check, Dagster stores once for
each partition, and fails the second time (a unique index over the run's id).
"""

import time
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

import dagster as dg
from pydantic import Field

from slowmo_pipeline.defs.assets import errors_as_dagster_failure
from slowmo_pipeline.defs.cursor import Cursor
from slowmo_pipeline.defs.endpoint_asset import seen, told_status
from slowmo_pipeline.defs.evaluations import by_served_model, evaluation
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import PipelineStorage
from slowmo_pipeline.endpoint.record import EndpointRecord, served_now
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.steps.records import read_active_versions
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import ENDPOINTS, FINALS

VIDEOS_A_TICK = 100
"""Dagster stores the two events of each on their own, in some 50 ms."""

TICK_SECONDS = 40
"""Dagster ends a tick after 60 s."""


class FinishedVideos(dg.Config):
    """What shall be looked at."""

    videos: list[str] = Field(description="Their ids.")


@dg.op(out={})
def compare_models(
    context: dg.OpExecutionContext, config: FinishedVideos, storage: PipelineStorage
) -> Iterator[dg.AssetCheckEvaluation]:
    """Say of each video whether the model that is served now made it. One that cannot be looked at stops no other."""
    with errors_as_dagster_failure():
        opened = storage.open()
    for video_id in config.videos:
        try:
            result = by_served_model(opened, video_id)
        except StorageError as error:
            context.log.warning("Which model made %s is not known. %s", video_id, error)
            continue
        if result is not None:
            yield evaluation(context.instance, video_id, result)


@dg.job(description="Say of finished videos whether the model that their endpoint runs now made them. Makes nothing.")
def check_models() -> None:
    """Run `compare_models`."""
    compare_models()


class ModelCursor(Cursor):
    """What the sensor of served models remembers. Only a cache: without it, every video is observed once more."""

    told: dict[str, str] = Field({})
    """Model id of each interpolator's endpoint at the last tick. Cursors of before have another name for it: what they
    tell of was observed, and no partition filled."""
    changed: list[str] = Field([])
    """Interpolators whose videos are being observed."""
    after: str = ""
    """The last video that was looked at for them."""

    def at(self, models: dict[str, str]) -> "ModelCursor":
        """The cursor once these are the models; a change begins with the first video again."""
        new = {name for name, model_id in models.items() if self.told.get(name) != model_id}
        return ModelCursor(told=models, changed=sorted({*self.changed, *new}), after="" if new else self.after)


@dg.sensor(
    # By its name: of a sensor that holds a job of ops Dagster makes another one, and warns of a beta of its own.
    job_name=check_models.name,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Shows videos as out of date once their endpoint runs another model: in the lineage, and by the check "
    "made_by_served_model, of which a run of check_models tells. Makes nothing.",
)
def served_models(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SensorResult:
    """Observe the endpoint of every video whose interpolator got another model."""
    opened = storage.open()
    began = time.monotonic()
    now = _all_served(opened)
    cursor = ModelCursor.parse(context.cursor).at({name: each.model_id for name, each in now.items()})
    if not cursor.changed:
        return dg.SensorResult(skip_reason="Every endpoint runs the model it ran before.", cursor=cursor.dump())
    events: list[dg.AssetObservation | dg.AssetMaterialization] = []
    observed: list[str] = []
    after = cursor.after
    status = cache(told_status)
    for video_id in sorted(context.instance.get_dynamic_partitions(str(videos.name))):
        if video_id <= after:
            continue
        if len(observed) == VIDEOS_A_TICK or time.monotonic() - began > TICK_SECONDS:
            break
        try:
            versions = read_active_versions(opened, video_id)
        except StorageError as error:
            context.log.warning("The endpoint of %s is not observed. %s", video_id, error)
            versions = None
        name = versions.interpolator if versions else None
        if name in cursor.changed and name in now:
            events += seen(video_id, name, now[name].model_id, now[name], status(now[name]))
            observed.append(video_id)
        after = video_id
    else:
        cursor, after = ModelCursor(told=cursor.told), ""
    finished = sorted(_finished(opened).intersection(observed))
    config = dg.RunConfig(ops={compare_models.name: FinishedVideos(videos=finished)})
    return dg.SensorResult(
        asset_events=events,
        # Without a run key: going back to a model is one more change.
        run_requests=[dg.RunRequest(run_config=config)] if finished else [],
        skip_reason=None if finished else f"Observed the endpoint of {len(observed)} videos.",
        cursor=cursor.model_copy(update={"after": after}).dump(),
    )


def _finished(storage: Storage) -> set[str]:
    return {PurePosixPath(entry.key).stem for entry in storage.list(FINALS) if entry.key.endswith(".json")}


def _all_served(storage: Storage) -> dict[str, EndpointRecord]:
    names = [PurePosixPath(entry.key).stem for entry in storage.list(ENDPOINTS)]
    return {name: found for name in names if (found := served_now(storage, name))}
