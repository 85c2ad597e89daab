"""From a decoded picture to an upright RGB frame: matrix, range, depth and rotation, each honoured once."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import RGB_MATRIX, usual_matrix
from slowmo_pipeline.video.info import Colour, VideoInfo
from slowmo_pipeline.video.traits import SCALER_MATRICES, Orientation, bits_of

_Sample = TypeVar("_Sample", bound=np.generic)

# SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND of libswscale/swscale.h. Without the latter two, flat colours of 8
# bits come out up to three steps off (with them: half a step, for 17 ms at 1080p). Bilinear with both breaks 10 bits.
# PyAV names the flags only since version 18.
_SCALER_FLAGS = 0x4 | 0x2000 | 0x40000

_LIMITED, _FULL = 1, 2


class RgbConverter:
    """Turns the pictures of one video into frames: one depth, one reading of the colours, upright."""

    def __init__(self, *, depth: int, colour: Colour, orientation: Orientation) -> None:
        self._depth = depth
        self._colour = colour
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    @classmethod
    def of(cls, info: VideoInfo) -> "RgbConverter":
        """The one for the pictures of a video that was probed."""
        return cls(depth=info.depth, colour=info.colour, orientation=Orientation(info.rotation, info.mirrored))

    def frame(self, picture: VideoFrame) -> Frame:
        """Return the frame of a picture, in RGB. Alpha is dropped."""
        full = self._is_full_range(picture.format)
        matrix = SCALER_MATRICES[self._matrix(picture)]
        converted = self._reformatter.reformat(
            picture,
            format="rgb24" if self._depth == 8 else "rgb48le",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=_FULL if full else _LIMITED,
            dst_color_range=_FULL,
            interpolation=_SCALER_FLAGS,
        )
        image = converted.to_ndarray()
        if self._depth == 8:
            return _upright(image.astype(np.uint8, copy=False), self._orientation)
        deep = image.astype(np.uint16, copy=False)
        if not picture.format.is_rgb:
            _stretch(deep, bits_of(picture.format) if full else 8)
        return _upright(deep, self._orientation)

    def _matrix(self, picture: VideoFrame) -> str:
        tagged = self._colour.matrix
        return usual_matrix(picture.width, picture.height) if tagged in (None, RGB_MATRIX) else tagged

    def _is_full_range(self, pixel_format: VideoFormat) -> bool:
        untagged_grey = self._colour.range is None and len(pixel_format.components) < 3
        return self._colour.range == "pc" or pixel_format.is_rgb or untagged_grey


def _upright(image: npt.NDArray[_Sample], orientation: Orientation) -> npt.NDArray[_Sample]:
    """An image, shape (height, width, ...), turned as asked for, and contiguous."""
    flipped = image[:, ::-1] if orientation.mirrored else image
    return np.ascontiguousarray(np.rot90(flipped, -orientation.rotation // 90))


def _stretch(image: npt.NDArray[np.uint16], bits: int) -> None:
    """Stretch 0..(2^bits - 1) * 2^(16 - bits) to 0..65535, in place; what is brighter than white is white.

    libswscale puts the white of deep YUV there: at 255 * 256 for limited range, at the shifted maximum for full range.
    """
    if bits < 16:
        np.minimum(image, (2**bits - 1) << (16 - bits), out=image)
        image += image >> bits
