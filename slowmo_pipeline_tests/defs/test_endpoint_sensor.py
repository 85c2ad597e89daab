"""The sensor that looks for endpoints which do not scale."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from slowmo_pipeline.defs.endpoint_sensor import unscaled_endpoints
from slowmo_pipeline.defs.resources import PipelineStorage
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy, fault_proxy, refuse
from slowmo_pipeline_tests.support.sagemaker_server import Stage, deployment_stage


@dataclass(frozen=True)
class Watched:
    """A deployment, and the sensor that looks at it."""

    stage: Stage
    aws: FaultProxy
    """In front of all that AWS does."""

    def tick(self, url: str | None = None) -> str:
        """What the sensor says of itself, for the stage's storage or another."""
        self.aws.asked.clear()
        storage = PipelineStorage(url=url or self.stage.storage.url)
        with dg.build_sensor_context(resources={"storage": storage}) as context:
            data = unscaled_endpoints.evaluate_tick(context)
        assert not data.run_requests
        return data.skip_message or ""

    def asked(self) -> list[str]:
        """The calls of the last look, but for those to the storage."""
        targets = (asked.headers.get("x-amz-target", "") for asked in self.aws.asked)
        return [target.rpartition(".")[2] for target in targets if target]

    def cut_off(self, name: str = "RegisterScalableTarget") -> None:
        """A deploy that came as far as this call, before the pipeline was told of the endpoint."""
        self.deny(name)
        with pytest.raises(EndpointError):
            self.stage.deploy()
        self.aws.heal()

    def deny(self, name: str) -> None:
        """Refuse an operation from now on."""
        denied = refuse(400, "AccessDeniedException", f"User is not authorized to perform {name}")
        self.aws.inject(denied, times=99, meant=lambda asked: asked.headers.get("x-amz-target", "").endswith(name))


@pytest.fixture
def watched(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with fault_proxy(s3_server) as aws, deployment_stage(aws.url, s3_url, tmp_path, monkeypatch) as stage:
        yield Watched(stage, aws)


def test_an_endpoint_whose_first_deploy_was_cut_off_is_told_with_its_price(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.cut_off()
    told = watched.tick()
    assert f"The endpoint {watched.stage.name} is InService and does not scale: 1 ml.g5.xlarge at full price" in told
    assert "$1.408 an hour" in told
    assert "run the same `slowmo endpoint deploy` again" in told
    assert f"WARNING - {told}\n" in capsys.readouterr().err


def test_bounds_without_a_policy_end_no_instance(watched: Watched) -> None:
    watched.cut_off("PutScalingPolicy")
    assert "does not scale" in watched.tick()


def test_an_endpoint_that_scales_is_asked_for_once(watched: Watched) -> None:
    watched.stage.deploy()
    assert watched.tick() == "No endpoint runs without scaling."
    assert watched.asked() == ["DescribeScalingPolicies"]


def test_of_a_deployment_without_an_endpoint_nothing_is_claimed(watched: Watched) -> None:
    watched.stage.storage.write("models/slowmo-b/0123/model.tar.gz", b"a package")
    assert watched.tick() == "No endpoint runs without scaling."


def test_of_a_failed_endpoint_nothing_is_claimed(watched: Watched) -> None:
    watched.stage.script.failure = "The container did not start."
    with pytest.raises(EndpointError):
        watched.stage.deploy()
    watched.stage.script.failure = None
    assert watched.tick() == "No endpoint runs without scaling."


def test_models_kept_in_a_folder_are_no_deployments(watched: Watched, folder: Storage) -> None:
    folder.write("models/film-l1/saved_model.pb", b"a model")
    folder.write("models/film-l1.json", b"{}")
    assert watched.tick(folder.url) == "No endpoint was deployed for this storage."
    assert watched.asked() == []


def test_without_a_deployment_nobody_is_asked(watched: Watched) -> None:
    assert watched.tick() == "No endpoint was deployed for this storage."
    assert watched.asked() == []


@pytest.mark.parametrize("name", ["DescribeScalingPolicies", "DescribeEndpoint", "DescribeEndpointConfig"])
def test_who_may_not_look_is_told_so_and_does_not_fail(watched: Watched, name: str) -> None:
    watched.cut_off()
    watched.deny(name)
    told = watched.tick()
    assert told.startswith(f"Whether the endpoint {watched.stage.name} scales is not known. AWS does not let these")
    assert "the pipeline's policy of deploy/cloudformation.yaml" in told


def test_what_is_not_known_of_one_deployment_hides_no_other(watched: Watched) -> None:
    watched.cut_off()
    other = "another"
    watched.stage.storage.write(f"models/{other}/0123/model.tar.gz", b"a package")
    denied = refuse(400, "AccessDeniedException")
    watched.aws.inject(denied, times=99, meant=lambda asked: other.encode() in asked.body)
    told = watched.tick()
    assert f"Whether the endpoint {other} scales is not known." in told
    assert f"The endpoint {watched.stage.name} is InService and does not scale" in told
