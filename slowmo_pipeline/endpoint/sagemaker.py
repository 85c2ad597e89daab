"""Amazon SageMaker as a run meets it: what it says of an endpoint, and what its refusals mean."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import ClientError

from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.storage.aws_client import aws_client
from slowmo_pipeline.storage.aws_errors import AWS_ERRORS, AwsError, Cause, sorted_out
from slowmo_pipeline.storage.patience import AWS_LOOK

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

_DEPLOY = "deploy it with `slowmo endpoint deploy`, then run again"


def describe(sagemaker: "SageMakerClient", name: str) -> "DescribeEndpointOutputTypeDef | None":
    """What SageMaker says of an endpoint now; None when there is none."""
    try:
        return sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_not_found(error):
            return None
        raise


def is_not_found(error: ClientError) -> bool:
    """Whether the error says that the named thing does not exist: SageMaker has no error code for that."""
    return "Could not find" in error.response["Error"].get("Message", "")


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
    """As `why_lost`, for callers that soon ask again: if SageMaker cannot be asked, that is logged, and gives None."""
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
    with errors_as_run_error(name, "DescribeEndpoint"):
        return describe(aws_client("sagemaker", config=Config(**AWS_LOOK)), name)


@contextmanager
def errors_as_run_error(name: str, request: str) -> Iterator[None]:
    """Tell what an endpoint's refusal of a request means for a run.

    Raises EndpointUnreachableError when it may be tried again later, EndpointError when that would not help.
    """
    try:
        yield
    except AWS_ERRORS as error:
        raise _meant(sorted_out(error), name, request) from error
    except ValueError as error:
        # Something else may have got the port of a server that died.
        raise _meant(AwsError(Cause.NOT_AWS, "", str(error)), name, request) from error


def _meant(found: AwsError, name: str, request: str) -> EndpointError:
    if found.code.startswith("Validation") and "not found" in found.message:
        return EndpointError(f"There is no endpoint {name}: {_DEPLOY}. The answer was: {found.message}")
    kind = EndpointUnreachableError if found.passes else EndpointError
    return kind(found.sentence(f"the endpoint {name}", refused=f"The endpoint {name} refused {request}"))
