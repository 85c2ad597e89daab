"""Looking at a deployment, and scaling it."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from slowmo_pipeline.deployment.scale import scale
from slowmo_pipeline.deployment.scaling import Bounds
from slowmo_pipeline.deployment.status import endpoint_status
from slowmo_pipeline.errors import EndpointError, SettingsError
from slowmo_pipeline_tests.support.sagemaker_server import Stage, deployment_stage


@pytest.fixture
def stage(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with deployment_stage(s3_server, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def put_metric(stage: Stage, name: str, value: float, *, minutes_ago: float) -> None:
    stage.aws.cloudwatch.put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "EndpointName", "Value": stage.name}],
                "Timestamp": datetime.now(timezone.utc) - timedelta(minutes=minutes_ago),
                "Value": value,
            }
        ],
    )


def rescale(stage: Stage, low: int, high: int, target: float | None = None) -> list[str]:
    told: list[str] = []
    scale(stage.name, Bounds(low, high), backlog_target=target, told=told.append)
    return told


def test_status_of_a_fresh_deployment(stage: Stage) -> None:
    stage.deploy()
    found = endpoint_status(stage.storage, stage.name)
    assert (found.endpoint, found.region, found.status) == (stage.name, "us-east-1", "InService")
    assert (found.instance_type, found.instances, found.desired_instances) == ("ml.g5.xlarge", 1, 1)
    assert found.scaling == Bounds(0, 5)
    assert found.failures == ()


def test_status_tells_the_latest_backlog_and_age(stage: Stage) -> None:
    stage.deploy()
    put_metric(stage, "ApproximateBacklogSize", 40, minutes_ago=5)
    put_metric(stage, "ApproximateBacklogSize", 12, minutes_ago=2)
    put_metric(stage, "ApproximateAgeOfOldestRequest", 95, minutes_ago=2)
    found = endpoint_status(stage.storage, stage.name)
    assert (found.backlog, found.oldest_seconds) == (12, 95)


def test_old_metrics_are_not_taken_for_now(stage: Stage) -> None:
    stage.deploy()
    put_metric(stage, "ApproximateBacklogSize", 40, minutes_ago=60)
    found = endpoint_status(stage.storage, stage.name)
    assert (found.backlog, found.oldest_seconds) == (None, None)


def test_price_is_that_of_all_instances(stage: Stage) -> None:
    stage.deploy()
    stage.aws.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=stage.name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}],
    )
    assert endpoint_status(stage.storage, stage.name).price_per_hour == 3 * Decimal("1.408")


def test_a_price_that_is_not_known_is_none(stage: Stage) -> None:
    stage.deploy(instance_type="ml.zz9.xlarge")
    assert endpoint_status(stage.storage, stage.name).price_per_hour is None


def test_the_newest_failures_come_first(stage: Stage) -> None:
    stage.deploy()
    for number in range(4):
        stage.storage.write(f"failures/{number}.out", b'{"code": 507, "message": "No memory for %d."}' % number)
    everything = [failure.message for failure in endpoint_status(stage.storage, stage.name, failures=9).failures]
    newest = endpoint_status(stage.storage, stage.name).failures
    assert {failure.message for failure in newest} < {f"No memory for {number}." for number in range(4)}
    assert [failure.message for failure in newest] == everything[:3]
    assert newest[0].at >= newest[1].at >= newest[2].at


def test_status_of_a_failed_endpoint_tells_why(stage: Stage) -> None:
    stage.script.failure = "The container did not start."
    with pytest.raises(EndpointError):
        stage.deploy()
    found = endpoint_status(stage.storage, stage.name)
    assert (found.status, found.failure_reason) == ("Failed", "The container did not start.")
    assert found.scaling is None
    stage.script.failure = None


def test_status_and_scaling_of_no_endpoint_say_how_to_make_one(stage: Stage) -> None:
    with pytest.raises(
        EndpointError, match=r"no endpoint slowmo-\w+ in us-east-1: make it with `slowmo endpoint deploy`"
    ):
        endpoint_status(stage.storage, stage.name)
    with pytest.raises(EndpointError, match="no endpoint"):
        rescale(stage, 1, 2)


def test_scaling_changes_bounds_and_target_and_nothing_else(stage: Stage) -> None:
    stage.deploy(scale_in_cooldown=700)
    before = stage.everything()
    assert rescale(stage, 1, 8, target=2.5) == [
        f"set scaling of {stage.name} to 1 to 8 instances",
        f"put scaling policy {stage.names.backlog_policy}",
    ]
    after = stage.everything()
    assert endpoint_status(stage.storage, stage.name).scaling == Bounds(1, 8)
    tracking = [policy.get("TargetTrackingScalingPolicyConfiguration") for policy in after["policies"]]
    assert [found and (found["TargetValue"], found["ScaleInCooldown"]) for found in tracking] == [(2.5, 700), None]
    assert {kind for kind in before if before[kind] != after[kind]} == {"targets", "policies"}


def test_scaling_to_what_is_changes_nothing(stage: Stage) -> None:
    stage.deploy()
    assert rescale(stage, 0, 5, target=5) == []


def test_the_next_deploy_sets_its_own_scaling_again(stage: Stage) -> None:
    stage.deploy()
    rescale(stage, 2, 3)
    assert stage.deploy() == [f"set scaling of {stage.name} to 0 to 5 instances"]


def test_bounds_in_the_wrong_order_are_refused(stage: Stage) -> None:
    stage.deploy()
    with pytest.raises(SettingsError, match=r"min_instances = 4 must not exceed max_instances = 2\."):
        rescale(stage, 4, 2)


def test_half_a_deploy_is_not_scaled(stage: Stage) -> None:
    stage.deploy()
    stage.aws.application_autoscaling.delete_scaling_policy(
        PolicyName=stage.names.wake_policy,
        ServiceNamespace="sagemaker",
        ResourceId=stage.names.scalable,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
    with pytest.raises(EndpointError, match="run `slowmo endpoint deploy` to its end"):
        rescale(stage, 1, 2)
