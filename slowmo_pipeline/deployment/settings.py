"""The knobs of a deployment: their defaults, bounds and meaning, each once."""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES
from slowmo_pipeline.deployment.container_environment import require_environment
from slowmo_pipeline.deployment.image import CUDA_12_AMI, CUDA_13_AMI
from slowmo_pipeline.deployment.instances import has_gpu
from slowmo_pipeline.environment import REQUIRE_GPU
from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.serving.container.djl.environment import DJL_ENVIRONMENT
from slowmo_pipeline.settings import reason_of

DEFAULT_NAME = "slowmo-film"

_BODY_LIMIT = "SERVING_MAX_REQUEST_SIZE"

DeploymentName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$", max_length=54)]
"""SageMaker takes names of 63 characters; those of models have 9 more than the deployment's."""

_Topic = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z\-]*:sns:[a-z0-9\-]+:[0-9]{12}:[a-zA-Z0-9_\-]+$")]


class DeploymentSettings(BaseModel):
    """What shall be deployed. The region and the credentials are boto3's, by its usual chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DeploymentName = Field(
        DEFAULT_NAME, description="Of the endpoint, and the beginning of all other names; up to 54 characters."
    )
    interpolator: str = Field(
        "film",
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$",
        description="What the settings of a video call this endpoint.",
    )
    package: Path = Field(description="The model.tar.gz, as `slowmo model package` writes it.")
    role_arn: str = Field(
        pattern=r"^arn:aws[a-z\-]*:iam::[0-9]{12}:role/.+$",
        description="ARN of the role that the endpoint runs as: it reads chunks and the package, and writes results.",
    )
    image_uri: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="The container image in ECR, best your own (deploy/serving). Unset: AWS's image of DJL Serving, "
        "which has no TensorFlow and installs it at every start of an instance.",
    )
    instance_type: str = Field(
        "ml.g5.xlarge",
        pattern=r"^ml\.[a-z0-9\-]+\.[a-z0-9\-]+$",
        description="Of SageMaker, with NVIDIA GPUs (families g and p) or none. ml.g5.xlarge has one of 24 GB.",
    )
    inference_ami_version: str | None = Field(
        None,
        description="SageMaker's name for what the hosts of GPUs run, their NVIDIA driver above all. Unset: what fits "
        "the image, if that is DJL Serving's or your own in a repository slowmo-film. It must be given for any other: "
        f"{CUDA_12_AMI} for CUDA 12, {CUDA_13_AMI} for CUDA 13.",
    )
    volume_gb: int | None = Field(
        None,
        ge=1,
        le=512,
        description="Gigabytes of an instance's EBS volume; unset: SageMaker's default. SageMaker refuses it for "
        "instance types that have a disk of their own, such as ml.g4dn and ml.g5.",
    )
    min_instances: int = Field(
        0, ge=0, le=1000, description="Instances that stay without work; 0 costs nothing while nobody sends any."
    )
    max_instances: int = Field(5, ge=1, le=1000, description="Instances at most.")
    backlog_target: float = Field(
        5.0,
        gt=0,
        le=1000,
        description="Chunks, waiting or being computed, for each instance. SageMaker counts the running ones too: "
        "a high target may stop an instance that still works (its chunk is sent again), a low one starts more.",
    )
    scale_in_cooldown: int = Field(
        600,
        ge=0,
        le=86400,
        description="Seconds between two stops of instances. The first comes some 15 minutes after the work.",
    )
    scale_out_cooldown: int = Field(
        300, ge=0, le=86400, description="Seconds between two starts of instances: about what a start takes."
    )
    invocations_per_instance: int = Field(
        1, ge=1, le=1000, description="Chunks that an instance computes at a time; one GPU takes one."
    )
    startup_timeout: int = Field(
        3600, ge=60, le=3600, description="Seconds until a container answers; DJL Serving may install TensorFlow first."
    )
    download_timeout: int = Field(
        3600, ge=60, le=3600, description="Seconds for an instance to fetch and unpack the package."
    )
    kms_key: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9:/_\-]{1,2048}$",
        description="KMS key (ID, ARN or alias) for the results and the instances' volumes. Unset: the bucket's own "
        "encryption, and SageMaker's.",
    )
    success_topic: _Topic | None = Field(
        None, description="ARN of the SNS topic that is told of results. Unset: a topic of the deployment's own."
    )
    error_topic: _Topic | None = Field(
        None, description="ARN of the SNS topic that is told of failures. Unset: a topic of the deployment's own."
    )
    environment: dict[str, str] = Field(
        {}, description="Environment of the container, on top of what large chunks need, and GPUs."
    )

    @model_validator(mode="after")
    def _usable_instances(self) -> "DeploymentSettings":
        has_gpu(self.instance_type)
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "DeploymentSettings":
        require_order(self.min_instances, self.max_instances)
        require_environment(self.container_environment)
        if not self._body_limit.isascii() or not self._body_limit.isdecimal():
            raise ValueError(f"{_BODY_LIMIT} = {self._body_limit!r} of the environment must be a number of bytes")
        return self

    @property
    def container_environment(self) -> dict[str, str]:
        """All that the container's environment is given."""
        gpu = {REQUIRE_GPU: "1"} if has_gpu(self.instance_type) else {}
        return {**DJL_ENVIRONMENT, **gpu, **self.environment}

    @property
    def max_body_bytes(self) -> int:
        """The largest chunk that the container takes."""
        return min(int(self._body_limit), MAX_TAR_BYTES)

    @property
    def _body_limit(self) -> str:
        return self.container_environment[_BODY_LIMIT]


def require_order(min_instances: int, max_instances: int) -> None:
    """Raise SettingsError, which is a ValueError, for bounds of which the lower is higher."""
    if min_instances > max_instances:
        raise SettingsError(f"min_instances = {min_instances} must not exceed max_instances = {max_instances}.")


def parse_deployment(values: Mapping[str, Any]) -> DeploymentSettings:
    """Settings from names and values; None and names not given take their defaults.

    Raises SettingsError that quotes the first bad value and says what is allowed.
    """
    try:
        return DeploymentSettings.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        reason = reason_of(first["msg"])
        if not first["loc"]:
            raise SettingsError(f"{reason}.") from None
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise SettingsError(f"{name} must be given: {_described(name)}") from None
        raise SettingsError(f"{name} = {reprlib.repr(first['input'])} {reason}: {_described(name)}") from None


def _described(name: str) -> str:
    field = DeploymentSettings.model_fields.get(name.partition(".")[0])
    return (field.description if field else None) or f"known are {', '.join(DeploymentSettings.model_fields)}."
