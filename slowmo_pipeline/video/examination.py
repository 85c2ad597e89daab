"""Looking at a video: decode it, or a part, once, hold it against the limits, and tell what it holds.

Imports neither NumPy nor pydantic: each upload is looked at in a process of its own, which so starts in a third of the
time (see probing.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import Losses, is_numbered, time_base, timed_pictures
from slowmo_pipeline.video.part import WHOLE, Asked, Part, frames_told
from slowmo_pipeline.video.starts import NoStartError
from slowmo_pipeline.video.ticks import runs_of_steps
from slowmo_pipeline.video.traits import UPRIGHT, bits_of, converts, has_alpha, orientation_of, tags_of


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
    with open_video(path, max_pixels=limits.max_pixels) as video:
        _check_pixels(video.name, video.stream.width, video.stream.height, limits)
        yield video


def examine(
    part: Part, limits: Limits, on_picture: Callable[[int, VideoFrame], None] | None = None
) -> dict[str, object]:
    """Decode a part of a video once, or all of it, and tell what it holds, as the JSON of a `VideoInfo`.

    Memory does not grow with its length, but for the frame times. `on_picture` sees every frame's number and its
    decoded picture. Raises UnreadableVideoError, VideoTooLargeError, or SettingsError for a part that is not there.
    """
    video = part.video
    ticks: list[int] = []
    clock: list[dict[str, int]] = []
    first: VideoFrame | None = None
    last_duration = shift = 0
    for tick, container_tick, picture in part:
        first = first or picture
        _check_picture(video.name, len(ticks), picture, first, limits)
        if not ticks or tick - container_tick != shift:
            shift = tick - container_tick
            clock.append({"frame": len(ticks), "container_tick": container_tick})
        if on_picture is not None:
            on_picture(len(ticks), picture)
        ticks.append(tick)
        _check_length(video.name, ticks, time_base(video), limits)
        last_duration = 1 if is_numbered(video) else picture.duration
    if first is None or len(ticks) < 2:
        raise _too_few(part, len(ticks), limits)
    return {
        **_description(video, first),
        "time_base": str(time_base(video)),
        "ticks": runs_of_steps(ticks),
        "last_duration_ticks": last_duration if last_duration > 0 else None,
        "clock": clock if len(clock) > 1 or shift else [],
        "part": part.record(),
        "notes": [*_notes(video, first), *_jumps(clock, ticks, time_base(video))],
        "losses": list(part.losses.notes()),
    }


def survey(video: OpenVideo, again: OpenVideo, asked: Asked, limits: Limits) -> dict[str, object]:
    """The same as `examine`, told by packets alone but for one picture: what is damaged is not noticed.

    Takes the file opened twice. Raises NoStartError where that does not tell it surely, and what `examine` raises.
    """
    found = next(timed_pictures(again, Losses()), None)
    if found is None or found.picture.interlaced_frame:
        raise NoStartError
    ticks, last_duration, first_frame, clip_tick, usual_gap = frames_told(video, asked, found)
    if len(ticks) < 2:
        raise NoStartError
    _check_length(video.name, ticks, time_base(video), limits)
    begin, end = asked.texts
    where = {"first_frame": first_frame, "clip_tick": clip_tick, "usual_gap": usual_gap, "start": []}
    return {
        **_description(video, found.picture),
        "time_base": str(time_base(video)),
        "ticks": runs_of_steps(ticks),
        "last_duration_ticks": last_duration or None,
        "part": None if asked == WHOLE else {"begin": begin, "end": end, **where},
        "notes": list(_notes(video, found.picture)),
        "losses": [],
    }


def _too_few(part: Part, count: int, limits: Limits) -> Exception:
    name = part.video.name
    found = "one frame only" if count else "no frame that decodes"
    if (claimed := part.video.stream.frames) > limits.max_frames:
        # libavformat builds no index of more than 2 GiB, and goes on without one.
        return VideoTooLargeError(
            f"{name} holds {found}, but claims {claimed}; the setting max_frames allows {limits.max_frames}."
        )
    if part.asked != WHOLE:
        found = f"{found} in the part that is asked for"
    reason = f"{name} holds {found}: there is nothing to put new frames between."
    return UnreadableVideoError(" ".join((reason, *part.losses.notes())))


def _description(video: OpenVideo, first: VideoFrame) -> dict[str, object]:
    colour = tags_of(first)
    if not converts(colour["matrix"], first.format):
        raise UnreadableVideoError(
            f"{video.name}: the colour matrix {colour['matrix']} is not known. Convert it first."
        )
    orientation = orientation_of(first) or UPRIGHT
    turned = orientation.swaps_sides
    pixel_shape = _positive(video.stream.sample_aspect_ratio) or Fraction(1)
    declared_rate = _positive(video.stream.guessed_rate)
    return {
        "width": first.height if turned else first.width,
        "height": first.width if turned else first.height,
        "depth": 8 if bits_of(first.format) <= 8 else 16,
        "source_bits": bits_of(first.format),
        "pixel_format": first.format.name,
        "sample_aspect_ratio": str(1 / pixel_shape if turned else pixel_shape),
        "rotation": orientation.rotation,
        "mirrored": orientation.mirrored,
        "colour": colour,
        "declared_rate": str(declared_rate) if declared_rate else None,
        "codec": video.stream.codec_context.name,
        "container": video.demuxer,
        "has_sound": video.sound_streams > 0,
        "creation_time": video.container.metadata.get("creation_time"),
    }


def _jumps(clock: Sequence[Mapping[str, int]], ticks: Sequence[int], time_base: Fraction) -> Iterator[str]:
    places = [f"frame {each['frame']} ({_seconds(ticks, each['frame'], time_base)} s)" for each in clock[1:]]
    if places:
        told = ", ".join(places[:5]) + (f" and {len(places) - 5} more" if len(places) > 5 else "")
        yield f"The time stamps start again or jump at {told}: what follows is put right behind what was before."


def _seconds(ticks: Sequence[int], frame: int, time_base: Fraction) -> str:
    return f"{float((ticks[frame] - ticks[0]) * time_base):.3f}"


def _positive(number: Fraction | None) -> Fraction | None:
    """What a file says, unless that is no size or rate."""
    return number if number is not None and number > 0 else None


def _notes(video: OpenVideo, first: VideoFrame) -> Iterator[str]:
    if video.video_streams > 1:
        yield f"{video.video_streams} video streams: the first is used."
    if video.sound_streams > 1:
        yield f"{video.sound_streams} sound streams: the first is used."
    if is_numbered(video):
        yield "The stream carries no times: its frames are numbered by the rate that it declares."
    if has_alpha(first.format):
        yield "The alpha channel is dropped."
    if first.interlaced_frame:
        yield "The frames are interlaced and used as they are: deinterlace the source for a better result."
    if orientation_of(first) is None:
        yield "The source asks for a rotation that is no quarter turn: it is not rotated."


def _check_pixels(name: str, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise VideoTooLargeError(
            f"{name} is {width}x{height}, {width * height} pixels; the setting max_pixels allows {limits.max_pixels}."
        )


def _check_picture(name: str, number: int, picture: VideoFrame, first: VideoFrame, limits: Limits) -> None:
    _check_pixels(name, picture.width, picture.height, limits)
    if (picture.width, picture.height) != (first.width, first.height):
        raise UnreadableVideoError(
            f"{name} changes from {first.width}x{first.height} to {picture.width}x{picture.height} at frame {number}: "
            "split it there."
        )


def _check_length(name: str, ticks: list[int], seconds_per_tick: Fraction, limits: Limits) -> None:
    if len(ticks) > limits.max_frames:
        raise VideoTooLargeError(f"{name} has more frames than the setting max_frames allows, {limits.max_frames}.")
    if (ticks[-1] - ticks[0]) * seconds_per_tick > limits.max_seconds:
        raise VideoTooLargeError(f"{name} is longer than the setting max_seconds allows, {limits.max_seconds} s.")
