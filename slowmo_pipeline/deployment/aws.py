"""The AWS services that a deployment uses, and what they refuse told as errors that name the next step."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import ClientError

from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.storage.aws_client import aws_client
from slowmo_pipeline.storage.aws_errors import AWS_ERRORS, sorted_out

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient

_GRANT = "let who deploys have the deployer's policy of deploy/cloudformation.yaml"


class Aws:
    """A client of each service, made when first used; `config` goes on top of how all clients are set up."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config

    @cached_property
    def sagemaker(self) -> "SageMakerClient":
        """Models, endpoint configurations and endpoints."""
        client: SageMakerClient = aws_client("sagemaker", config=self._config)
        return client

    @cached_property
    def application_autoscaling(self) -> "ApplicationAutoScalingClient":
        """How many instances an endpoint has."""
        client: ApplicationAutoScalingClient = aws_client("application-autoscaling", config=self._config)
        return client

    @cached_property
    def cloudwatch(self) -> "CloudWatchClient":
        """Metrics and alarms."""
        client: CloudWatchClient = aws_client("cloudwatch", config=self._config)
        return client

    @cached_property
    def sns(self) -> "SNSClient":
        """Topics."""
        client: SNSClient = aws_client("sns", config=self._config)
        return client

    @cached_property
    def sts(self) -> "STSClient":
        """Who the caller is."""
        client: STSClient = aws_client("sts", config=self._config)
        return client

    @property
    def region(self) -> str:
        """Where all of it is."""
        return self.sagemaker.meta.region_name

    def topic_arn(self, name: str) -> str:
        """The ARN of a topic of the caller's account, whether there is one or not."""
        partition, account = self._partition_and_account
        return f"arn:{partition}:sns:{self.region}:{account}:{name}"

    @cached_property
    def _partition_and_account(self) -> tuple[str, str]:
        caller = self.sts.get_caller_identity()
        return caller["Arn"].split(":")[1], caller["Account"]


@contextmanager
def errors_as_endpoint_error() -> Iterator[None]:
    """Raise EndpointError, with a message for people, for what AWS refuses."""
    try:
        yield
    except AWS_ERRORS as error:
        found = sorted_out(error)
        what = error.operation_name if isinstance(error, ClientError) else "AWS's services"
        kind = EndpointUnreachableError if found.passes else EndpointError
        raise kind(found.sentence(what, refused=f"AWS refused {what}", grant=_GRANT)) from error
