"""The endpoint in the lineage: an observed asset above `interpolated_chunks` that shows which videos are out of date.

Each video is a partition of it, since videos differ in their interpolator: one data version for all of them would put
every video of `flow` out of date whenever `film` is deployed anew. The data version is a model id. Dagster holds a
partition of `interpolated_chunks` for out of date when its endpoint was observed with another data version after the
observation that the partition points to:

    observed    flow-1   flow-1   flow-2
                           ▲
    made with flow-1 ──────┘        later and another: out of date

Dagster fills a partition by materialisations alone, and knows an endpoint without any as missing: so each observation
has one beside it. What is out of date still follows from the observations.

What is observed is the record that whoever deploys or serves leaves in the storage, and the status of an endpoint at
SageMaker. Nothing here changes or wakes one.
"""

import dagster as dg

from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.endpoint.record import EndpointRecord, served_now
from slowmo_pipeline.endpoint.sagemaker import status_of
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.steps.records import ActiveVersions
from slowmo_pipeline.storage.base import Storage

GROUP = "slow_motion"
"""Of all assets in the UI."""

KINDS = {"sagemaker"} if current_home().has_bucket else None
"""Of what makes new frames. Which endpoint makes a video's is known of each video alone, by its observation; over a
folder none is SageMaker's."""

endpoint = dg.AssetSpec(
    "endpoint",
    partitions_def=videos,
    group_name=GROUP,
    kinds=KINDS,
    description="What makes the new frames of each video, as last observed: a local process, or an endpoint of "
    "Amazon SageMaker. Its data version is the id of the model: once that is another one, what was made before shows "
    "as out of date.",
)


def made_with(context: dg.AssetExecutionContext, storage: Storage, versions: ActiveVersions) -> dict[str, str]:
    """Tags for a materialisation of `interpolated_chunks` that bind it to the model that made its new frames.

    By itself Dagster would bind it to whatever was observed when the step began: nothing yet, or a model that was
    deployed while this one's last results were awaited.
    """
    video_id, interpolator, model_id = context.partition_key, versions.interpolator, versions.model_id
    now = served_now(storage, interpolator)
    status = told_status(now)
    for event in seen(video_id, interpolator, model_id, now, status):
        context.log_event(event)
    of_video = dg.AssetRecordsFilter(endpoint.key, asset_partitions=[video_id])
    records = context.instance.fetch_observations(of_video, limit=10).records
    bound_to = next(record.storage_id for record in records if record.run_id == context.run.run_id)
    if now and now.model_id != model_id:
        for event in seen(video_id, interpolator, now.model_id, now, status):
            context.log_event(event)
    return {f"dagster/input_event_pointer/{endpoint.key.to_user_string()}": str(bound_to)}


def seen(
    video_id: str, interpolator: str, model_id: str, now: EndpointRecord | None, status: str | None
) -> tuple[dg.AssetMaterialization, dg.AssetObservation]:
    """That a model makes a video's new frames; with what is known of the endpoint, as far as that runs this model."""
    known = (
        {"status": status, "sagemaker_endpoint": now.sagemaker_endpoint, "instance_type": now.instance_type}
        if now and now.model_id == model_id
        else {}
    )
    metadata = {
        "interpolator": interpolator,
        "model": model_id,
        **{name: value for name, value in known.items() if value is not None},
    }
    tags = {"dagster/data_version": model_id}
    return (
        dg.AssetMaterialization(endpoint.key, partition=video_id, metadata=metadata, tags=tags),
        dg.AssetObservation(endpoint.key, partition=video_id, metadata=metadata, tags=tags),
    )


def told_status(endpoint: EndpointRecord | None) -> str | None:
    """How SageMaker says the endpoint is, or why it does not; None for a local one, and for none."""
    try:
        return status_of(endpoint.sagemaker_endpoint) if endpoint and endpoint.sagemaker_endpoint else None
    except EndpointError as error:
        return f"not known: {error}"
