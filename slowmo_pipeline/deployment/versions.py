"""Models and endpoint configurations: neither can be changed, so each is named after its content."""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.just_made import once_found
from slowmo_pipeline.deployment.names import VARIANT, Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.deployment.settings import DeploymentSettings


def model_content(settings: DeploymentSettings, *, image: str, package: str) -> dict[str, Any]:
    """The arguments of CreateModel but for name and tags; `package` is an address in S3."""
    return {
        "ExecutionRoleArn": settings.role_arn,
        "PrimaryContainer": {
            "Image": image,
            "ModelDataUrl": package,
            "Environment": settings.container_environment,
        },
    }


def config_content(
    settings: DeploymentSettings, *, model: str, ami: str | None, results: str, failures: str, topics: tuple[str, str]
) -> dict[str, Any]:
    """The arguments of CreateEndpointConfig but for name and tags.

    `ami` is the InferenceAmiVersion, None for instances without a GPU, `results` and `failures` are addresses in S3,
    `topics` the ARNs for successes and for errors.
    """
    success, error = topics
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "ModelName": model,
        "InstanceType": settings.instance_type,
        # The least that is allowed, even if the endpoint may sleep later: so a start proves that the container runs.
        "InitialInstanceCount": 1,
        "ModelDataDownloadTimeoutInSeconds": settings.download_timeout,
        "ContainerStartupHealthCheckTimeoutInSeconds": settings.startup_timeout,
    }
    if settings.volume_gb is not None:
        variant["VolumeSizeInGB"] = settings.volume_gb
    if ami is not None:
        variant["InferenceAmiVersion"] = ami
    output: dict[str, Any] = {
        "S3OutputPath": results,
        "S3FailurePath": failures,
        "NotificationConfig": {"SuccessTopic": success, "ErrorTopic": error},
    }
    content: dict[str, Any] = {
        "ProductionVariants": [variant],
        "AsyncInferenceConfig": {
            "OutputConfig": output,
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": settings.invocations_per_instance},
        },
    }
    if settings.kms_key is not None:
        output["KmsKeyId"] = settings.kms_key
        content["KmsKeyId"] = settings.kms_key
    return content


def ensure_model(aws: Aws, names: Names, content: dict[str, Any], told: Report) -> str:
    """Make the model unless there is one with that content; return its name."""
    name = names.version(content)
    if name not in models(aws, names):
        aws.sagemaker.create_model(ModelName=name, Tags=[names.tag], **content)
        told(f"created model {name}")
    return name


def ensure_config(aws: Aws, names: Names, content: dict[str, Any], told: Report) -> str:
    """Make the endpoint configuration unless there is one with that content; return its name."""
    name = names.version(content)
    if name not in configs(aws, names):
        model = content["ProductionVariants"][0]["ModelName"]
        create = partial(aws.sagemaker.create_endpoint_config, EndpointConfigName=name, Tags=[names.tag], **content)
        once_found(f"model {model}", create)
        told(f"created endpoint configuration {name}")
    return name


def delete_versions(aws: Aws, names: Names, told: Report, *, keep: Collection[str] = ()) -> None:
    """Delete all endpoint configurations and models of the deployment but those to keep."""
    for name in sorted(set(configs(aws, names)) - set(keep)):
        aws.sagemaker.delete_endpoint_config(EndpointConfigName=name)
        told(f"deleted endpoint configuration {name}")
    for name in sorted(set(models(aws, names)) - set(keep)):
        aws.sagemaker.delete_model(ModelName=name)
        told(f"deleted model {name}")


def models(aws: Aws, names: Names) -> list[str]:
    """Names of the deployment's models."""
    pages = aws.sagemaker.get_paginator("list_models").paginate(NameContains=names.deployment)
    return _ours(aws, names, ((each["ModelName"], each["ModelArn"]) for page in pages for each in page["Models"]))


def configs(aws: Aws, names: Names) -> list[str]:
    """Names of the deployment's endpoint configurations."""
    pages = aws.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=names.deployment)
    found = (each for page in pages for each in page["EndpointConfigs"])
    return _ours(aws, names, ((each["EndpointConfigName"], each["EndpointConfigArn"]) for each in found))


def _ours(aws: Aws, names: Names, found: Iterator[tuple[str, str]]) -> list[str]:
    # The name first: who may deploy this deployment may not ask for the tags of others.
    return [name for name, arn in found if names.is_version(name) and is_ours(aws, names, arn)]


def is_ours(aws: Aws, names: Names, arn: str) -> bool:
    """Whether something of SageMaker's carries the deployment's tag."""
    return names.tag in aws.sagemaker.list_tags(ResourceArn=arn)["Tags"]
