"""The endpoint in the lineage: an observed asset above `interpolated_chunks` that shows which videos are out of date.

Each video is a partition of it, since videos differ in their interpolator: one data version for all of them would put
every video of `flow` out of date whenever `film` is deployed anew. The data version is a model id. Dagster holds a
partition of `interpolated_chunks` for out of date when its endpoint was observed with another data version after the
observation that the partition points to:

    observed    flow-1   flow-1   flow-2
                           ▲
    made with flow-1 ──────┘        later and another: out of date

What is observed is the record that whoever deploys or serves leaves in the storage, and the status of an endpoint at
SageMaker. Nothing here changes or wakes one.
"""

import time
from functools import cache
from pathlib import PurePosixPath

import dagster as dg
from pydantic import Field

from slowmo_pipeline.cursor import Cursor
from slowmo_pipeline.endpoint_record import Served
from slowmo_pipeline.errors import EndpointError, StorageError
from slowmo_pipeline.hosted import status_of
from slowmo_pipeline.keys import ENDPOINTS
from slowmo_pipeline.partitions import videos
from slowmo_pipeline.resources import PipelineStorage
from slowmo_pipeline.steps.overview import served_now
from slowmo_pipeline.steps.records import Current, read_current
from slowmo_pipeline.storage.base import Storage

GROUP = "slow_motion"
"""Of all assets in the UI."""

OBSERVATIONS_A_TICK = 200
"""Dagster stores each on its own, in some 50 ms."""

TICK_SECONDS = 40
"""Dagster ends a tick after 60 s."""

endpoint = dg.AssetSpec(
    "endpoint",
    partitions_def=videos,
    group_name=GROUP,
    kinds={"sagemaker"},
    description="What makes the new frames of each video, as last observed. Its data version is the id of the model.",
)


class ModelCursor(Cursor):
    """What the sensor of served models remembers. Only a cache: without it, every video is observed once more."""

    models: dict[str, str] = Field({})
    """Model id of each interpolator's endpoint at the last tick."""
    changed: list[str] = Field([])
    """Interpolators whose videos are being observed."""
    after: str = ""
    """The last video that was looked at for them."""

    def at(self, models: dict[str, str]) -> "ModelCursor":
        """The cursor once these are the models; a change begins with the first video again."""
        new = {name for name, model_id in models.items() if self.models.get(name) != model_id}
        return ModelCursor(models=models, changed=sorted({*self.changed, *new}), after="" if new else self.after)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Shows videos as out of date once their endpoint runs another model. Starts no run.",
)
def served_models(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SensorResult:
    """Observe the endpoint of every video whose interpolator got another model."""
    opened = storage.open()
    began = time.monotonic()
    now = _all_served(opened)
    cursor = ModelCursor.parse(context.cursor).at({name: each.model_id for name, each in now.items()})
    if not cursor.changed:
        return dg.SensorResult(skip_reason="Every endpoint runs the model it ran before.", cursor=cursor.dump())
    observed: list[dg.AssetObservation] = []
    after = cursor.after
    status = cache(_status)
    for video_id in sorted(context.instance.get_dynamic_partitions(str(videos.name))):
        if video_id <= after:
            continue
        if len(observed) == OBSERVATIONS_A_TICK or time.monotonic() - began > TICK_SECONDS:
            break
        try:
            current = read_current(opened, video_id)
        except StorageError as error:
            context.log.warning("The endpoint of %s is not observed. %s", video_id, error)
            current = None
        name = current.interpolator if current else None
        if name in cursor.changed and name in now:
            observed.append(_observation(video_id, name, now[name].model_id, now[name], status(now[name])))
        after = video_id
    else:
        cursor, after = ModelCursor(models=cursor.models), ""
    cursor = cursor.model_copy(update={"after": after})
    return dg.SensorResult(
        asset_events=observed, skip_reason=f"Observed the endpoint of {len(observed)} videos.", cursor=cursor.dump()
    )


def made_with(context: dg.AssetExecutionContext, storage: Storage, current: Current) -> dict[str, str]:
    """Tags for a materialisation of `interpolated_chunks` that bind it to the model that made its new frames.

    By itself Dagster would bind it to whatever was observed when the step began: nothing yet, or a model that was
    deployed while this one's last results were awaited.
    """
    video_id, interpolator, model_id = context.partition_key, current.interpolator, current.model_id
    now = served_now(storage, interpolator)
    status = _status(now)
    context.log_event(_observation(video_id, interpolator, model_id, now, status))
    of_video = dg.AssetRecordsFilter(endpoint.key, asset_partitions=[video_id])
    records = context.instance.fetch_observations(of_video, limit=10).records
    bound_to = next(record.storage_id for record in records if record.run_id == context.run.run_id)
    if now and now.model_id != model_id:
        context.log_event(_observation(video_id, interpolator, now.model_id, now, status))
    return {f"dagster/input_event_pointer/{endpoint.key.to_user_string()}": str(bound_to)}


def _observation(
    video_id: str, interpolator: str, model_id: str, now: Served | None, status: str | None
) -> dg.AssetObservation:
    """That a model makes a video's new frames; with what is known of the endpoint, as far as that runs this model."""
    known = (
        {"status": status, "sagemaker_endpoint": now.sagemaker_endpoint, "instance_type": now.instance_type}
        if now and now.model_id == model_id
        else {}
    )
    return dg.AssetObservation(
        endpoint.key,
        partition=video_id,
        metadata={
            "interpolator": interpolator,
            "model": model_id,
            **{name: value for name, value in known.items() if value is not None},
        },
        tags={"dagster/data_version": model_id},
    )


def _status(endpoint: Served | None) -> str | None:
    """How SageMaker says the endpoint is, or why it does not; None for a local one, and for none."""
    try:
        return status_of(endpoint.sagemaker_endpoint) if endpoint and endpoint.sagemaker_endpoint else None
    except EndpointError as error:
        return f"not known: {error}"


def _all_served(storage: Storage) -> dict[str, Served]:
    names = [PurePosixPath(entry.key).stem for entry in storage.list(ENDPOINTS)]
    return {name: found for name in names if (found := served_now(storage, name))}
