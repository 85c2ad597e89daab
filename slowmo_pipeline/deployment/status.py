"""Looking at a deployment: how many instances, how much waits, what failed last, what an hour costs."""

import heapq
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.deployment.hosting import describe_ours, running_instances
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.scaling import METRICS, Bounds, bounds, endpoint_dimension
from slowmo_pipeline.deployment.unscaled import unscaled
from slowmo_pipeline.endpoint.client import read_failure
from slowmo_pipeline.endpoint.prices import price_per_hour
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

_METRIC_AGE = timedelta(minutes=10)
"""CloudWatch has a value a minute, a few minutes late."""


@dataclass(frozen=True)
class RecentFailure:
    """A failure object in the storage; those of all endpoints lie together."""

    key: str
    at: datetime
    message: str


@dataclass(frozen=True)
class EndpointStatus:
    """How an endpoint stands."""

    endpoint: str
    region: str
    status: str
    """As SageMaker calls it: InService is the good one."""
    failure_reason: str | None
    instance_type: str
    instances: int
    desired_instances: int
    scaling: Bounds | None
    """None: the number of instances is fixed."""
    unscaled: str | None
    """What an endpoint costs that nothing will ever end, and what to do; None for one that scales."""
    backlog: int | None
    """Requests waiting or running (CloudWatch's ApproximateBacklogSize); None: no value lately."""
    oldest_seconds: int | None
    """Age of the oldest waiting request (CloudWatch's ApproximateAgeOfOldestRequest); None: no value lately."""
    price_per_hour: Decimal | None
    """US dollars for the instances there are now; None: the price is not known."""
    failures: tuple[RecentFailure, ...]
    """The newest, newest first."""


def endpoint_status(storage: Storage, name: str, *, failures: int = 3) -> EndpointStatus:
    """How the deployment of that name stands, with at most so many failures.

    Raises EndpointError when there is none, or AWS refuses to tell.
    """
    aws, names = Aws(), Names(name)
    with errors_as_endpoint_error():
        found = require_deployed(aws, names)
        instance_type, instances = _instance_type(aws, found), running_instances(found)
        price = price_per_hour(instance_type)
        backlog, oldest = (
            _latest(aws, names, metric) for metric in ("ApproximateBacklogSize", "ApproximateAgeOfOldestRequest")
        )
        return EndpointStatus(
            endpoint=names.endpoint,
            region=aws.region,
            status=found["EndpointStatus"],
            failure_reason=found.get("FailureReason"),
            instance_type=instance_type,
            instances=instances,
            desired_instances=sum(
                variant.get("DesiredInstanceCount", 0) for variant in found.get("ProductionVariants", [])
            ),
            scaling=bounds(aws, names),
            unscaled=unscaled(aws, names),
            backlog=backlog,
            oldest_seconds=oldest,
            price_per_hour=None if price is None else price * instances,
            failures=tuple(_failures(storage, failures)),
        )


def require_deployed(aws: Aws, names: Names) -> "DescribeEndpointOutputTypeDef":
    """What SageMaker says of the endpoint. Raises EndpointError when there is none of this deployment."""
    found = describe_ours(aws, names)
    if found is None:
        raise EndpointError(
            f"There is no endpoint {names.endpoint} in {aws.region}: make it with `slowmo endpoint deploy`, or set "
            "AWS_DEFAULT_REGION to where it is."
        )
    return found


def _instance_type(aws: Aws, found: "DescribeEndpointOutputTypeDef") -> str:
    config = aws.sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    return config["ProductionVariants"][0]["InstanceType"]


def _latest(aws: Aws, names: Names, metric: str) -> int | None:
    now = datetime.now(timezone.utc)
    points = aws.cloudwatch.get_metric_statistics(
        Namespace=METRICS,
        MetricName=metric,
        Dimensions=endpoint_dimension(names),
        StartTime=now - _METRIC_AGE,
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return round(max(points, key=lambda point: point["Timestamp"])["Maximum"]) if points else None


def _failures(storage: Storage, count: int) -> list[RecentFailure]:
    newest = heapq.nlargest(count, storage.list(FAILURES), key=lambda entry: entry.modified)
    return [RecentFailure(entry.key, entry.modified, read_failure(storage.read(entry.key)).message) for entry in newest]
