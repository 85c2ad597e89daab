"""What the numbers in a picture mean: colour tags by ffmpeg's names, and what is assumed where a file has none."""

from collections.abc import Mapping
from typing import Literal

MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
    15: "ipt-c2",
    16: "ycgco-re",
    17: "ycgco-ro",
}
"""ffmpeg's names of the matrix coefficients of ITU-T H.273, table 4; other numbers mean "untagged"."""

PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
"""The same for H.273, table 2."""

TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
"""The same for H.273, table 3."""

USUAL_PRIMARIES = frozenset({None, "bt709", "smpte170m", "bt470bg"})
"""Of television before HDR: so alike that many players show them all as one. Without a tag, one of them is meant."""

USUAL_TRANSFERS = frozenset({None, "bt709", "smpte170m", "bt2020-10", "bt2020-12"})
"""One curve by several names, says H.273; meant as well where a video has no tag."""

RANGES = {1: "tv", 2: "pc"}
"""Of ffmpeg's AVColorRange: "tv" puts black at 16 and white at 235 (of 255), "pc" uses the full range."""

RGB_MATRIX = "gbr"

Headroom = Literal["none", "codes", "colours"]
"""What frames have room for beyond RGB: nothing, the codes beyond black and white, or all colours that codes can name.
How, headroom.py shows."""

BLACK_AND_WHITE: Mapping[Headroom, tuple[float, float]] = {
    "none": (0, 255),
    "codes": (16, 235),
    "colours": (272 / 3, 491 / 3),
}
"""Where they lie in the frames of each, of 255."""


def usual_matrix(width: int, height: int) -> str:
    """The matrix that players assume for an untagged picture of this size, in pixels as coded (before rotation).

    The rule is that of mpv's `mp_csp_guess_colorspace`.
    """
    return "bt709" if width >= 1280 or height > 576 else "bt470bg"
