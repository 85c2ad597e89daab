"""Some frames of a video, without decoding all that lies before them: each from the key frame before it.

    shown    I b b P b b P b b I b b P b b P b b I b b P
    wanted         ^     ^             ^
    decoded  ############      #########

What is shown before a key frame may refer to what was sent before it. So the key frame that counts is the last one that
is shown no later than the frame itself; frames with the same one are decoded together.
"""

import math
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from itertools import dropwhile, groupby, takewhile
from pathlib import Path
from typing import NamedTuple

import av
from av.video.frame import VideoFrame

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import time_base
from slowmo_pipeline.video.entry_points import entry_tick
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.picture import RgbConverter
from slowmo_pipeline.video.reader import read_frames

# MP4 and MOV, Matroska and WebM, MPEG-TS: tests hold them against decoding from the start.
_DEMUXERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")

_STEP_SECONDS = Fraction(1, 4)
"""Further back, where seeking leads to a key frame that is too late; then twice as far."""


def frames_at(path: Path, info: VideoInfo, numbers: Collection[int]) -> Iterator[tuple[int, Frame]]:
    """Yield those frames of `read_frames` that have one of these numbers, the same bit for bit, in order.

    They are sought in containers that tell when each packet is shown, if all of the video decodes. In other files, and
    where seeking does not surely lead to a frame, the video is decoded from its start to the last one wanted. Raises
    what `read_frames` raises, but cannot notice a change of frames that it does not decode.
    """
    missing = set(numbers)
    try:
        for number, frame in _sought(path, info, sorted(missing)):
            missing.remove(number)
            yield number, frame
    except _NotFoundError:
        for number, frame in read_frames(path, info):
            if number in missing:
                missing.remove(number)
                yield number, frame
            if not missing:
                return


class _NotFoundError(Exception):
    """Seeking does not lead to a frame, or not surely."""


class _Start(NamedTuple):
    """Where decoding begins."""

    key: int
    """The tick of the key frame."""
    goal: int
    """The tick to seek: leads to the key frame's packet or one before it."""


def _sought(path: Path, info: VideoInfo, numbers: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    if info.losses or info.container not in _DEMUXERS:
        raise _NotFoundError
    converter = RgbConverter.of(info)
    number_of = {info.ticks[number]: number for number in numbers}
    with open_video(path, max_pixels=info.coded_pixels) as video:
        try:
            starts = {tick: _start_for(video, tick, first=info.ticks[0]) for tick in number_of}
            for _, group in groupby(number_of, key=lambda tick: starts[tick].key):
                ticks = tuple(group)
                for tick, picture in zip(ticks, _pictures(video, starts[ticks[0]], ticks), strict=True):
                    if (picture.width, picture.height) != info.coded_size:
                        raise _NotFoundError
                    yield number_of[tick], converter.frame(picture)
        except av.FFmpegError as error:
            raise _NotFoundError from error


def _start_for(video: OpenVideo, tick: int, *, first: int) -> _Start:
    """From where the picture of a tick decodes. Reads packets and decodes none."""
    back, step = 0, math.ceil(_STEP_SECONDS / time_base(video))
    while True:
        goal = tick - back
        video.container.seek(goal, stream=video.stream)
        sent = takewhile(lambda packet: packet.dts is None or packet.dts <= tick, video.container.demux(video.stream))
        key = next((shown for shown in map(entry_tick, sent) if shown is not None), None)
        if key is not None and key <= tick:
            return _Start(key, goal)
        if goal < first:
            raise _NotFoundError
        # Demuxers look for decoding times, that of MPEG-TS also finds packets in between.
        back = 2 * back or step


def _pictures(video: OpenVideo, start: _Start, ticks: Sequence[int]) -> Iterator[VideoFrame]:
    """The pictures of some ticks, ascending, that have one key frame before them."""
    video.container.seek(start.goal, stream=video.stream)
    packets = video.container.demux(video.stream)
    from_key = dropwhile(lambda packet: not packet.is_keyframe or packet.pts != start.key, packets)
    waiting = deque(ticks)
    for picture in (picture for packet in from_key for picture in video.stream.decode(packet)):
        if picture.pts is None or picture.pts > waiting[0] or picture.is_corrupt:
            raise _NotFoundError
        if picture.pts == waiting[0]:
            waiting.popleft()
            yield picture
        if not waiting:
            return
    raise _NotFoundError
