"""The memory of a picture's planes as arrays."""

import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane


def samples_of(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """The bytes of a plane, a line each, for reading and writing; lines may be longer than what they hold."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
