"""A small video of what was and what became of it, side by side: two pictures in each frame are always in step."""

import io
from fractions import Fraction
from typing import Final

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.planes import samples_of
from slowmo_pipeline.video.screen import Screen

WIDTH, HEIGHT = 854, 480
"""Most pixels of each half."""

SECONDS, FRAMES = 15, 300
"""How long such a video gets, at most."""

_KBIT: Final = 1700
"""Bits a second, in thousands, at most: 15 s of it stay below 3.5 MB."""


class SideBySide:
    """H.264 in MP4, in memory; its size is bounded."""

    def __init__(self, info: VideoInfo, *, rate: Fraction) -> None:
        self._screen = Screen(info, width=WIDTH, height=HEIGHT)
        self._file = io.BytesIO()
        # Without the library's version, so that the same frames give the same bytes.
        self._container = av.open(self._file, "w", format="mp4", options={"fflags": "+bitexact"})
        self._stream: VideoStream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = 2 * self._screen.width, self._screen.height
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_count = 1
        self._stream.options = {
            "preset": "superfast",
            "crf": "24",
            "x264-params": f"vbv-maxrate={_KBIT}:vbv-bufsize={_KBIT}:keyint=60",
        }
        self._count = 0
        self._reformatter = VideoReformatter()
        self._source: Frame | None = None
        self._left: VideoFrame | None = None

    def add(self, source: Frame, result: Frame) -> None:
        """Add what the source shows at some moment, on the left, and what the result does."""
        if self._left is None or source is not self._source:
            self._source, self._left = source, self._half(source)
        right = self._left if result is source else self._half(result)
        picture = VideoFrame(self._stream.width, self._stream.height, "yuv420p")
        for target, left_plane, right_plane in zip(picture.planes, self._left.planes, right.planes, strict=True):
            lines, width = samples_of(target), left_plane.width
            lines[:, :width] = samples_of(left_plane)[:, :width]
            lines[:, width : 2 * width] = samples_of(right_plane)[:, :width]
        picture.pts, picture.time_base = self._count, 1 / Fraction(self._stream.codec_context.framerate)
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def _half(self, frame: Frame) -> VideoFrame:
        picture = VideoFrame.from_ndarray(self._screen.picture(frame), format="rgb24")
        return self._reformatter.reformat(
            picture,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.FAST_BILINEAR,
        )

    def finish(self) -> bytes:
        """The file, of the frames that were added: at least one."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()
