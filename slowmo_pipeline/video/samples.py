"""What sound is in between: samples as numbers, and a place to read them from."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Shape (channels, samples), full scale -1..1."""


class SoundSource(Protocol):
    """Sound that can be read anywhere."""

    @property
    def channels(self) -> int:
        """How many there are."""

    def read(self, begin: int, end: int) -> Samples:
        """The samples from one place to another, as a new array; silence where there are none."""
