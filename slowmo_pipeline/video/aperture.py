"""Cropping that a container asks for: the clean aperture of MP4 and MOV, Matroska's PixelCrop elements.

libavformat reads both, for players to crop by.
"""

import re
from collections.abc import Collection

NOTHING = {"left": 0, "right": 0, "top": 0, "bottom": 0}
"""Of a `Crop`, to crop nothing."""

_CROPPING = re.compile(r"^ +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", re.MULTILINE)


def crop_in(description: str, warnings: Collection[str], *, width: int, height: int) -> dict[str, int] | None:
    """What to leave out of the coded pictures, as the fields of a `Crop`; None if nothing would be left of them.

    Takes what libavformat says of the stream, and what it said while it opened the file.
    """
    found = _CROPPING.search(description)
    if found is None:
        # Of a clean aperture that is not inside of the picture libavformat keeps nothing.
        return None if any("Invalid clap box" in said for said in warnings) else NOTHING
    left, right, top, bottom = map(int, found.groups())
    if left + right >= width or top + bottom >= height:
        return None
    return {"left": left, "right": right, "top": top, "bottom": bottom}


def leaves_nothing(warnings: Collection[str]) -> bool:
    """Whether libavformat refused a file since its PixelCrop elements leave nothing of the picture."""
    return any("Invalid coded dimensions" in said for said in warnings)
