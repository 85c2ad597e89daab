"""The container image of an endpoint: AWS's where none was given, and the driver that an image needs."""

import re

from slowmo_pipeline.errors import SettingsError

_DJL_VERSION = "0.38.0"
"""Of djl-lmi; fixed, so that the same settings deploy the same image whatever release of the SDK looks it up."""

_OWN_REPOSITORY = "slowmo-film"
"""Where deploy/serving/README.md has our own image pushed. A URI tells nothing else of what an image holds."""

CUDA_12_AMI = "al2-ami-sagemaker-inference-gpu-3-1"
"""InferenceAmiVersion of hosts with NVIDIA driver 550."""

CUDA_13_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""InferenceAmiVersion of hosts with NVIDIA driver 580."""


def djl_image(region: str) -> str:
    """The URI of AWS's image of DJL Serving in a region; nothing is asked of AWS.

    No image of AWS's carries TensorFlow: DJL Serving installs the package's requirements.txt whenever an instance
    starts, which takes minutes and a way out to the package index. An image of your own (deploy/serving) has it inside.
    Raises SettingsError when the region has none, or the SageMaker SDK is missing.
    """
    try:
        # Takes 5 seconds and 200 MB of memory, and this is all that the SDK is needed for.
        from sagemaker.core import image_uris
    except ImportError as error:
        raise SettingsError(
            f"Without image_uri the SageMaker SDK looks one up, and it cannot be loaded ({error}). Give the URI of "
            "your own image (deploy/serving), or pip install 'slowmo_pipeline[deploy]'."
        ) from error
    try:
        return str(image_uris.retrieve(framework="djl-lmi", region=region, version=_DJL_VERSION))
    except ValueError as error:
        raise SettingsError(f"No image of DJL Serving for {region}: {error} Give image_uri, best your own.") from error


def fitting_ami(image: str) -> str | None:
    """The InferenceAmiVersion whose driver fits an image, by its URI; None for one that nothing is known of.

    Known are our own, in the repository that its README names, and the one of DJL Serving that `djl_image` finds.
    """
    name = image.rpartition("/")[2]
    if re.split("[:@]", name)[0] == _OWN_REPOSITORY:
        return CUDA_12_AMI
    if name.startswith(f"djl-inference:{_DJL_VERSION}-lmi"):
        return CUDA_13_AMI
    return None
