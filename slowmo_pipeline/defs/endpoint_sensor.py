"""The sensor that looks for deployed endpoints which do not scale: a deploy that died can tell nobody."""

import dagster as dg
from botocore.config import Config

from slowmo_pipeline.defs.resources import PipelineStorage
from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.storage_objects import deployments
from slowmo_pipeline.deployment.unscaled import unscaled
from slowmo_pipeline.endpoint.sagemaker import errors_as_run_error
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.storage.patience import AWS_LOOK

LOOK_SECONDS = 600
"""Between two looks: ten minutes of an instance cost cents, and whoever deploys has been told already."""


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Warns of endpoints that do not scale: a deploy was cut off, and their instances cost their full price "
    "day and night. Starts no run and changes nothing.",
)
def unscaled_endpoints(context: dg.SensorEvaluationContext, storage: PipelineStorage) -> dg.SkipReason:
    """Tell of every endpoint deployed for this storage that does not scale. One that does is asked for once."""
    names = deployments(storage.open())
    if not names:
        return dg.SkipReason("No endpoint was deployed for this storage.")
    aws = Aws(Config(**AWS_LOOK))
    told: list[str] = []
    for name in names:
        try:
            with errors_as_run_error(name, "a look"):
                found = unscaled(aws, Names(name))
        except EndpointError as error:
            told.append(f"Whether the endpoint {name} scales is not known. {error}")
        else:
            if found is not None:
                context.log.warning(found)
                told.append(found)
    return dg.SkipReason(" ".join(told) or "No endpoint runs without scaling.")
