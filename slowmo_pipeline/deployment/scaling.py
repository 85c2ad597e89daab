"""How many instances an endpoint has: 0 to N by its backlog, and the first one for a single request.

Two policies are needed. Target tracking follows the backlog for each instance, which says nothing while there is no
instance: alone, it wakes a sleeping endpoint only once the backlog exceeds the target. So an alarm on
HasBacklogWithoutCapacity sets off a step policy that starts one instance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.deployment.settings import DeploymentSettings, require_order
from slowmo_pipeline.deployment.unscaled import DIMENSION, NAMESPACE, policies, scalable_target
from slowmo_pipeline.errors import EndpointError

METRICS = "AWS/SageMaker"
"""The namespace of an endpoint's metrics."""


@dataclass(frozen=True)
class Bounds:
    """Between what an endpoint scales."""

    min_instances: int
    max_instances: int


def ensure_scaling(aws: Aws, names: Names, settings: DeploymentSettings, told: Report) -> None:
    """Make the endpoint scale as the settings say; what already does is left alone.

    The backlog policy comes last and goes first: where it is, the rest is too.
    """
    ensure_bounds(aws, names, Bounds(settings.min_instances, settings.max_instances), told)
    wake = _ensure_policy(aws, names, names.wake_policy, _wake_policy(settings), told)
    _ensure_alarm(aws, names, wake, told)
    _ensure_policy(aws, names, names.backlog_policy, _backlog_policy(names, settings), told)


def bounds(aws: Aws, names: Names) -> Bounds | None:
    """Between what the endpoint scales; None when it does not."""
    found = aws.application_autoscaling.describe_scalable_targets(
        ServiceNamespace=NAMESPACE, ResourceIds=[names.scalable], ScalableDimension=DIMENSION
    )["ScalableTargets"]
    return Bounds(found[0]["MinCapacity"], found[0]["MaxCapacity"]) if found else None


def ensure_bounds(aws: Aws, names: Names, wanted: Bounds, told: Report) -> None:
    """Scale between other bounds. Raises SettingsError when they are in the wrong order."""
    require_order(wanted.min_instances, wanted.max_instances)
    before = bounds(aws, names)
    if before == wanted:
        return
    # Tags are only for a new target.
    tags: dict[str, Any] = {} if before else {"Tags": {names.tag["Key"]: names.tag["Value"]}}
    aws.application_autoscaling.register_scalable_target(
        **scalable_target(names),
        MinCapacity=wanted.min_instances,
        MaxCapacity=wanted.max_instances,
        **tags,
    )
    told(f"set scaling of {names.endpoint} to {wanted.min_instances} to {wanted.max_instances} instances")


def ensure_target(aws: Aws, names: Names, backlog_target: float, told: Report) -> None:
    """Follow another backlog for each instance; the cooldowns stay. The policy must be there."""
    key = "TargetTrackingScalingPolicyConfiguration"
    found = policies(aws, names)[names.backlog_policy][key]
    changed = {"PolicyType": "TargetTrackingScaling", key: {**found, "TargetValue": backlog_target}}
    _ensure_policy(aws, names, names.backlog_policy, changed, told)


def require_scaling(aws: Aws, names: Names) -> None:
    """Raise EndpointError unless bounds and policies are there."""
    if bounds(aws, names) is None or not {names.backlog_policy, names.wake_policy} <= policies(aws, names).keys():
        raise EndpointError(
            f"The endpoint {names.endpoint} does not scale yet: run `slowmo endpoint deploy` to its end."
        )


def remove_scaling(aws: Aws, names: Names, told: Report) -> None:
    """Remove policies, alarm and bounds; the instances that there are stay."""
    # AWS lists them in any order.
    for policy in sorted(policies(aws, names), key=lambda name: name != names.backlog_policy):
        aws.application_autoscaling.delete_scaling_policy(PolicyName=policy, **scalable_target(names))
        told(f"deleted scaling policy {policy}")
    if _alarm(aws, names):
        aws.cloudwatch.delete_alarms(AlarmNames=[names.wake_alarm])
        told(f"deleted alarm {names.wake_alarm}")
    if bounds(aws, names):
        aws.application_autoscaling.deregister_scalable_target(**scalable_target(names))
        told(f"ended scaling of {names.endpoint}")


def endpoint_dimension(names: Names) -> Any:
    """What the endpoint's metrics are found by."""
    return [{"Name": "EndpointName", "Value": names.endpoint}]


def _backlog_policy(names: Names, settings: DeploymentSettings) -> dict[str, Any]:
    return {
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": settings.backlog_target,
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": METRICS,
                "Dimensions": endpoint_dimension(names),
                "Statistic": "Average",
            },
            "ScaleInCooldown": settings.scale_in_cooldown,
            "ScaleOutCooldown": settings.scale_out_cooldown,
        },
    }


def _wake_policy(settings: DeploymentSettings) -> dict[str, Any]:
    return {
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": settings.scale_out_cooldown,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }


def _ensure_policy(aws: Aws, names: Names, name: str, content: dict[str, Any], told: Report) -> str:
    """Put the policy unless there is one with that content; return its ARN."""
    found = policies(aws, names).get(name)
    if found is not None and _covers(found, content):
        return str(found["PolicyARN"])
    put = aws.application_autoscaling.put_scaling_policy(
        PolicyName=name,
        **scalable_target(names),
        **content,
    )
    told(f"put scaling policy {name}")
    return put["PolicyARN"]


def _ensure_alarm(aws: Aws, names: Names, policy_arn: str, told: Report) -> None:
    content: dict[str, Any] = {
        "AlarmDescription": f"Starts an instance of {names.endpoint} for requests that wait while there is none.",
        "Namespace": METRICS,
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": endpoint_dimension(names),
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        # The metric is not published while nothing waits.
        "TreatMissingData": "missing",
        "AlarmActions": [policy_arn],
    }
    found = _alarm(aws, names)
    if found is None or not _covers(found, content):
        aws.cloudwatch.put_metric_alarm(AlarmName=names.wake_alarm, Tags=[names.tag], **content)
        told(f"put alarm {names.wake_alarm}")


def _alarm(aws: Aws, names: Names) -> Mapping[str, Any] | None:
    found = aws.cloudwatch.describe_alarms(AlarmNames=[names.wake_alarm])["MetricAlarms"]
    return found[0] if found else None


def _covers(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is found; AWS adds fields of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _covers(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return len(found) == len(wanted) and all(map(_covers, found, wanted))
    return bool(found == wanted)
