"""Looking at a video: decode it once, hold it against the limits, and tell what it holds.

Imports neither NumPy nor pydantic: each upload is looked at in a process of its own, which so starts in a third of the
time (see probing.py).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av.logging
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.aperture import leaves_nothing
from slowmo_pipeline.video.appearance import Appearance
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import Losses, is_numbered, time_base, timed_pictures
from slowmo_pipeline.video.description import heard
from slowmo_pipeline.video.metadata import Metadata
from slowmo_pipeline.video.ticks import runs_of_steps


@dataclass(frozen=True)
class Limits:
    """How large a video may be."""

    max_bytes: int
    max_pixels: int
    """Width times height."""
    max_frames: int
    max_seconds: int
    """From the first frame to the last."""


@contextmanager
def open_within(path: Path, limits: Limits) -> Iterator[OpenVideo]:
    """Open a file that keeps to the limits as far as its size and its header tell. Raises what `open_video` raises."""
    if (size := path.stat().st_size) > limits.max_bytes:
        raise VideoTooLargeError(f"{path.name} has {size} bytes; the setting max_bytes allows {limits.max_bytes}.")
    with ExitStack() as stack:
        try:
            with heard(av.logging.WARNING) as said:
                video = stack.enter_context(open_video(path, max_pixels=limits.max_pixels))
        except UnreadableVideoError as error:
            if leaves_nothing(said):
                raise UnreadableVideoError(
                    f"{path.name} asks for a crop that leaves nothing of its picture: take it out. (Its elements are "
                    "PixelCropLeft, Right, Top and Bottom.)"
                ) from error
            raise
        _check_pixels(video.name, video.stream.width, video.stream.height, limits)
        yield replace(video, warnings=tuple(said))


def examine(
    video: OpenVideo, limits: Limits, on_picture: Callable[[int, VideoFrame], None] | None = None
) -> dict[str, object]:
    """Decode a video once and tell what it holds, as the JSON of a `VideoInfo`.

    Memory does not grow with its length, but for the frame times. `on_picture` sees every frame's number and its
    decoded picture. Raises UnreadableVideoError or VideoTooLargeError.
    """
    losses = Losses()
    ticks: list[int] = []
    appearance: Appearance | None = None
    last_duration = 0
    for tick, picture in timed_pictures(video, losses):
        _check_pixels(video.name, picture.width, picture.height, limits)
        appearance = appearance or Appearance(video, picture)
        appearance.see(len(ticks), picture)
        if on_picture is not None:
            on_picture(len(ticks), picture)
        ticks.append(tick)
        _check_length(video.name, ticks, time_base(video), limits)
        last_duration = 1 if is_numbered(video) else picture.duration
    if appearance is None or len(ticks) < 2:
        found = "one frame only" if ticks else "no frame that decodes"
        if (claimed := video.stream.frames) > limits.max_frames:
            # libavformat builds no index of more than 2 GiB, and goes on without one.
            raise VideoTooLargeError(
                f"{video.name} holds {found}, but claims {claimed}; the setting max_frames allows {limits.max_frames}."
            )
        reason = f"{video.name} holds {found}: there is nothing to put new frames between."
        raise UnreadableVideoError(" ".join((reason, *losses.notes())))
    return _describe(video, appearance, ticks, last_duration, losses)


def _describe(
    video: OpenVideo, appearance: Appearance, ticks: list[int], last_duration: int, losses: Losses
) -> dict[str, object]:
    declared_rate = _positive(video.stream.guessed_rate)
    metadata = Metadata(video, ticks[0] * time_base(video))
    return {
        **appearance.found(),
        **metadata.found(),
        "time_base": str(time_base(video)),
        "ticks": runs_of_steps(ticks),
        "last_duration_ticks": last_duration if last_duration > 0 else None,
        "declared_rate": str(declared_rate) if declared_rate else None,
        "codec": video.stream.codec_context.name,
        "container": video.demuxer,
        "has_sound": video.sound_streams > 0,
        "creation_time": video.container.metadata.get("creation_time"),
        "notes": [*_notes(video), *appearance.notes(), *metadata.notes()],
        "losses": list(losses.notes()),
    }


def _positive(number: Fraction | None) -> Fraction | None:
    """What a file says, unless that is no size or rate."""
    return number if number is not None and number > 0 else None


def _notes(video: OpenVideo) -> Iterator[str]:
    if video.video_streams > 1:
        yield f"{video.video_streams} video streams: the first is used."
    if video.sound_streams > 1:
        yield f"{video.sound_streams} sound streams: the first is used."
    if is_numbered(video):
        yield "The stream carries no times: its frames are numbered by the rate that it declares."


def _check_pixels(name: str, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise VideoTooLargeError(
            f"{name} is {width}x{height}, {width * height} pixels; the setting max_pixels allows {limits.max_pixels}."
        )


def _check_length(name: str, ticks: list[int], seconds_per_tick: Fraction, limits: Limits) -> None:
    if len(ticks) > limits.max_frames:
        raise VideoTooLargeError(f"{name} has more frames than the setting max_frames allows, {limits.max_frames}.")
    if (ticks[-1] - ticks[0]) * seconds_per_tick > limits.max_seconds:
        raise VideoTooLargeError(f"{name} is longer than the setting max_seconds allows, {limits.max_seconds} s.")
