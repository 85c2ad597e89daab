"""What the instances of a type compute with, which the letters of its family say."""

from slowmo_pipeline.errors import SettingsError

_NVIDIA = ("g", "p")
_OTHER_ACCELERATORS = ("inf", "trn", "dl")
"""AWS Inferentia and Trainium, Intel Gaudi."""


def has_gpu(instance_type: str) -> bool:
    """Whether instances of a type, `ml.FAMILY.SIZE`, have NVIDIA GPUs.

    Raises SettingsError for those with accelerators of another kind, which would be paid for in vain.
    """
    family = instance_type.split(".")[1]
    if family.startswith(_OTHER_ACCELERATORS):
        raise SettingsError(
            f"instance_type = {instance_type!r} has no NVIDIA GPU but accelerators that FILM cannot use: take one of "
            "the families g and p, such as ml.g5.xlarge, or one without any."
        )
    return family.startswith(_NVIDIA)
