"""What pictures say of the display that they were graded on, and how bright they get: HDR10's static metadata.

Metadata that changes from scene to scene belongs to the frames of the source and not to new ones: it is left out.
"""

import re
import struct
from collections.abc import Iterator

from av.video.frame import VideoFrame

from slowmo_pipeline.video.traits import side_data_of

# libavutil's AVMasteringDisplayMetadata: x and y of red, green, blue and white, least and most luminance, each over its
# denominator; then whether the chromaticities and the luminances are there. AVContentLightMetadata: two numbers.
_MASTERING, _LIGHT = struct.Struct("=22i"), struct.Struct("=2I")

_CHROMATICITY, _LUMINANCE = 50_000, 10_000
"""Steps in a unit, of H.265."""

_LEFT_OUT = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_METADATA": "Dolby Vision",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "AMBIENT_VIEWING_ENVIRONMENT": "the ambient viewing environment",
}
"""By PyAV's names of side data."""

_DOLBY_VISION = re.compile(r"^ +DOVI configuration record: .*compatibility id: (\d+)", re.MULTILINE)


class HdrMeter:
    """Sees the pictures of a video, and tells afterwards what they say: what was said first holds for all."""

    def __init__(self) -> None:
        self._mastering = b""
        self._light = b""
        self._left_out: set[str] = set()
        self._is_unreadable = False

    def see(self, picture: VideoFrame) -> None:
        """Look at a picture. H.264 says it at key frames only."""
        said = side_data_of(picture)
        if said is None:
            self._is_unreadable = True
            return
        self._mastering = self._mastering or said.get("MASTERING_DISPLAY_METADATA", b"")
        self._light = self._light or said.get("CONTENT_LIGHT_LEVEL", b"")
        self._left_out.update(_LEFT_OUT[name] for name in said.keys() & _LEFT_OUT.keys())

    def found(self) -> dict[str, object]:
        """The fields of a `VideoInfo`."""
        return {"mastering_display": _mastering_display(self._mastering), "light_level": _light_level(self._light)}

    def notes(self, transfer: str | None, description: str) -> Iterator[str]:
        """Yield a sentence for each thing that is left out; the description is libav's, of the stream."""
        if self._mastering and _mastering_display(self._mastering) is None:
            yield "What the source says of its mastering display makes no sense, and is left out."
        if _DOLBY_VISION.search(description):
            self._left_out.add("Dolby Vision")
        for name in sorted(self._left_out):
            yield f"Metadata of the source that fits its own frames only is left out: {name}."
        if self._is_unreadable and transfer in ("smpte2084", "arib-std-b67"):
            yield "What the source says of its mastering display cannot be read, and is left out."


def needs_dolby_vision(description: str) -> bool:
    """Whether libav's description of a stream says that its pictures show only by Dolby Vision's metadata."""
    found = _DOLBY_VISION.search(description)
    return found is not None and found[1] == "0"


def _mastering_display(said: bytes) -> dict[str, object] | None:
    """The fields of a `MasteringDisplay`; None unless all of them are there and make sense."""
    if len(said) != _MASTERING.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING.unpack(said)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if not has_primaries or not has_luminance or any(bottom <= 0 for _, bottom in pairs):
        return None
    points = [round(top * _CHROMATICITY / bottom) for top, bottom in pairs[:8]]
    darkest, brightest = (round(top * _LUMINANCE / bottom) for top, bottom in pairs[8:])
    if not all(0 <= point <= _CHROMATICITY for point in points) or not 0 <= darkest < brightest < 2**31:
        return None
    red, green, blue, white = (points[place : place + 2] for place in range(0, 8, 2))
    return {"red": red, "green": green, "blue": blue, "white": white, "darkest": darkest, "brightest": brightest}


def _light_level(said: bytes) -> dict[str, object] | None:
    """The fields of a `LightLevel`; None where nothing is said: 0 stands for unknown."""
    if len(said) != _LIGHT.size:
        return None
    pixel, frame = _LIGHT.unpack(said)
    return {"pixel": pixel, "frame": frame} if 0 < max(pixel, frame) < 2**16 else None
