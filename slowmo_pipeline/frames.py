"""What a frame is, for every module that handles pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""An RGB image, shape (height, width, 3). uint8 holds 8 bits a sample; uint16 holds deeper sources, full range."""


@dataclass(frozen=True)
class FrameShape:
    """What all frames of a video have in common."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    depth: int
    """Bits a sample as stored: 8 or 16."""

    @classmethod
    def of(cls, frame: Frame) -> "FrameShape":
        """Return the shape of a frame; ValueError unless it is (height, width, 3) of native uint8 or uint16."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"A frame must be (height, width, 3) of uint8 or uint16, not {frame.shape} {frame.dtype}.")
        return cls(width=frame.shape[1], height=frame.shape[0], depth=8 * frame.dtype.itemsize)

    @property
    def raw_bytes(self) -> int:
        """Size of one uncompressed frame."""
        return self.width * self.height * 3 * (self.depth // 8)

    def __str__(self) -> str:
        """Return it as messages show it: 1280x720, 8 bit."""
        return f"{self.width}x{self.height}, {self.depth} bit"
