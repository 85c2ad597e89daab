"""Amazon SageMaker as a run meets it: what it says of an endpoint, and what its refusals mean."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoRegionError
from botocore.exceptions import ConnectionError as NotConnectedError
from botocore.parsers import ResponseParserError

from slowmo_pipeline.aws_errors import DENIED, EXPIRED, GRANT, SIGN_IN, THROTTLED
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

RETRIES: Any = {"mode": "standard", "max_attempts": 5}
"""Of each request: throttling, 5xx and lost connections, with jitter."""

# Dagster ends a tick after 60 s, and a waiting run has results to look for: better to ask again than to wait long.
_PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})

_DEPLOY = "deploy it with `slowmo endpoint deploy`, then run again"


def describe(sagemaker: "SageMakerClient", name: str) -> "DescribeEndpointOutputTypeDef | None":
    """What SageMaker says of an endpoint now; None when there is none."""
    try:
        return sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        # SageMaker has no error code of its own for what does not exist.
        if "Could not find" in error.response["Error"].get("Message", ""):
            return None
        raise


def why_lost(name: str) -> str | None:
    """Why nothing more can come of what was sent to an endpoint, with the next step; None while something may.

    Raises EndpointUnreachableError when SageMaker may be asked again later, EndpointError when that would not help.
    """
    found = _told_of(name)
    if found is None or found["EndpointStatus"] == "Deleting":
        return f"There is no endpoint {name} any more, and its queue is gone with it: {_DEPLOY}."
    if found["EndpointStatus"] == "Failed":  # the one status that an endpoint never leaves
        reason = found.get("FailureReason", "SageMaker gives no reason").rstrip(".")
        return f"The endpoint {name} has failed ({reason}): {_DEPLOY}."
    return None


def known_lost(name: str, log: logging.Logger) -> str | None:
    """The same for who asks again and again: None as well when SageMaker does not tell, which is logged."""
    try:
        return why_lost(name)
    except EndpointError as error:
        log.warning("Whether %s is still there is not known: %s", name, error)
        return None


def status_of(name: str) -> str:
    """The status of an endpoint in SageMaker's words, of which InService is the good one. Raises as `why_lost` does."""
    found = _told_of(name)
    return found["EndpointStatus"] if found else "not there"


def _told_of(name: str) -> "DescribeEndpointOutputTypeDef | None":
    with told_to_runs(name, "DescribeEndpoint"):
        return describe(boto3.client("sagemaker", config=_PATIENCE), name)


@contextmanager
def told_to_runs(name: str, request: str) -> Iterator[None]:
    """Tell what an endpoint's refusal of a request means for a run.

    Raises EndpointUnreachableError when it may be tried again later, EndpointError when that would not help.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(error, name, request) from error
    except (HTTPClientError, NotConnectedError) as error:
        raise EndpointUnreachableError(f"The endpoint {name} cannot be reached: {error}") from error
    except NoRegionError as error:
        raise EndpointError(f"There is no AWS region for the endpoint {name}: set AWS_DEFAULT_REGION.") from error
    except BotoCoreError as error:
        raise EndpointError(f"There are no AWS credentials for {name} ({error}): {SIGN_IN}.") from error
    except (ResponseParserError, ValueError) as error:
        # Something else may have got the port of a server that died.
        raise EndpointError(f"What answers for the endpoint {name} is no such endpoint: {error}") from error


def _refusal(error: ClientError, name: str, request: str) -> EndpointError:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message") or str(error)
    if code in EXPIRED:
        return EndpointError(f"AWS does not take the credentials for {name} ({code}): {SIGN_IN}.")
    if code in DENIED:
        return EndpointError(f"AWS does not let these credentials use {name}: {GRANT}. It says: {message}")
    if code in THROTTLED or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return EndpointUnreachableError(
            f"The endpoint {name} is busy or broken: run again later, nothing done is lost. It says: {message}"
        )
    if code.startswith("Validation") and "not found" in message:
        return EndpointError(f"There is no endpoint {name}: {_DEPLOY}. The answer was: {message}")
    return EndpointError(f"The endpoint {name} refused {request}: {message}")
