"""Which NVIDIA driver the hosts of an endpoint have: SageMaker lets one choose it by the name of their AMI.

Left to SageMaker, hosts of ml.g4dn and ml.g5 have driver 470. CUDA 12 wants 525 or newer, CUDA 13 wants 580: with less,
TensorFlow computes on the CPU, for the price of the GPU, and says so in one line of its log.
"""

from botocore import __version__ as botocore_version

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.image import CUDA_12_AMI, CUDA_13_AMI, fitting_ami
from slowmo_pipeline.deployment.instances import has_gpu
from slowmo_pipeline.errors import SettingsError


def choose_ami(aws: Aws, image: str, *, instance_type: str, given: str | None) -> str | None:
    """The InferenceAmiVersion for instances that run an image: what is given, else what fits; None without a GPU.

    Raises SettingsError for a name that botocore does not know, one for instances without a GPU, and for an image
    that nothing is known of.
    """
    if not has_gpu(instance_type):
        if given is not None:
            raise SettingsError(
                f"inference_ami_version = {given!r} is for GPUs, and {instance_type} has none: leave it out."
            )
        return None
    known = known_amis(aws)
    if given is not None and given not in known:
        raise SettingsError(
            f"inference_ami_version = {given!r} is no name that botocore {botocore_version} knows. Known for GPUs: "
            f"{', '.join(known)}."
        )
    chosen = given or fitting_ami(image)
    if chosen is None:
        raise SettingsError(
            f"inference_ami_version must be given: {instance_type} has a GPU, and which NVIDIA driver the image "
            f"{image} needs cannot be told from its name. Built for CUDA 12, as deploy/serving is: {CUDA_12_AMI} "
            f"(driver 550). For CUDA 13: {CUDA_13_AMI} (driver 580). Known are {', '.join(known)}."
        )
    return chosen


def known_amis(aws: Aws) -> list[str]:
    """The values of InferenceAmiVersion for GPUs, as botocore's model of the service lists them."""
    names = aws.sagemaker.meta.service_model.shape_for("ProductionVariantInferenceAmiVersion").metadata["enum"]
    # Neuron is the driver of AWS's own accelerators.
    return [name for name in names if "neuron" not in name]
