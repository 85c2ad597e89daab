"""Which driver the hosts of an endpoint get, at moto's SageMaker and through the real client."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.drivers import known_amis
from slowmo_pipeline.deployment.image import CUDA_12_AMI, CUDA_13_AMI, djl_image, fitting_ami
from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline_tests.support.sagemaker_server import Stage, deployment_stage

OTHER_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/studio/films:7"
OLDER_DRIVER = "al2-ami-sagemaker-inference-gpu-2-1"


@pytest.fixture
def stage(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with deployment_stage(s3_server, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def ami(stage: Stage) -> str | None:
    """What SageMaker was told of the endpoint that runs."""
    [variant] = stage.config()["ProductionVariants"]
    found: str | None = variant.get("InferenceAmiVersion")
    return found


@pytest.mark.parametrize("ending", [":1", ":2-rc", "@sha256:0123abcd", ""])
def test_our_own_image_is_known_by_the_repository_that_its_readme_names(ending: str) -> None:
    assert fitting_ami(f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/slowmo-film{ending}") == CUDA_12_AMI


def test_the_image_that_is_looked_up_is_known() -> None:
    assert fitting_ami(djl_image("eu-central-1")) == CUDA_13_AMI


@pytest.mark.parametrize("name", ["slowmo-film-next:1", "slowmo:film", "djl-inference:0.30.0-lmi12.0.0-cu124"])
def test_of_other_images_nothing_is_known(name: str) -> None:
    assert fitting_ami(f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{name}") is None


@pytest.mark.parametrize(("name", "cuda", "driver"), [(CUDA_12_AMI, 12, 525), (CUDA_13_AMI, 13, 580)])
def test_the_drivers_are_those_that_cuda_wants(
    name: str, cuda: int, driver: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    variant = Aws().sagemaker.meta.service_model.shape_for("ProductionVariant")
    told = re.sub(r"<[^>]*>", " ", variant.members["InferenceAmiVersion"].documentation)  # type: ignore[attr-defined]
    found = re.search(rf"{name}\s.*?NVIDIA driver version: (\d+)\s+CUDA version: (\d+)", told)
    assert found is not None
    assert int(found[1]) >= driver
    assert int(found[2]) == cuda


def test_names_for_other_accelerators_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    known = known_amis(Aws())
    assert {CUDA_12_AMI, CUDA_13_AMI, OLDER_DRIVER} <= set(known)
    assert "al2-ami-sagemaker-inference-neuron-2" not in known


def test_the_driver_follows_the_image(stage: Stage) -> None:
    stage.deploy()
    assert ami(stage) == CUDA_12_AMI
    stage.deploy(image_uri=None)
    assert ami(stage) == CUDA_13_AMI


def test_instances_without_a_gpu_get_no_driver_and_none_is_taken_for_them(stage: Stage) -> None:
    stage.deploy(image_uri=OTHER_IMAGE, instance_type="ml.c7i.xlarge")
    assert ami(stage) is None
    with pytest.raises(SettingsError, match=r"ml\.c7i\.xlarge has none: leave it out"):
        stage.deploy(instance_type="ml.c7i.xlarge", inference_ami_version=CUDA_12_AMI)


def test_for_an_unknown_image_the_driver_must_be_given(stage: Stage) -> None:
    before = stage.everything()
    told = rf"must be given: ml\.g6\.xlarge has a GPU.*{OTHER_IMAGE} .*CUDA 12.*{CUDA_12_AMI}.*CUDA 13: {CUDA_13_AMI}"
    with pytest.raises(SettingsError, match=told):
        stage.deploy(image_uri=OTHER_IMAGE, instance_type="ml.g6.xlarge")
    assert stage.everything() == before
    stage.deploy(image_uri=OTHER_IMAGE, instance_type="ml.g6.xlarge", inference_ami_version=OLDER_DRIVER)
    assert ami(stage) == OLDER_DRIVER


@pytest.mark.parametrize("name", ["al2-ami-sagemaker-inference-gpu-9", "al2-ami-sagemaker-inference-neuron-2"])
def test_a_name_that_is_not_known_is_refused_with_those_that_are(stage: Stage, name: str) -> None:
    before = stage.everything()
    with pytest.raises(SettingsError, match=rf"'{name}' is no name .*{OLDER_DRIVER}, {CUDA_12_AMI}, {CUDA_13_AMI}"):
        stage.deploy(inference_ami_version=name)
    assert stage.everything() == before


def test_another_driver_changes_the_endpoint_and_the_same_leaves_it(stage: Stage) -> None:
    stage.deploy()
    told = stage.deploy(inference_ami_version=CUDA_13_AMI)
    assert ami(stage) == CUDA_13_AMI
    assert f"changing endpoint {stage.name} to {stage.endpoint()['EndpointConfigName']}" in told
    assert stage.deploy(inference_ami_version=CUDA_13_AMI) == []


def test_an_endpoint_from_before_drivers_were_chosen_gets_one(stage: Stage) -> None:
    stage.deploy()
    [variant] = stage.config()["ProductionVariants"]
    del variant["InferenceAmiVersion"]
    stage.aws.sagemaker.create_endpoint_config(
        EndpointConfigName=f"{stage.name}-0123abcd", ProductionVariants=[variant], Tags=[stage.names.tag]
    )
    stage.aws.application_autoscaling.deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=stage.names.scalable,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
    stage.aws.sagemaker.update_endpoint(EndpointName=stage.name, EndpointConfigName=f"{stage.name}-0123abcd")
    assert f"deleted endpoint configuration {stage.name}-0123abcd" in stage.deploy()
    assert ami(stage) == CUDA_12_AMI


@pytest.mark.parametrize(
    ("settings", "required"),
    [
        ({"instance_type": "ml.p3.2xlarge"}, "1"),
        ({"instance_type": "ml.p3.2xlarge", "environment": {"SLOWMO_REQUIRE_GPU": "0"}}, "0"),
        ({"instance_type": "ml.t2.large"}, None),
    ],
)
def test_the_container_is_told_that_a_gpu_is_paid_for(
    stage: Stage, settings: dict[str, Any], required: str | None
) -> None:
    stage.deploy(**settings)
    assert stage.model()["PrimaryContainer"]["Environment"].get("SLOWMO_REQUIRE_GPU") == required
