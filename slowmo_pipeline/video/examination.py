"""Looking at a video: decode it, or a part, once, hold it against the limits, and tell what it holds.

Imports neither NumPy nor pydantic: each upload is looked at in a process of its own, which so starts in a third of the
time (see probing.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av.logging
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.aperture import NOTHING, crop_in, leaves_nothing
from slowmo_pipeline.video.changes import Changes
from slowmo_pipeline.video.colour import Headroom
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import Losses, is_numbered, time_base, timed_pictures
from slowmo_pipeline.video.description import described, heard
from slowmo_pipeline.video.headroom import HeadroomMeter
from slowmo_pipeline.video.part import WHOLE, Asked, Part, frames_told
from slowmo_pipeline.video.sound_streams import sound_notes
from slowmo_pipeline.video.starts import NoStartError
from slowmo_pipeline.video.ticks import runs_of_steps
from slowmo_pipeline.video.traits import UPRIGHT, orientation_of, tags_of


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
    part: Part, limits: Limits, on_picture: Callable[[int, VideoFrame], None] | None = None
) -> dict[str, object]:
    """Decode a part of a video once, or all of it, and tell what it holds, as the JSON of a `VideoInfo`.

    Memory does not grow with its length, but for the frame times. `on_picture` sees every frame's number and its
    decoded picture. Raises UnreadableVideoError, VideoTooLargeError, or SettingsError for a part that is not there.
    """
    video = part.video
    ticks: list[int] = []
    clock: list[dict[str, int]] = []
    changes: Changes | None = None
    headroom = HeadroomMeter()
    last_duration = shift = 0
    for tick, container_tick, picture in part:
        _check_pixels(video.name, picture.width, picture.height, limits)
        changes = changes or Changes(video.name, picture)
        changes.follow(len(ticks), picture)
        if not ticks or tick - container_tick != shift:
            shift = tick - container_tick
            clock.append({"frame": len(ticks), "container_tick": container_tick})
        if on_picture is not None:
            on_picture(len(ticks), picture)
        headroom.see(picture)
        ticks.append(tick)
        _check_length(video.name, ticks, time_base(video), limits)
        last_duration = 1 if is_numbered(video) else picture.duration
    if changes is None or len(ticks) < 2:
        raise _too_few(part, len(ticks), limits)
    return {
        **_description(video, changes, headroom.needed),
        "time_base": str(time_base(video)),
        "ticks": runs_of_steps(ticks),
        "last_duration_ticks": last_duration if last_duration > 0 else None,
        "clock": clock if len(clock) > 1 or shift else [],
        "part": part.record(),
        "notes": [*_notes(video, changes, headroom.needed), *_jumps(clock, ticks, time_base(video))],
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
    looked = Changes(video.name, found.picture)
    looked.follow(0, found.picture)
    where = {"first_frame": first_frame, "clip_tick": clip_tick, "usual_gap": usual_gap, "start": []}
    return {
        **_description(video, looked, "none"),
        "time_base": str(time_base(video)),
        "ticks": runs_of_steps(ticks),
        "last_duration_ticks": last_duration or None,
        "part": None if asked == WHOLE else {"begin": begin, "end": end, **where},
        "notes": list(_notes(video, looked, "none")),
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


def _description(video: OpenVideo, changes: Changes, needed: Headroom) -> dict[str, object]:
    first = changes.first
    # Codes that change their meaning cannot travel as what they are.
    headroom = "none" if changes.in_meaning else needed
    crop = _crop(video, first) or NOTHING
    orientation = orientation_of(first) or UPRIGHT
    width, height = first.width - crop["left"] - crop["right"], first.height - crop["top"] - crop["bottom"]
    turned = orientation.swaps_sides
    pixel_shape = _positive(video.stream.sample_aspect_ratio) or Fraction(1)
    declared_rate = _positive(video.stream.guessed_rate)
    return {
        "width": height if turned else width,
        "height": width if turned else height,
        "crop": crop,
        "depth": 8 if changes.bits <= 8 and headroom != "colours" else 16,
        "headroom": headroom,
        "source_bits": changes.bits,
        "pixel_format": first.format.name,
        "sample_aspect_ratio": str(1 / pixel_shape if turned else pixel_shape),
        "rotation": orientation.rotation,
        "mirrored": orientation.mirrored,
        "colour": tags_of(first),
        "colours_change": changes.in_meaning,
        "declared_rate": str(declared_rate) if declared_rate else None,
        "codec": video.stream.codec_context.name,
        "container": video.demuxer,
        "has_sound": video.sound_streams > 0,
        "creation_time": video.container.metadata.get("creation_time"),
    }


def _crop(video: OpenVideo, first: VideoFrame) -> Mapping[str, int] | None:
    """What the container asks to leave out; None where that does not lie inside of the picture."""
    return crop_in(described(video), video.warnings, width=first.width, height=first.height)


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


def _notes(video: OpenVideo, changes: Changes, headroom: Headroom) -> Iterator[str]:
    if video.video_streams > 1:
        yield f"{video.video_streams} video streams: the first is used."
    yield from sound_notes(video)
    if is_numbered(video):
        yield "The stream carries no times: its frames are numbered by the rate that it declares."
    if changes.first.interlaced_frame:
        yield "The frames are interlaced and used as they are: deinterlace the source for a better result."
    if changes.has_alpha:
        yield "The alpha channel is dropped."
    if orientation_of(changes.first) is None:
        yield "The source asks for a rotation that is no quarter turn: it is not rotated."
    if _crop(video, changes.first) is None:
        yield "The container asks for a crop that does not lie inside of the picture: it is not cropped."
    yield from changes.notes()
    if headroom != "none" and changes.in_meaning:
        yield "What is blacker than black or whiter than white is clipped, since the meaning of the codes changes."
    elif headroom == "colours":
        yield "Colours outside of RGB's are kept: the frames travel in 16 bits."


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
