"""From a decoded picture to an upright RGB frame: matrix, range, depth, crop and rotation, each honoured once."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import Headroom
from slowmo_pipeline.video.info import Crop, VideoInfo
from slowmo_pipeline.video.traits import UPRIGHT, Orientation, bits_of, is_full_range, scaler_matrix

_Sample = TypeVar("_Sample", bound=np.generic)

# SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND of libswscale/swscale.h. Without the latter two, flat colours of 8
# bits come out up to three steps off (with them: half a step, for 17 ms at 1080p). Bilinear with both breaks 10 bits.
# PyAV names the flags only since version 18.
_SCALER_FLAGS = 0x4 | 0x2000 | 0x40000

_LIMITED, _FULL = 1, 2
_NOTHING = Crop()

SQUEEZE = 3
"""By how much colours are drawn to mid-grey before they become RGB, so that each that codes can name has a place there:
blue, with the largest factor, 1.8814 of BT.2020, takes 1 + 2 * 1.8814 * 128 / 255 times the room, 2.9."""


class RgbConverter:
    """Turns the pictures of one video into frames of one depth, each read by its own colour tags."""

    def __init__(
        self, *, depth: int, headroom: Headroom = "none", crop: Crop = _NOTHING, orientation: Orientation = UPRIGHT
    ) -> None:
        self._depth = depth
        self._headroom = headroom
        self._crop = crop
        self._orientation = orientation
        self._squeezer = VideoReformatter()
        self._reformatter = VideoReformatter()

    @classmethod
    def of(cls, info: VideoInfo) -> "RgbConverter":
        """The one for the pictures of a video that was probed."""
        orientation = Orientation(info.rotation, info.mirrored)
        return cls(depth=info.depth, headroom=info.headroom, crop=info.crop, orientation=orientation)

    def frame(self, picture: VideoFrame) -> Frame:
        """Return the frame of a picture, in RGB. Alpha is dropped."""
        matrix = scaler_matrix(picture)
        full = is_full_range(picture) or self._headroom != "none"
        source = _squeezed(picture, self._squeezer) if self._headroom == "colours" else picture
        converted = self._reformatter.reformat(
            source,
            format="rgb24" if self._depth == 8 else "rgb48le",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=_FULL if full else _LIMITED,
            dst_color_range=_FULL,
            interpolation=_SCALER_FLAGS,
        )
        image = converted.to_ndarray()
        if self._depth == 8:
            return self._shown(image.astype(np.uint8, copy=False))
        deep = image.astype(np.uint16, copy=False)
        if not source.format.is_rgb:
            _stretch(deep, bits_of(source.format) if full else 8)
        return self._shown(deep)

    def _shown(self, image: npt.NDArray[_Sample]) -> npt.NDArray[_Sample]:
        """An image, shape (height, width, ...), cropped, turned as asked for, and contiguous."""
        height, width = image.shape[:2]
        crop, orientation = self._crop, self._orientation
        shown = image[crop.top : height - crop.bottom, crop.left : width - crop.right]
        flipped = shown[:, ::-1] if orientation.mirrored else shown
        return np.ascontiguousarray(np.rot90(flipped, -orientation.rotation // 90))


def _squeezed(picture: VideoFrame, scaler: VideoReformatter) -> VideoFrame:
    """The picture in 16 bits with its contrast divided by SQUEEZE; no chroma is halved any more."""
    # One range for both: the codes are shifted, whatever they mean.
    codes = scaler.reformat(
        picture,
        format="yuv444p16le",
        src_color_range=_LIMITED,
        dst_color_range=_LIMITED,
        interpolation=_SCALER_FLAGS,
    ).to_ndarray()
    middle = 2**15
    squeezed = (codes.astype(np.uint32) + middle * (SQUEEZE - 1)) // SQUEEZE
    return VideoFrame.from_ndarray(squeezed.astype(np.uint16), format="yuv444p16le")


def _stretch(image: npt.NDArray[np.uint16], bits: int) -> None:
    """Stretch 0..(2^bits - 1) * 2^(16 - bits) to 0..65535, in place; what is brighter than white is white.

    libswscale puts the white of deep YUV there: at 255 * 256 for limited range, at the shifted maximum for full range.
    """
    if bits < 16:
        np.minimum(image, (2**bits - 1) << (16 - bits), out=image)
        image += image >> bits
