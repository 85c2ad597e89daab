"""The code location: everything that Dagster loads. Importing it must stay light."""

import dagster as dg

from slowmo_pipeline.defs import (
    assets,
    checks,
    deployment_jobs,
    endpoint_asset,
    endpoint_sensor,
    jobs,
    model_sensor,
    operator_sensors,
    video_sensors,
)
from slowmo_pipeline.defs.resources import PipelineStorage, SageMakerAsyncEndpoint
from slowmo_pipeline.environment import deployment_jobs_wanted
from slowmo_pipeline.progress import LogProgress

defs = dg.Definitions(
    assets=[
        assets.raw_video,
        assets.frame_chunks,
        endpoint_asset.endpoint,
        assets.interpolated_chunks,
        assets.final_video,
    ],
    asset_checks=[checks.upload_decodes, checks.final_video_as_planned, checks.made_by_served_model],
    jobs=[
        jobs.slow_motion,
        jobs.finish_video,
        jobs.change_model,
        checks.check_video,
        model_sensor.check_models,
        *([deployment_jobs.deploy_endpoint, deployment_jobs.delete_endpoint] if deployment_jobs_wanted() else []),
    ],
    sensors=[
        video_sensors.new_uploads,
        video_sensors.completed_outputs,
        model_sensor.served_models,
        endpoint_sensor.unscaled_endpoints,
        operator_sensors.finished_videos,
        operator_sensors.failed_videos,
    ],
    resources={
        "storage": PipelineStorage(),
        "endpoint": SageMakerAsyncEndpoint(),
        "progress": LogProgress,
    },
    # One process a run: a step a process costs seconds each, and the steps take turns anyway.
    executor=dg.in_process_executor,
)
