"""The one loop that decodes: pictures with their times, and an account of what was lost on the way."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.container import OpenVideo

# Streams without a container have no times: their frames are numbered by the declared rate.
_WITHOUT_TIMES = ("h264", "hevc")
# AVI has decoding times only; libavformat's guess at presentation times goes wrong with H.264's reordering.
_WITH_DECODING_TIMES = ("avi",)


@dataclass
class Losses:
    """What decoding met on its way that a person should know; counted while it runs."""

    damaged_packets: int = 0
    damaged_pictures: int = 0
    untimed: int = 0
    cut_short: bool = False

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each kind."""
        if self.damaged_packets:
            yield f"Damaged packets: {self.damaged_packets} were skipped."
        if self.damaged_pictures:
            yield f"Frames that decode with errors: {self.damaged_pictures} are used as they are."
        if self.untimed:
            yield f"Frames without a time of their own, after the frame before: {self.untimed} were left out."
        if self.cut_short:
            yield "The container breaks off with an error: what lies behind it is not used."


def is_numbered(video: OpenVideo) -> bool:
    """Whether frames carry no times and are numbered by the declared rate instead."""
    return video.demuxer in _WITHOUT_TIMES


def time_base(video: OpenVideo) -> Fraction:
    """Seconds per tick of `timed_pictures`. Raises UnreadableVideoError where a file does not say."""
    if not is_numbered(video) and video.stream.time_base:
        return video.stream.time_base
    if is_numbered(video) and video.stream.guessed_rate:
        return 1 / video.stream.guessed_rate
    raise UnreadableVideoError(f"{video.name} does not say when its frames are shown: put it into an MP4 first.")


def timed_pictures(video: OpenVideo, losses: Losses) -> Iterator[tuple[int, VideoFrame]]:
    """Yield the pictures that decode with their presentation times in ticks, strictly ascending."""
    numbers = count()
    previous: int | None = None
    for picture in _pictures(video, losses):
        if is_numbered(video):
            tick: int | None = next(numbers)
        elif video.demuxer in _WITH_DECODING_TIMES:
            # The last frames come without a packet of their own.
            tick = picture.dts if picture.dts is not None or previous is None else previous + 1
        else:
            tick = picture.pts
        if tick is None or (previous is not None and tick <= previous):
            losses.untimed += 1
            continue
        previous = tick
        losses.damaged_pictures += picture.is_corrupt
        yield tick, picture


def _pictures(video: OpenVideo, losses: Losses) -> Iterator[VideoFrame]:
    for packet in _packets(video, losses):
        try:
            pictures = video.stream.decode(packet)
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise UnreadableVideoError(
                    f"{video.name}: its decoder was refused memory. A picture is larger than the header says, or this "
                    "machine has none left."
                ) from error
            losses.damaged_packets += 1
            continue
        yield from pictures


# Quoted: PyAV's classes are generic in its type hints only.
def _packets(video: OpenVideo, losses: Losses) -> Iterator["Packet[VideoStream] | None"]:
    """Yield the stream's packets; the last one, empty or None, makes the decoder hand out what it holds back."""
    try:
        yield from video.container.demux(video.stream)
    except av.FFmpegError:
        losses.cut_short = True
        yield None
