"""The AWS services that a deployment uses, and what they refuse told as errors that name the next step."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from slowmo_pipeline.aws_errors import DENIED, EXPIRED, SIGN_IN
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.hosted import RETRIES

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient


class Aws:
    """A client of each service, made when first used."""

    @cached_property
    def sagemaker(self) -> "SageMakerClient":
        """Models, endpoint configurations and endpoints."""
        return boto3.client("sagemaker", config=Config(retries=RETRIES))

    @cached_property
    def application_autoscaling(self) -> "ApplicationAutoScalingClient":
        """How many instances an endpoint has."""
        return boto3.client("application-autoscaling", config=Config(retries=RETRIES))

    @cached_property
    def cloudwatch(self) -> "CloudWatchClient":
        """Metrics and alarms."""
        return boto3.client("cloudwatch", config=Config(retries=RETRIES))

    @cached_property
    def sns(self) -> "SNSClient":
        """Topics."""
        return boto3.client("sns", config=Config(retries=RETRIES))

    @cached_property
    def sts(self) -> "STSClient":
        """Who the caller is."""
        return boto3.client("sts", config=Config(retries=RETRIES))

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
def told_plainly() -> Iterator[None]:
    """Raise EndpointError, with a message for people, for what AWS refuses."""
    try:
        yield
    except ClientError as error:
        raise EndpointError(_refusal(error)) from error
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise EndpointError(
            f"There are no AWS credentials ({error}): set AWS_PROFILE or run `aws configure`."
        ) from error
    except NoRegionError as error:
        raise EndpointError("No AWS region is set: set AWS_DEFAULT_REGION, or `region` in the profile.") from error
    except BotoCoreError as error:
        raise EndpointUnreachableError(f"AWS cannot be reached: {error}") from error


def _refusal(error: ClientError) -> str:
    code, operation = error.response["Error"].get("Code", ""), error.operation_name
    message = " ".join(error.response["Error"].get("Message", "").split()).rstrip(".")
    # AuthorizationError is how SNS says it.
    if code in DENIED or code == "AuthorizationError":
        return (
            f"AWS does not allow {operation}: {message}. Let who deploys have the deployer's policy of "
            "deploy/cloudformation.yaml."
        )
    if code in EXPIRED:
        return f"AWS does not take the credentials for {operation} ({code}): {SIGN_IN}."
    return (
        f"AWS refused {operation} ({code}): {message}. Correct what it names and run the same command again: it goes "
        "on where this one stopped."
    )
