import subprocess
import sys

import pytest

from slowmo_pipeline.deployment.image import djl_image
from slowmo_pipeline.errors import SettingsError


def test_the_image_is_that_of_the_region() -> None:
    found = djl_image("eu-central-1")
    assert found == "763104351884.dkr.ecr.eu-central-1.amazonaws.com/djl-inference:0.38.0-lmi29.0.0-cu130"


def test_a_region_without_an_image_is_told() -> None:
    with pytest.raises(SettingsError, match="No image of DJL Serving for nowhere-1"):
        djl_image("nowhere-1")


def test_without_the_sdk_the_next_step_is_told() -> None:
    program = (
        "import sys; sys.modules['sagemaker'] = None\n"
        "from slowmo_pipeline.deployment.image import djl_image\n"
        "djl_image('us-east-1')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Give the URI of your own image (deploy/serving), or pip install 'slowmo_pipeline[deploy]'" in done.stderr


def test_the_sdk_is_not_loaded_before_it_is_needed() -> None:
    program = (
        "import sys, slowmo_pipeline.deployment.deploy, slowmo_pipeline.deployment.delete\n"
        "import slowmo_pipeline.deployment.status, slowmo_pipeline.cli.endpoint, slowmo_pipeline.defs.deployment_jobs\n"
        "print(*{'sagemaker', 'tensorflow', 'cv2', 'dagster_aws'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout == b"\n"
