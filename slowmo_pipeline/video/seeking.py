"""Some frames of a video, without decoding all that lies before them: each from the key frame before it.

    shown    I b b P b b P b b I b b P b b P b b I b b P
    wanted         ^     ^             ^
    decoded  ############      #########

What is shown before a key frame may refer to what was sent before it. So the key frame that counts is the last one that
is shown no later than the frame itself; frames with the same one are decoded together.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path

import av
from av.video.frame import VideoFrame

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.picture import RgbConverter
from slowmo_pipeline.video.reader import read_frames
from slowmo_pipeline.video.starts import NoStartError, Start, packets_from, start_for, tells_times


def frames_at(path: Path, info: VideoInfo, numbers: Collection[int]) -> Iterator[tuple[int, Frame]]:
    """Yield those frames of `read_frames` that have one of these numbers, the same bit for bit, in order.

    They are sought in containers that tell when each packet is shown, if all of the video decodes and each picture is a
    frame. In other files, and where seeking does not surely lead to a frame, the video is decoded from its start to the
    last one wanted. Raises what `read_frames` raises, but cannot notice a change of frames that it does not decode.
    """
    missing = set(numbers)
    try:
        for number, frame in _sought(path, info, sorted(missing)):
            missing.remove(number)
            yield number, frame
    except NoStartError:
        yield from islice(read_frames(path, info, only=frozenset(missing)), len(missing))


def _sought(path: Path, info: VideoInfo, numbers: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    if info.losses or info.fields is not None or info.clock or not tells_times(info.container):
        raise NoStartError
    converter = RgbConverter.of(info)
    number_of = {info.ticks[number]: number for number in numbers}
    with open_video(path, max_pixels=info.coded_pixels) as video:
        try:
            starts = {tick: start_for(video, tick, first=info.clip_tick) for tick in number_of}
            for _, group in groupby(number_of, key=lambda tick: starts[tick].key):
                ticks = tuple(group)
                for tick, picture in zip(ticks, _pictures(video, starts[ticks[0]], ticks), strict=True):
                    if (picture.width, picture.height) != info.coded_size:
                        raise NoStartError
                    yield number_of[tick], converter.frame(picture)
        except av.FFmpegError as error:
            raise NoStartError from error


def _pictures(video: OpenVideo, start: Start, ticks: Sequence[int]) -> Iterator[VideoFrame]:
    """The pictures of some ticks, ascending, that have one key frame before them."""
    waiting = deque(ticks)
    for picture in (picture for packet in packets_from(video, start) for picture in video.stream.decode(packet)):
        if picture.pts is None or picture.pts > waiting[0] or picture.is_corrupt:
            raise NoStartError
        if picture.pts == waiting[0]:
            waiting.popleft()
            yield picture
        if not waiting:
            return
    raise NoStartError
