"""Small pictures for reports and Dagster's UI."""

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import BLACK_AND_WHITE, Headroom

_WIDTH, _HEIGHT = 200, 300
"""Most pixels a frame: six in a row stay under the 50 KB that Dagster's UI shows of an image inside its metadata."""


def filmstrip(frames: Sequence[Frame], headroom: Headroom = "none") -> bytes:
    """Frames side by side as one JPEG, without what is beyond black and white; at least one, all of one shape."""
    height, width = frames[0].shape[:2]
    scale = min(_WIDTH / width, _HEIGHT / height)
    small_width, small_height = (max(2 * round(side * scale / 2), 2) for side in (width, height))
    strip = np.hstack([_scaled(frame, small_width, small_height) for frame in frames])
    black, white = BLACK_AND_WHITE[headroom]
    strip = np.clip((strip - black) * (255 / (white - black)), 0, 255).round().astype(np.uint8)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = strip.shape[1], strip.shape[0]
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    picture = av.VideoFrame.from_ndarray(strip, format="rgb24").reformat(
        format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def _scaled(frame: Frame, width: int, height: int) -> npt.NDArray[np.uint8]:
    pixel_format = "rgb24" if frame.dtype == np.uint8 else "rgb48le"
    picture = av.VideoFrame.from_ndarray(frame, format=pixel_format)
    return picture.reformat(width=width, height=height, format="rgb24").to_ndarray().astype(np.uint8, copy=False)
