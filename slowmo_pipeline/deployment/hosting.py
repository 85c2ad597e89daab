"""The endpoint itself, which is never done at once: every change is started, then waited for."""

import time
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.just_made import once_found
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.versions import is_ours
from slowmo_pipeline.endpoint.sagemaker import describe
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.progress import Progress

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

POLL_SECONDS = 15.0

LONGEST_CHANGE_SECONDS = 9000
"""The two longest time-outs of a deployment, 3600 each, and half an hour to get and give back instances."""

_UNDER_WAY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
_BROKEN = {"Failed", "UpdateRollbackFailed", "OutOfService"}


class Hosting:
    """One endpoint of SageMaker, there or not."""

    def __init__(self, aws: Aws, names: Names, *, progress: Progress, poll_seconds: float) -> None:
        self._aws = aws
        self._names = names
        self._progress = progress
        self._poll_seconds = poll_seconds

    def settled(self) -> "DescribeEndpointOutputTypeDef | None":
        """What SageMaker says of the endpoint once nothing is under way any more; None when there is none.

        Raises EndpointError when that takes longer than SageMaker's own time-outs allow.
        """
        started = time.monotonic()
        while (found := describe(self._aws.sagemaker, self._names.endpoint)) and found["EndpointStatus"] in _UNDER_WAY:
            elapsed = time.monotonic() - started
            if elapsed > LONGEST_CHANGE_SECONDS:
                raise EndpointError(
                    f"The endpoint {self._names.endpoint} is {found['EndpointStatus']} since {elapsed / 60:.0f} "
                    "minutes. Look at it in the SageMaker console; the same command goes on waiting."
                )
            self._progress(f"endpoint {found['EndpointStatus'].lower()}", round(elapsed), 0, "seconds")
            time.sleep(self._poll_seconds)
        return found

    def create(self, config: str) -> None:
        """Start creating it."""
        create = partial(
            self._aws.sagemaker.create_endpoint,
            EndpointName=self._names.endpoint,
            EndpointConfigName=config,
            Tags=[self._names.tag],
        )
        once_found(f"endpoint configuration {config}", create)

    def update(self, config: str, *, instances: int) -> None:
        """Start changing it to another configuration, while it goes on serving with as many instances as it has.

        One that sleeps gets the configuration's one instance: the new container is tried now, not with the next video.
        """
        update = partial(
            self._aws.sagemaker.update_endpoint,
            EndpointName=self._names.endpoint,
            EndpointConfigName=config,
            RetainAllVariantProperties=instances > 0,
        )
        once_found(f"endpoint configuration {config}", update)

    def require_running(
        self, found: "DescribeEndpointOutputTypeDef | None", config: str
    ) -> "DescribeEndpointOutputTypeDef":
        """What was found; EndpointError unless it runs that configuration."""
        name = self._names.endpoint
        if found is None:
            raise EndpointError(f"The endpoint {name} was deleted meanwhile: deploy it again.")
        reason = found.get("FailureReason", "SageMaker gives no reason").rstrip(".")
        log = f"Its log is in CloudWatch, /aws/sagemaker/Endpoints/{name}."
        if is_broken(found):
            raise EndpointError(
                f"The endpoint {name} failed: {reason}. {log} Correct the cause and deploy again, which replaces it, "
                "or remove it with `slowmo endpoint delete`."
            )
        if found["EndpointConfigName"] != config:
            raise EndpointError(
                f"The endpoint {name} could not be changed and runs what it ran before: {reason}. {log} Correct the "
                "cause and deploy again."
            )
        return found

    def delete(self) -> bool:
        """Delete it, whatever its state, and wait until it is gone; False when there was none."""
        found = describe(self._aws.sagemaker, self._names.endpoint)
        if found is None:
            return False
        if found["EndpointStatus"] != "Deleting":
            try:
                self._aws.sagemaker.delete_endpoint(EndpointName=self._names.endpoint)
            except ClientError:
                if found["EndpointStatus"] not in _UNDER_WAY:
                    raise
                # SageMaker finishes some changes before it deletes.
                self.settled()
                self._aws.sagemaker.delete_endpoint(EndpointName=self._names.endpoint)
        left = self.settled()
        if left is not None:
            raise EndpointError(
                f"SageMaker did not delete the endpoint {self._names.endpoint}, which is {left['EndpointStatus']}: "
                f"{left.get('FailureReason', 'it gives no reason')}. Run the same command again."
            )
        return True


def describe_ours(aws: Aws, names: Names) -> "DescribeEndpointOutputTypeDef | None":
    """What SageMaker says of the endpoint now; None when there is none.

    Raises EndpointError when it is not of this deployment.
    """
    found = describe(aws.sagemaker, names.endpoint)
    if found is not None and not is_ours(aws, names, found["EndpointArn"]):
        raise EndpointError(
            f"There is an endpoint {names.endpoint} in {aws.region} that `slowmo endpoint deploy` did not make, and "
            "that is left alone. Choose another name."
        )
    return found


def is_broken(found: "DescribeEndpointOutputTypeDef") -> bool:
    """Whether a deployment replaces an endpoint instead of updating it."""
    return found["EndpointStatus"] in _BROKEN


def running_instances(found: "DescribeEndpointOutputTypeDef") -> int:
    """How many instances an endpoint has."""
    return sum(variant.get("CurrentInstanceCount", 0) for variant in found.get("ProductionVariants", []))
