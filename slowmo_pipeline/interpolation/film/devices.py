"""Where TensorFlow computes, and how precisely: what it keeps for a whole process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import tensorflow as tf

from slowmo_pipeline.environment import REQUIRE_GPU, gpu_required
from slowmo_pipeline.errors import NoGpuError, SettingsError

Precision = Literal["float32", "tf32", "float16"]
"""How precisely the network computes.

float32   as NumPy does
tf32      float32 whose factors GPUs from Ampere on round to 10 bits, TensorFlow's own default: float32 elsewhere
float16   features and kernels with 16 bits, for GPUs; images and flows keep 32
"""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def prepare_devices() -> list[str]:
    """Set up TensorFlow for a process that shares its GPUs; returns their names, such as `GPU:0`.

    It must come before they are first used. Raises NoGpuError where SLOWMO_REQUIRE_GPU is set and there is none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and gpu_required():
        raise NoGpuError(
            f"TensorFlow sees no GPU, and {REQUIRE_GPU} asks for one: look whether the host's NVIDIA driver fits (CUDA "
            "12 wants 525 or newer; inference_ami_version of the deployment chooses it) and whether the image has "
            "TensorFlow's CUDA libraries, or deploy on instances without a GPU."
        )
    for gpu in gpus:
        # TensorFlow would take all of a GPU's memory at once.
        tf.config.experimental.set_memory_growth(gpu, True)
    return [f"GPU:{index}" for index in range(len(gpus))]


def chosen_precision(given: str | None) -> Precision:
    """The precision of that name; None is TensorFlow's own: tf32 where there is a GPU, else float32."""
    if given is None:
        return "tf32" if tf.config.list_physical_devices("GPU") else "float32"
    if given in PRECISIONS:
        return given
    raise SettingsError(f"precision = {given!r} must be one of {', '.join(PRECISIONS)}.")


def shown_device(device: str) -> str:
    """A device as people know it: `GPU:0 (NVIDIA A10G)`, or its name alone."""
    kind, _, index = device.partition(":")
    if kind != "GPU":
        return device
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[int(index)])
    return f"{device} ({details.get('device_name', 'unnamed')})"


@contextmanager
def computing(device: str, precision: Precision) -> Iterator[None]:
    """Have TensorFlow compute on that device, and with or without tf32, which is a switch of the whole process."""
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    with tf.device(device):
        yield
