"""An endpoint that does not scale: its instances are paid for day and night, and AWS tells nobody.

Scaling comes after the endpoint in a deploy, and goes before it in a delete. Either cut off in between leaves an
endpoint that runs on, or starts all the same, and never falls asleep.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.endpoint.prices import price_per_hour
from slowmo_pipeline.endpoint.sagemaker import describe
from slowmo_pipeline.errors import EndpointError, SlowmoError
from slowmo_pipeline.storage.patience import AWS_LOOK

NAMESPACE: Final = "sagemaker"
DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
"""What Application Auto Scaling changes of an endpoint."""

_WITHOUT_INSTANCES = {"Failed", "Deleting"}


def scalable_target(names: Names) -> dict[str, Any]:
    """What requests to Application Auto Scaling call the number of an endpoint's instances."""
    return {"ServiceNamespace": NAMESPACE, "ResourceId": names.scalable, "ScalableDimension": DIMENSION}


def policies(aws: Aws, names: Names) -> dict[str, Mapping[str, Any]]:
    """The endpoint's scaling policies by name. There is none without bounds: AWS deletes both together."""
    found = aws.application_autoscaling.describe_scaling_policies(**scalable_target(names))["ScalingPolicies"]
    return {policy["PolicyName"]: policy for policy in found}


def unscaled(aws: Aws, names: Names) -> str | None:
    """What an endpoint costs that nothing will ever end, and what to do; None for one that scales, and for none.

    One that scales is asked for once: its backlog policy is the last to come and the first to go.
    """
    if names.backlog_policy in policies(aws, names):
        return None
    found = describe(aws.sagemaker, names.endpoint)
    if found is None or found["EndpointStatus"] in _WITHOUT_INSTANCES:
        return None
    config = aws.sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    variant = config["ProductionVariants"][0]
    # SageMaker may tell of no instances before it has them.
    variants = found.get("ProductionVariants", [])
    counts = [each["DesiredInstanceCount"] for each in variants if "DesiredInstanceCount" in each]
    instances = sum(counts) if counts else variant.get("InitialInstanceCount", 1)
    return (
        f"The endpoint {names.endpoint} is {found['EndpointStatus']} and does not scale: "
        f"{_paid(variant['InstanceType'], instances)}. Unless a deploy is still under way, run the same `slowmo "
        f"endpoint deploy` again: it completes it. Or remove it: `slowmo endpoint delete --name {names.deployment}`."
    )


@contextmanager
def told_if_unscaled(names: Names) -> Iterator[None]:
    """Add to whatever ends what is done here, an interrupt included, that the endpoint does not scale.

    What nobody foresaw is raised on as the cause of a RuntimeError. Nothing is added when the endpoint scales, or when
    there is none.
    """
    try:
        yield
    except BaseException as error:
        known = _as_known(names)
        if known is not None:
            ended = f"{str(error).rstrip('.')}. {known}" if str(error) else known
            if isinstance(error, Exception) and not isinstance(error, SlowmoError):
                # What str() of an OSError or a UnicodeDecodeError says is not made of its args.
                raise RuntimeError(ended) from error
            error.args = (ended,)
        raise


def _as_known(names: Names) -> str | None:
    try:
        with errors_as_endpoint_error():
            return unscaled(Aws(Config(**AWS_LOOK)), names)
    except EndpointError:
        # What stands in the way is most often what ended the deploy, and told already.
        return (
            f"AWS does not tell now whether the endpoint {names.endpoint} runs at full price: look with `slowmo "
            f"endpoint status --name {names.deployment}`."
        )


def _paid(instance_type: str, instances: int) -> str:
    if not instances:
        return "it has no instance and starts none, whatever waits"
    price = price_per_hour(instance_type)
    told = "" if price is None else f", ${price * instances} an hour (list price)"
    return f"{instances} {instance_type} at full price, with work or without{told}"
