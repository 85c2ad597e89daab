"""Jobs that deploy and delete an endpoint. Not assets: nothing that is materialised or backfilled ever deploys.

The code location has them only where SLOWMO_DEPLOYMENT_JOBS says so.
"""

import dagster as dg
from pydantic import Field, create_model

from slowmo_pipeline.defs.assets import errors_as_dagster_failure
from slowmo_pipeline.defs.resources import PipelineStorage, ProgressFor
from slowmo_pipeline.defs.setting_fields import config_fields
from slowmo_pipeline.deployment.settings import DeploymentSettings, parse_deployment

DeployEndpointConfig = create_model(
    "DeployEndpointConfig", __base__=dg.Config, **config_fields(DeploymentSettings.model_fields)
)
"""The settings of a deployment; those not given take their defaults."""


class DeleteEndpointConfig(dg.Config):
    """What shall be deleted."""

    name: str = Field(description="Of the deployment. There is no default: what is deleted, somebody has named.")


@dg.op
def deploy_to_sagemaker(
    context: dg.OpExecutionContext,
    config: DeployEndpointConfig,
    storage: PipelineStorage,
    progress: dg.ResourceParam[ProgressFor],
) -> None:
    """Deploy an endpoint, or make the one of that name what the settings say."""
    from slowmo_pipeline.deployment.deploy import deploy
    from slowmo_pipeline.serving.container.package import packaged_model_id
    from slowmo_pipeline.steps.under_way import under_way

    with errors_as_dagster_failure():
        settings, opened = parse_deployment(config.model_dump()), storage.open()
        for line in under_way(opened, settings.interpolator, packaged_model_id(settings.package)):
            context.log.info(line)
        deployed = deploy(opened, settings, told=context.log.info, progress=progress(context.log))
    context.add_output_metadata(
        {
            "endpoint": deployed.endpoint,
            "model": deployed.model_id,
            "image": deployed.image_uri,
            "inference_ami_version": deployed.inference_ami_version,
        }
    )


@dg.op
def delete_from_sagemaker(
    context: dg.OpExecutionContext,
    config: DeleteEndpointConfig,
    storage: PipelineStorage,
    progress: dg.ResourceParam[ProgressFor],
) -> None:
    """Delete an endpoint with everything that was made for it."""
    from slowmo_pipeline.deployment.delete import delete

    with errors_as_dagster_failure():
        delete(storage.open(), config.name, told=context.log.info, progress=progress(context.log))


@dg.job(description="Deploy an asynchronous endpoint of Amazon SageMaker, or change the one of that name.")
def deploy_endpoint() -> None:
    """Run `deploy_to_sagemaker`."""
    deploy_to_sagemaker()


@dg.job(description="Delete an endpoint of Amazon SageMaker with everything that was made for it.")
def delete_endpoint() -> None:
    """Run `delete_from_sagemaker`."""
    delete_from_sagemaker()
