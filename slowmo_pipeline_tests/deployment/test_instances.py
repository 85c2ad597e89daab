"""Which types have a GPU, held against botocore's list of types and EC2's description of them, which moto carries."""

import boto3
import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from slowmo_pipeline.deployment.instances import has_gpu
from slowmo_pipeline.errors import SettingsError

NOT_IN_MOTO = {"dl1": "refused", "p2": "gpu", "p3": "gpu", "p6e-gb200": "gpu"}
"""Families too old or too rare for moto's copy. dl1 has Gaudi accelerators, the others NVIDIA GPUs."""


def sagemaker_types() -> list[str]:
    model = boto3.client("sagemaker", region_name="us-east-1").meta.service_model
    return list(model.shape_for("ProductionVariantInstanceType").metadata["enum"])


def classified(instance_type: str) -> str:
    try:
        return "gpu" if has_gpu(instance_type) else "cpu"
    except SettingsError:
        return "refused"


def described_by_ec2(instance_type: str) -> str:
    _, family, size = instance_type.split(".")
    found = INSTANCE_TYPES.get(f"{family}.{size}")
    if found is None:
        return NOT_IN_MOTO[family]
    makers = {gpu["Manufacturer"] for gpu in found.get("GpuInfo", {}).get("Gpus", [])}
    if makers:
        return "gpu" if makers == {"NVIDIA"} else "refused"
    return "refused" if {"NeuronInfo", "InferenceAcceleratorInfo"} & set(found) else "cpu"


def test_every_type_of_sagemaker_is_classified_as_ec2_describes_it() -> None:
    types = sagemaker_types()
    assert {name: classified(name) for name in types} == {name: described_by_ec2(name) for name in types}
    assert {classified(name) for name in types} == {"cpu", "gpu", "refused"}


@pytest.mark.parametrize("instance_type", ["ml.inf2.8xlarge", "ml.trn1n.32xlarge", "ml.dl1.24xlarge"])
def test_other_accelerators_are_refused_with_what_to_take(instance_type: str) -> None:
    with pytest.raises(SettingsError, match=rf"'{instance_type}' has no NVIDIA GPU .*such as ml\.g5\.xlarge"):
        has_gpu(instance_type)
