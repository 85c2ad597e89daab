"""What a decoded picture says of itself: how it is turned, how deep it is, how its colours are meant."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from slowmo_pipeline.video.colour import MATRICES, PRIMARIES, RANGES, RGB_MATRIX, TRANSFERS, usual_matrix

# libswscale's SWS_CS_* numbers. It takes constant luminance for the other kind; so does the encoder on the way back.
SCALER_MATRICES = {
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 5,
    "smpte240m": 7,
    "bt2020nc": 9,
    "bt2020c": 9,
}


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


UPRIGHT = Orientation(0, False)


def side_data_of(picture: VideoFrame) -> dict[str, bytes] | None:
    """What comes with a picture, by PyAV's names; None where PyAV stumbles over a kind that is younger than itself."""
    try:
        # Not picture.side_data: a picture that holds its side data, which hold it, stays until Python looks for cycles,
        # and a hundred pictures wait. PyAV's hints take it for a mapping from names; what it yields is the data.
        found = SideDataContainer(picture)  # type: ignore[call-arg]  # forgotten in PyAV's hints
        return {data.type.name: bytes(data) for data in cast("Iterable[SideData]", found)}
    except ValueError:
        return None


def orientation_of(picture: VideoFrame) -> Orientation | None:
    """What a picture's display matrix asks for; None if that is no quarter turn."""
    said = side_data_of(picture)
    if said is None:
        # Flips are lost then. Stereo video of 2024 is such a kind.
        return Orientation(-picture.rotation % 360, False) if picture.rotation % 90 == 0 else None
    return orientation_of_matrix(said["DISPLAYMATRIX"]) if "DISPLAYMATRIX" in said else UPRIGHT


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


def tags_of(picture: VideoFrame) -> dict[str, str | None]:
    """The colour tags of a picture, as the fields of a `Colour`."""
    full = picture.format.name.startswith("yuvj")
    return {
        "matrix": MATRICES.get(picture.colorspace),
        "range": "pc" if full else RANGES.get(picture.color_range),
        "primaries": PRIMARIES.get(picture.color_primaries),
        "transfer": TRANSFERS.get(picture.color_trc),
    }


def converts(matrix: str | None, pixel_format: VideoFormat) -> bool:
    """Whether pictures of this kind can be turned into RGB; some rare matrices cannot."""
    return pixel_format.is_rgb or matrix in (None, RGB_MATRIX, *SCALER_MATRICES)


def scaler_matrix(picture: VideoFrame) -> int:
    """libswscale's number of the matrix that a picture is tagged with, or that players assume for it."""
    tagged = MATRICES.get(picture.colorspace)
    return SCALER_MATRICES[usual_matrix(picture.width, picture.height) if tagged in (None, RGB_MATRIX) else tagged]


def is_full_range(picture: VideoFrame) -> bool:
    """Whether black is 0 in a picture, not 16 (of 255). Grey pictures are full unless they are tagged."""
    tagged = tags_of(picture)["range"]
    untagged_grey = tagged is None and len(picture.format.components) < 3
    return tagged == "pc" or picture.format.is_rgb or untagged_grey
