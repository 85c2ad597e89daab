"""A video of what was and what became of it, side by side: two pictures in each frame are always in step."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.planes import samples_of


class Half(Protocol):
    """Shows frames in one size."""

    width: int
    height: int

    def picture(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """Return what is shown: uint8, (height, width, 3); even numbers of pixels."""
        ...


class SideBySide:
    """Writes H.264 in MP4. Both halves have one height, and often are the same."""

    def __init__(
        self, file: IO[bytes] | Path, left: Half, right: Half, *, rate: Fraction, options: Mapping[str, str]
    ) -> None:
        """Write to a file, or to memory; `options` are the encoder's."""
        self._halves = (left, right)
        # Without the library's version, so that the same frames give the same bytes.
        self._container = av.open(
            str(file) if isinstance(file, Path) else file, "w", format="mp4", options={"fflags": "+bitexact"}
        )
        self._stream: VideoStream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = left.width + right.width, left.height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = dict(options)
        self._time_base = 1 / rate
        self._count = 0
        self._reformatter = VideoReformatter()
        self._source: Frame | None = None
        self._left: VideoFrame | None = None

    def add(self, source: Frame, result: Frame) -> None:
        """Add what the source shows at some moment, on the left, and what the result does."""
        left, right = self._halves
        if self._left is None or source is not self._source:
            self._source, self._left = source, self._in_yuv(left.picture(source))
        other = self._left if result is source and right is left else self._in_yuv(right.picture(result))
        picture = VideoFrame(self._stream.width, self._stream.height, "yuv420p")
        for target, left_plane, right_plane in zip(picture.planes, self._left.planes, other.planes, strict=True):
            lines, width = samples_of(target), left_plane.width
            lines[:, :width] = samples_of(left_plane)[:, :width]
            lines[:, width : width + right_plane.width] = samples_of(right_plane)[:, : right_plane.width]
        picture.pts, picture.time_base = self._count, self._time_base
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Write what is left of the frames that were added: at least one."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _in_yuv(self, picture: npt.NDArray[np.uint8]) -> VideoFrame:
        return self._reformatter.reformat(
            VideoFrame.from_ndarray(picture, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.FAST_BILINEAR,
        )
