"""Where decoding begins for a frame that lies further back: at the last key frame that is shown no later.

What is shown before a key frame may refer to what was sent before it.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import dropwhile, takewhile
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

from slowmo_pipeline.video.container import OpenVideo
from slowmo_pipeline.video.decoding import time_base
from slowmo_pipeline.video.entry_points import entry_tick

# MP4 and MOV, Matroska and WebM, MPEG-TS: tests hold them against decoding from the start.
_DEMUXERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")

_STEP_SECONDS = Fraction(1, 4)
"""Further back, where seeking leads to a key frame that is too late; then twice as far."""


class NoStartError(Exception):
    """Seeking does not lead to a frame, or not surely."""


class Start(NamedTuple):
    """Where decoding begins."""

    key: int
    """The tick of the key frame."""
    goal: int
    """The tick to seek: leads to the key frame's packet or one before it."""


def tells_times(demuxer: str) -> bool:
    """Whether a container tells when each packet is shown, and leads to it."""
    return demuxer in _DEMUXERS


def start_for(video: OpenVideo, tick: int, *, first: int) -> Start:
    """From where the picture of a tick decodes; `first` is the tick of the first one. Reads packets and decodes none.

    Raises NoStartError.
    """
    back, step = 0, math.ceil(_STEP_SECONDS / time_base(video))
    while True:
        goal = tick - back
        video.container.seek(goal, stream=video.stream)
        sent = takewhile(lambda packet: packet.dts is None or packet.dts <= tick, video.container.demux(video.stream))
        key = next((shown for shown in map(entry_tick, sent) if shown is not None), None)
        if key is not None and key <= tick:
            return Start(key, goal)
        if goal < first:
            raise NoStartError
        # Demuxers look for decoding times, that of MPEG-TS also finds packets in between.
        back = 2 * back or step


# Quoted: PyAV's classes are generic in its type hints only.
def packets_from(video: OpenVideo, start: Start) -> Iterator["Packet[VideoStream]"]:
    """The packets from the key frame on."""
    video.container.seek(start.goal, stream=video.stream)
    packets = video.container.demux(video.stream)
    return dropwhile(lambda packet: not packet.is_keyframe or packet.pts != start.key, packets)
