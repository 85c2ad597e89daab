"""From a decoded picture to an upright RGB frame: matrix, range, depth and rotation, each honoured once."""

import struct
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import MATRICES, PRIMARIES, RANGES, RGB_MATRIX, TRANSFERS, Colour, usual_matrix

_Sample = TypeVar("_Sample", bound=np.generic)

# SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND of libswscale/swscale.h. Without the latter two, flat colours of 8
# bits come out up to three steps off (with them: half a step, for 17 ms at 1080p). Bilinear with both breaks 10 bits.
# PyAV names the flags only since version 18.
_SCALER_FLAGS = 0x4 | 0x2000 | 0x40000

# libswscale's SWS_CS_* numbers. It takes constant luminance for the other kind; so does the encoder on the way back.
_SCALER_MATRICES = {
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 5,
    "smpte240m": 7,
    "bt2020nc": 9,
    "bt2020c": 9,
}
_LIMITED, _FULL = 1, 2


@dataclass(frozen=True)
class Orientation:
    """How coded pictures become upright: flipped left to right if mirrored, then turned clockwise."""

    rotation: int
    """Degrees clockwise: 0, 90, 180 or 270."""
    mirrored: bool

    @property
    def swaps_sides(self) -> bool:
        """Whether width becomes height."""
        return self.rotation in (90, 270)

    def apply(self, image: npt.NDArray[_Sample]) -> npt.NDArray[_Sample]:
        """Return an image, shape (height, width, ...), upright and contiguous."""
        upright = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(upright, -self.rotation // 90))


UPRIGHT = Orientation(0, False)


def orientation_of(picture: VideoFrame) -> Orientation | None:
    """What a picture's display matrix asks for; None if that is no quarter turn."""
    try:
        matrix = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV stumbles over kinds of side data younger than itself (stereo video of 2024, say); flips are lost then.
        return Orientation(-picture.rotation % 360, False) if picture.rotation % 90 == 0 else None
    return orientation_of_matrix(bytes(matrix)) if isinstance(matrix, SideData) else UPRIGHT


def orientation_of_matrix(matrix: bytes) -> Orientation | None:
    """The orientation of libavutil's display matrix: nine int32 a b u c d v x y w, x' = ax + cy, y' = bx + dy."""
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    rotations = {(1, 0, 0, 1): 0, (0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}
    rotation = rotations.get((_sign(a), _sign(b), _sign(c), _sign(d)))
    return None if rotation is None else Orientation(rotation, mirrored)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def bits_of(pixel_format: VideoFormat) -> int:
    """Bits of the deepest sample of a pixel format."""
    return max(component.bits for component in pixel_format.components)


def has_alpha(pixel_format: VideoFormat) -> bool:
    """Whether a pixel format has a channel of transparency."""
    return any(component.is_alpha for component in pixel_format.components)


def colour_of(picture: VideoFrame) -> Colour:
    """The tags of a picture."""
    full = picture.format.name.startswith("yuvj")
    return Colour(
        matrix=MATRICES.get(picture.colorspace),
        range="pc" if full else RANGES.get(picture.color_range),
        primaries=PRIMARIES.get(picture.color_primaries),
        transfer=TRANSFERS.get(picture.color_trc),
    )


def converts(colour: Colour, pixel_format: VideoFormat) -> bool:
    """Whether pictures of this kind can be turned into RGB; some rare matrices cannot."""
    return pixel_format.is_rgb or colour.matrix in (None, RGB_MATRIX, *_SCALER_MATRICES)


class RgbConverter:
    """Turns the pictures of one video into frames: one depth, one reading of the colours, upright."""

    def __init__(self, *, depth: int, colour: Colour, orientation: Orientation) -> None:
        self._depth = depth
        self._colour = colour
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    def frame(self, picture: VideoFrame) -> Frame:
        """Return the frame of a picture, in RGB. Alpha is dropped."""
        full = self._is_full_range(picture.format)
        matrix = _SCALER_MATRICES[self._matrix(picture)]
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
            return self._orientation.apply(image.astype(np.uint8, copy=False))
        deep = image.astype(np.uint16, copy=False)
        if not picture.format.is_rgb:
            _stretch(deep, bits_of(picture.format) if full else 8)
        return self._orientation.apply(deep)

    def _matrix(self, picture: VideoFrame) -> str:
        tagged = self._colour.matrix
        return usual_matrix(picture.width, picture.height) if tagged in (None, RGB_MATRIX) else tagged

    def _is_full_range(self, pixel_format: VideoFormat) -> bool:
        untagged_grey = self._colour.range is None and len(pixel_format.components) < 3
        return self._colour.range == "pc" or pixel_format.is_rgb or untagged_grey


def _stretch(image: npt.NDArray[np.uint16], bits: int) -> None:
    """Stretch 0..(2^bits - 1) * 2^(16 - bits) to 0..65535, in place; what is brighter than white is white.

    libswscale puts the white of deep YUV there: at 255 * 256 for limited range, at the shifted maximum for full range.
    """
    if bits < 16:
        np.minimum(image, (2**bits - 1) << (16 - bits), out=image)
        image += image >> bits
