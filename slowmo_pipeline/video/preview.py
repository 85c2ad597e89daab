"""Small pictures for reports and Dagster's UI."""

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.screen import Screen

_WIDTH, _HEIGHT = 200, 300
"""Most pixels a frame: six in a row stay under the 50 KB that Dagster's UI shows of an image inside its metadata."""


def filmstrip(frames: Sequence[Frame], info: VideoInfo) -> bytes:
    """Frames of a video side by side as one JPEG; at least one."""
    screen = Screen.within(info, width=_WIDTH, height=_HEIGHT)
    strip = np.hstack([screen.picture(frame) for frame in frames])
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = strip.shape[1], strip.shape[0]
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    picture = av.VideoFrame.from_ndarray(strip, format="rgb24").reformat(
        format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
