"""The one loop that decodes: pictures with their times, and an account of what was lost on the way."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.container import OpenVideo

# Quoted: PyAV's classes are generic in its type hints only.
Packets = Iterable["Packet[VideoStream] | None"]

# Streams without a container have no times: their frames are numbered by the declared rate.
_WITHOUT_TIMES = ("h264", "hevc")
# AVI has decoding times only; libavformat's guess at presentation times goes wrong with H.264's reordering.
_WITH_DECODING_TIMES = ("avi",)

# There every recording starts its clock anew, so that joined ones jump; elsewhere a long gap is a long still.
_WITH_JUMPING_CLOCKS = ("mpegts", "mpeg")
_JUMP_SECONDS = 10
"""What ffmpeg, too, takes for a jump rather than for a pause: its option dts_delta_threshold."""


@dataclass
class Losses:
    """What decoding met on its way that a person should know; counted while it runs."""

    damaged_packets: int = 0
    damaged_pictures: int = 0
    untimed: int = 0
    cut_short: bool = False

    def forget(self) -> None:
        """Begin to count anew, behind what is not wanted."""
        self.damaged_packets = self.damaged_pictures = self.untimed = 0

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


class TimedPicture(NamedTuple):
    """A picture with its time."""

    tick: int
    """When it is shown. Where the container's clock jumps, this one goes on without a gap."""
    container_tick: int
    """What the container's clock says."""
    picture: VideoFrame


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


def timed_pictures(video: OpenVideo, losses: Losses, packets: Packets | None = None) -> Iterator[TimedPicture]:
    """Yield the pictures that decode, with times that strictly ascend: of the whole file, or of these packets of it.

    A single time that does not come after the one before it belongs to no frame. Where the times go on from there, the
    clock was started again, or jumped: the first picture then follows the last one by that one's duration.
    """
    shift = 0
    previous: TimedPicture | None = None
    waiting: TimedPicture | None = None
    for tick, picture in _container_times(video, losses, _packets(video, losses) if packets is None else packets):
        found = [TimedPicture(tick + shift, tick, picture)]
        if previous is not None and tick <= previous.container_tick:
            if waiting is None or tick <= waiting.container_tick:
                losses.untimed += waiting is not None
                waiting = found[0]
                continue
            found.insert(0, waiting)
            waiting = None
        losses.untimed += waiting is not None
        waiting = None
        if previous is not None and not 0 < found[0].container_tick - previous.container_tick <= longest_pause(video):
            shift = previous.tick + max(previous.picture.duration, 1) - found[0].container_tick
        for each in found:
            previous = each._replace(tick=each.container_tick + shift)
            losses.damaged_pictures += each.picture.is_corrupt
            yield previous
    losses.untimed += waiting is not None


def longest_pause(video: OpenVideo) -> Fraction | float:
    """Ticks; what is longer is a jump of the clock."""
    return _JUMP_SECONDS / time_base(video) if video.demuxer in _WITH_JUMPING_CLOCKS else math.inf


def _container_times(video: OpenVideo, losses: Losses, packets: Packets) -> Iterator[tuple[int, VideoFrame]]:
    """Yield the pictures with the times that the container has for them, in whatever order."""
    number = 0
    delay: int | None = None
    previous: int | None = None
    first: int | None = None

    def noted() -> Iterator["Packet[VideoStream] | None"]:
        nonlocal first
        for packet in packets:
            first = packet.dts if first is None and packet is not None else first
            yield packet

    for picture in _pictures(video, losses, noted()):
        if is_numbered(video):
            tick: int | None = number
        elif video.demuxer in _WITH_DECODING_TIMES:
            # A picture has the decoding time of the packet with which it came out: later by the decoder's delay. The
            # last ones come without a packet.
            if picture.dts is None:
                tick = None if previous is None else previous + 1
            else:
                delay = picture.dts - (first or 0) if delay is None else delay
                tick = picture.dts - delay
        else:
            tick = picture.pts
        number += 1
        if tick is None:
            losses.untimed += 1
            continue
        previous = tick
        yield tick, picture


def _pictures(video: OpenVideo, losses: Losses, packets: Packets) -> Iterator[VideoFrame]:
    for packet in packets:
        try:
            pictures = video.stream.decode(packet)
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise UnreadableVideoError(
                    f"{video.name}: its decoder was refused memory. A picture is larger than the header says, or this "
                    "machine has none left: run again with more memory, or convert it to H.264 first."
                ) from error
            losses.damaged_packets += 1
            continue
        yield from pictures


def _packets(video: OpenVideo, losses: Losses) -> Iterator["Packet[VideoStream] | None"]:
    """Yield the stream's packets; the last one, empty or None, makes the decoder hand out what it holds back."""
    try:
        yield from video.container.demux(video.stream)
    except av.FFmpegError:
        losses.cut_short = True
        yield None
