"""The GPUs of this machine, counted without a library, and how a process is given one of its own.

TensorFlow takes the first GPU that it sees, in every process, so each worker sees its own alone.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")
"""Has a folder for each GPU that NVIDIA's driver drives."""


def visible_gpus(*, driver: Path = _DRIVER) -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES has for them."""
    given = os.environ.get(_VISIBLE)
    if given is None:
        return [str(number) for number in range(len(list(driver.glob("*"))))]
    names = [name.strip() for name in given.split(",")]
    # CUDA itself reads no further than the first name that is none; -1 is how people say "no GPU".
    return names[: next((place for place, name in enumerate(names) if name in ("", "-1")), len(names))]


def see_only(
    place: int, environment: MutableMapping[str, str], *, otherwise: str | None = None, driver: Path = _DRIVER
) -> None:
    """Let a process of this environment see one GPU: the visible ones in turn.

    Where none is seen from here it sees `otherwise`, the name that somebody else has for its own, or what it did.
    """
    gpus = visible_gpus(driver=driver)
    own = gpus[place % len(gpus)] if gpus else otherwise
    if own is not None:
        environment[_VISIBLE] = own
