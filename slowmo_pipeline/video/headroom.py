"""Looking for what RGB of full range has no place for: codes beyond black and white, and colours outside of its cube.

    code of 8 bits   0     16                              235    255
    legal range            black ........................ white
    "none"                 0 ............................ 255            what is beyond is clipped
    "codes"          0     16 ........................... 235    255     the code itself, as if it were of full range
    "colours"        85    91 ........................... 164    170     a third of that contrast, in 16 bits

Encoders overshoot at edges, so that nearly each clip has some samples beyond black and white. Measured in five real
clips: up to 3 % of the samples; but of the means of 8x8 samples, where overshoots cancel out, none lies more than one
code beyond, except in the clip that is there for its distortion. So the means count: areas do, edges do not.

Imports no NumPy: uploads are looked at in a process that starts faster without (see examination.py).
"""

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from slowmo_pipeline.video.colour import Headroom
from slowmo_pipeline.video.traits import is_full_range, scaler_matrix

_BLOCK = 8
"""Samples, in both directions, that count as one; more of them in pictures of more than _WIDTH blocks."""
_WIDTH = 240

# SWS_AREA, the mean, | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND of libswscale/swscale.h.
_SCALER_FLAGS = 0x20 | 0x2000 | 0x40000
_FULL = 2

_LEGAL = bytes(range(15, 237))
"""Luma that a block may have: clipped, it is off by one code at most."""

_IN_CUBE = bytes(range(8, 248))
"""Red, green and blue, read as if of full range: legal colours have 11..240; the rest is for losses of encoders."""

_MOST_OFF = 2
"""Codes by which a block may differ once it was RGB; by one it does from rounding."""


class HeadroomMeter:
    """Sees the pictures of a video, and tells afterwards which headroom its frames need."""

    def __init__(self) -> None:
        self.needed: Headroom = "none"
        self._scaler = VideoReformatter()
        self._to_rgb = VideoReformatter()
        self._to_codes = VideoReformatter()

    def see(self, picture: VideoFrame) -> None:
        """Measure a picture; those of full range or RGB have nothing beyond."""
        if self.needed == "colours" or is_full_range(picture):
            return
        block = max(_BLOCK, -(-picture.width // _WIDTH))
        options = {
            "width": -(-picture.width // block),
            "height": -(-picture.height // block),
            "src_colorspace": scaler_matrix(picture),
            "dst_colorspace": scaler_matrix(picture),
            "src_color_range": _FULL,
            "dst_color_range": _FULL,
            "interpolation": _SCALER_FLAGS,
        }
        blocks = self._scaler.reformat(picture, format="yuv444p", **options)
        rgb = self._to_rgb.reformat(blocks, format="gbrp", **options)
        codes, colours = _samples(blocks), b"".join(_samples(rgb))
        if codes[0].translate(None, _LEGAL) or colours.translate(None, _IN_CUBE):
            self.needed = "codes"
        if b"\0" in colours or b"\xff" in colours:
            kept = _samples(self._to_codes.reformat(rgb, format="yuv444p", **options))
            if any(abs(one - other) > _MOST_OFF for one, other in zip(b"".join(codes), b"".join(kept), strict=True)):
                self.needed = "colours"


def _samples(picture: VideoFrame) -> list[bytes]:
    """The planes without the padding of their rows."""
    return [
        b"".join(
            data[start : start + plane.width] for start in range(0, plane.height * plane.line_size, plane.line_size)
        )
        for plane, data in ((plane, bytes(plane)) for plane in picture.planes)
    ]
