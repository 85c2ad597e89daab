"""The small video of a report: some seconds of clip and result, side by side."""

import io
from fractions import Fraction
from typing import Final

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.screen import Screen
from slowmo_pipeline.video.side_by_side import SideBySide

SECONDS, FRAMES = 15, 300
"""How long it gets, at most."""

_WIDTH, _HEIGHT = 854, 480
"""Most pixels of each half."""

_KBIT: Final = 1700
"""Bits a second, in thousands, at most: 15 s of it stay below 3.5 MB."""

_OPTIONS = {
    "preset": "superfast",
    "crf": "24",
    "threads": "1",
    "x264-params": f"vbv-maxrate={_KBIT}:vbv-bufsize={_KBIT}:keyint=60",
}


class MovingPreview:
    """H.264 in MP4, in memory; its size is bounded."""

    def __init__(self, info: VideoInfo, *, rate: Fraction) -> None:
        """Take frames that are shown at a rate, a second; all of them are of the video `info` tells of."""
        screen = Screen.within(info, width=_WIDTH, height=_HEIGHT)
        self._file = io.BytesIO()
        self._video = SideBySide(self._file, screen, screen, rate=rate, options=_OPTIONS)

    def add(self, source: Frame, result: Frame) -> None:
        """Add what the clip shows at some moment, and what the result does."""
        self._video.add(source, result)

    def finish(self) -> bytes:
        """Return the file, of the frames that were added: at least one."""
        self._video.finish()
        return self._file.getvalue()
