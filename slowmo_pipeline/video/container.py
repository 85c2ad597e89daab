"""Opening a file that anybody may have uploaded: real video containers only, and nothing but the file itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError

DEMUXERS = (
    *("mov", "matroska", "mpegts", "mpeg", "avi", "flv", "ogg", "asf", "mxf"),  # "mov" is MP4 too, "matroska" WebM
    *("gif", "dv", "nut", "ivf", "yuv4mpegpipe", "mpegvideo", "h264", "hevc"),
)
"""ffmpeg's demuxers that are allowed. Playlists (HLS, DASH, concat, SDP) and image sequences are not among them: they
name other files and addresses, which ffmpeg would fetch on behalf of whoever uploaded them."""

MAX_STREAMS = 100
"""Streams that a file may have: libavformat opens a decoder for each, which takes up to a megabyte."""

INPUT_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(DEMUXERS),
    # One more is seen: some demuxers fail at the first that is too many, others leave it out.
    "max_streams": str(MAX_STREAMS + 1),
}
"""libavformat's options for every file that is not our own, here and for the ffmpeg binary."""

_TIMEOUT_SECONDS = 60


def input_url(path: Path) -> str:
    """The path as ffmpeg must be given it: a bare `concat:a|b` or `http:x` would be taken for a protocol."""
    return f"file:{path.absolute()}"


@dataclass(frozen=True)
class OpenVideo:
    """A file being read."""

    path: Path
    container: InputContainer
    stream: VideoStream
    """The first video stream."""
    warnings: tuple[str, ...] = ()
    """What libavformat said while it opened the file, if somebody listened."""

    @property
    def name(self) -> str:
        """For messages."""
        return self.path.name

    @property
    def video_streams(self) -> int:
        """How many there are; cover pictures do not count."""
        return len(_video_streams(self.container))

    @property
    def sound_streams(self) -> int:
        """How many there are."""
        return len(self.container.streams.audio)

    @property
    def demuxer(self) -> str:
        """ffmpeg's name of the container."""
        return self.container.format.name


@contextmanager
def open_video(path: Path, *, max_pixels: int) -> Iterator[OpenVideo]:
    """Open a file whose decoder will refuse pictures much larger than `max_pixels`.

    Raises UnreadableVideoError, VideoTooLargeError, or OSError if the file cannot be read at all.
    """
    # Demuxers fail with the numbers of system calls too, "Operation not permitted" say: whether the file itself can be
    # read must be known before.
    with path.open("rb") as file:
        if not file.read(1):
            raise UnreadableVideoError(f"{path.name} is empty: upload it again.")
    # Decoders work on padded pictures, and count the padding.
    codec_options = {"max_pixels": str(2 * max_pixels + 2**16)}
    try:
        container = av.open(
            input_url(path),
            "r",
            options=codec_options,
            container_options=INPUT_OPTIONS,
            metadata_errors="replace",
            timeout=_TIMEOUT_SECONDS,
        )
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise _too_many_streams(path.name) from error
        raise UnreadableVideoError(
            f"{path.name} is not a video that can be read: it is of another kind, damaged, or cut off (an MP4 that "
            "was not finished has no index). Put a whole one in its place; MP4, MOV, MKV, WebM, TS, AVI and the like "
            "are read."
        ) from error
    with container:
        if len(container.streams) > MAX_STREAMS:
            raise _too_many_streams(path.name)
        streams = _video_streams(container)
        if not streams:
            raise UnreadableVideoError(f"{path.name} holds no video stream: upload a file with pictures.")
        stream = streams[0]
        if stream.codec_context is None:
            raise UnreadableVideoError(f"{path.name}: no decoder for its video is known. Convert it to H.264 first.")
        stream.codec_context.options = codec_options
        # Without it the left edge of what H.264 and H.265 crop is rounded to whole vectors, and the picture is wider.
        stream.codec_context.flags |= Flags.unaligned
        # Not frame threads: with those, an error takes the frames of other packets with it.
        stream.thread_type = "SLICE"
        yield OpenVideo(path, container, stream)


def _too_many_streams(name: str) -> VideoTooLargeError:
    return VideoTooLargeError(
        f"{name} holds more than {MAX_STREAMS} streams, or is damaged: put its first video and sound stream into a new "
        "file."
    )


def _video_streams(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
