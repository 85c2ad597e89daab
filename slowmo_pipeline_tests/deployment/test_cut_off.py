"""A deploy that ends between the endpoint and its scaling: what runs is told, and the next deploy completes it."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.deployment.scaling import Bounds
from slowmo_pipeline.deployment.status import endpoint_status
from slowmo_pipeline.deployment.unscaled import told_if_unscaled
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline_tests.support.fault_proxy import Asked, FaultProxy, fault_proxy, refuse
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.processes import SLOWMO
from slowmo_pipeline_tests.support.sagemaker_server import IMAGE, ROLE, Stage, package_of, stage_behind

COMPLETE_OR_DELETE = r"run the same `slowmo endpoint deploy` again: it completes it.*`slowmo endpoint delete --name"
FULL_PRICE = rf"does not scale: 1 ml\.g5\.xlarge at full price.*\$1\.408 an hour.*{COMPLETE_OR_DELETE}"


@pytest.fixture
def aws(s3_server: str) -> Iterator[FaultProxy]:
    with fault_proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def stage(aws: FaultProxy, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with stage_behind(aws, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def call(name: str) -> Callable[[Asked], bool]:
    """Requests for this operation are meant."""
    return lambda asked: asked.headers.get("x-amz-target", "").endswith(f".{name}")


def deny(aws: FaultProxy, *names: str) -> None:
    for name in names:
        denied = refuse(400, "AccessDeniedException", f"User is not authorized to perform {name}")
        aws.inject(denied, times=99, meant=call(name))


@pytest.fixture
def waiting(stage: Stage) -> Iterator["subprocess.Popen[str]"]:
    """The command itself, which has created the endpoint and waits for it."""
    stage.script.slow = 20
    settings = ["--name", stage.name, "--role-arn", ROLE, "--image-uri", IMAGE]
    with subprocess.Popen(
        [SLOWMO, "endpoint", "deploy", stage.package, *settings],
        env={**os.environ, "SLOWMO_STORAGE": stage.storage.url, "SLOWMO_HOME": str(stage.folder / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        eventually(lambda: stage.everything()["endpoints"] or process.poll() is not None)
        yield process
        process.kill()


def test_a_killed_deploy_is_told_by_status_and_completed_by_the_next(
    stage: Stage, waiting: "subprocess.Popen[str]"
) -> None:
    waiting.kill()
    waiting.wait()
    found = endpoint_status(stage.storage, stage.name)
    assert (found.status, found.scaling) == ("Creating", None)
    assert found.unscaled is not None
    assert "1 ml.g5.xlarge at full price, with work or without, $1.408 an hour" in found.unscaled
    stage.deploy()
    found = endpoint_status(stage.storage, stage.name)
    assert (found.status, found.scaling, found.unscaled) == ("InService", Bounds(0, 5), None)
    assert stage.deploy() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_deploy_says_what_it_leaves(
    stage: Stage, waiting: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    waiting.send_signal(number)
    told, complaint = waiting.communicate()
    assert waiting.returncode == 130
    assert f"created endpoint {stage.name}" in told.splitlines()
    assert (
        f"Interrupted. The same command goes on where this one stopped. The endpoint {stage.name} is Creat" in complaint
    )
    assert "$1.408 an hour (list price). Unless a deploy is still under way, run the same" in complaint
    assert "Traceback" not in complaint


def test_a_deploy_that_waited_too_long_says_what_it_leaves(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.script.slow = 5
    with monkeypatch.context() as impatient:
        impatient.setattr("slowmo_pipeline.deployment.hosting.LONGEST_CHANGE_SECONDS", 0)
        with pytest.raises(EndpointError, match=rf"goes on waiting\. The .* is Creating and {FULL_PRICE}"):
            stage.deploy()


@pytest.mark.parametrize("name", ["RegisterScalableTarget", "PutScalingPolicy"])
def test_a_deploy_whose_scaling_aws_refuses_says_what_it_leaves(stage: Stage, aws: FaultProxy, name: str) -> None:
    deny(aws, name)
    with pytest.raises(EndpointError, match=rf"perform {name}\. The .* is InService and {FULL_PRICE}"):
        stage.deploy()
    status = endpoint_status(stage.storage, stage.name)
    assert status.unscaled is not None


def test_a_change_that_aws_refuses_says_that_the_scaling_is_gone(stage: Stage, aws: FaultProxy) -> None:
    stage.deploy()
    deny(aws, "UpdateEndpoint")
    with pytest.raises(EndpointError, match=FULL_PRICE):
        stage.deploy(package=package_of(stage.folder, "film-2-4567cdef"))


def test_a_delete_that_aws_refuses_says_that_the_scaling_is_gone(stage: Stage, aws: FaultProxy) -> None:
    stage.deploy()
    deny(aws, "DeleteEndpoint")
    with pytest.raises(EndpointError, match=FULL_PRICE):
        stage.delete()


def test_what_is_told_when_aws_does_not_tell_whether_it_scales(stage: Stage, aws: FaultProxy) -> None:
    deny(aws, "RegisterScalableTarget", "DescribeScalingPolicies")
    with pytest.raises(EndpointError, match=rf"whether .*: look with `slowmo endpoint status --name {stage.name}`"):
        stage.deploy()


def test_an_endpoint_without_instances_is_told_to_start_none(stage: Stage) -> None:
    stage.deploy()
    stage.aws.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=stage.name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
    )
    end_scaling(stage)
    told = endpoint_status(stage.storage, stage.name).unscaled
    assert told is not None
    assert "it has no instance and starts none, whatever waits. Unless" in told


def test_what_is_not_in_the_price_table_is_told_without_a_price(stage: Stage) -> None:
    stage.deploy(instance_type="ml.zz9.xlarge")
    end_scaling(stage)
    told = endpoint_status(stage.storage, stage.name).unscaled
    assert told is not None
    assert "1 ml.zz9.xlarge at full price, with work or without. Unless" in told


@pytest.mark.parametrize(
    "ending", [lambda: Path("gone").read_bytes(), lambda: b"\xff".decode(), lambda: os.environ["GONE"]]
)
def test_what_nobody_foresaw_shows_all_the_same_what_it_leaves(stage: Stage, ending: Callable[[], object]) -> None:
    stage.deploy()
    end_scaling(stage)
    known = f"The endpoint {stage.name} is InService and does not scale"
    with pytest.raises(RuntimeError, match=rf"(?i:gone|start byte).*\. {known}"), told_if_unscaled(stage.names):
        ending()


def test_a_failed_endpoint_is_not_paid_for(stage: Stage) -> None:
    stage.script.failure = "The container did not start."
    with pytest.raises(EndpointError) as failed:
        stage.deploy()
    stage.script.failure = None
    assert "does not scale" not in str(failed.value)


def end_scaling(stage: Stage) -> None:
    stage.aws.application_autoscaling.deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=stage.names.scalable,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
