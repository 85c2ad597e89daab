"""SageMaker may not find for a while what was made just now."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.storage.patience import JUST_MADE_PAUSES_SECONDS as PAUSES_SECONDS
from slowmo_pipeline_tests.support.fault_proxy import Asked, Fault, FaultProxy, fault_proxy, refuse
from slowmo_pipeline_tests.support.sagemaker_server import Stage, package_of, stage_behind

NOT_FOUND = 'Could not find {} "arn:aws:sagemaker:us-east-1:123456789012:{}/slowmo-0123abcd".'
MODEL = refuse(400, "ValidationException", NOT_FOUND.format("model", "model"))
CONFIG = refuse(400, "ValidationException", NOT_FOUND.format("endpoint configuration", "endpoint-config"))


@pytest.fixture
def aws(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """In front of moto; nobody waits between two attempts."""
    monkeypatch.setattr("slowmo_pipeline.deployment.just_made.JUST_MADE_PAUSES_SECONDS", (0,) * len(PAUSES_SECONDS))
    with fault_proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def stage(aws: FaultProxy, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with stage_behind(aws, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def call(name: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.headers.get("x-amz-target") == f"SageMaker.{name}"


def attempts(aws: FaultProxy, name: str) -> int:
    return sum(map(call(name), aws.asked))


def test_a_model_and_a_configuration_that_are_found_late_are_waited_for(stage: Stage, aws: FaultProxy) -> None:
    aws.inject(MODEL, times=2, meant=call("CreateEndpointConfig"))
    aws.inject(CONFIG, times=3, meant=call("CreateEndpoint"))
    stage.deploy()
    assert (attempts(aws, "CreateEndpointConfig"), attempts(aws, "CreateEndpoint")) == (3, 4)
    assert stage.endpoint()["EndpointStatus"] == "InService"


def test_so_is_the_configuration_of_a_change(stage: Stage, aws: FaultProxy) -> None:
    stage.deploy()
    aws.inject(CONFIG, times=len(PAUSES_SECONDS), meant=call("UpdateEndpoint"))
    stage.deploy(package=package_of(stage.folder, "film-2-4567cdef"))
    assert attempts(aws, "UpdateEndpoint") == len(PAUSES_SECONDS) + 1


@pytest.mark.parametrize(("name", "fault"), [("CreateEndpointConfig", MODEL), ("CreateEndpoint", CONFIG)])
def test_what_is_not_found_at_all_is_told_and_made_by_the_next_deploy(
    stage: Stage, aws: FaultProxy, name: str, fault: Fault
) -> None:
    aws.inject(fault, times=99, meant=call(name))
    with pytest.raises(EndpointError, match=rf"find the .*{stage.name}-\w{{8}}, .*Could not find.*same command"):
        stage.deploy()
    assert attempts(aws, name) == len(PAUSES_SECONDS) + 1
    aws.heal()
    stage.deploy()


def test_any_other_refusal_is_final(stage: Stage, aws: FaultProxy) -> None:
    refusal = refuse(400, "ValidationException", "One or more endpoint features are not supported")
    aws.inject(refusal, times=99, meant=call("CreateEndpoint"))
    with pytest.raises(EndpointError, match="features are not supported"):
        stage.deploy()
    assert attempts(aws, "CreateEndpoint") == 1
