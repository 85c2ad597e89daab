"""Looking at a video: decode it, or a part, once, hold it against the limits, and tell what it holds.

Imports neither NumPy nor pydantic: each upload is looked at in a process of its own, which so starts in a third of the
time (see probing.py).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.logging
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.aperture import leaves_nothing
from slowmo_pipeline.video.appearance import Appearance
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import Losses, is_numbered, time_base, timed_pictures
from slowmo_pipeline.video.description import heard
from slowmo_pipeline.video.fields.arrangement import KEPT, Arrangement, Handling, arranged
from slowmo_pipeline.video.fields.cadence import are_whole, group_at
from slowmo_pipeline.video.fields.times import Times, is_pulled_down
from slowmo_pipeline.video.fields.watch import Watch
from slowmo_pipeline.video.metadata import Metadata
from slowmo_pipeline.video.part import WHOLE, Asked, Part, frames_told
from slowmo_pipeline.video.sound_streams import sound_notes
from slowmo_pipeline.video.starts import NoStartError
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
    part: Part,
    limits: Limits,
    on_picture: Callable[[int, VideoFrame], None] | None = None,
    *,
    interlaced: Handling,
    shows_frames: bool = False,
) -> dict[str, object]:
    """Decode a part of a video, or all of it, and tell what it holds, as the JSON of a `VideoInfo`.

    `on_picture` sees every picture and its number, from 0 on again where a video is decoded twice since it may be
    interlaced; if it `shows_frames` that are made of fields, those come last, numbered by themselves. Memory does not
    grow with the length, but for the times, and for some numbers of each picture that may be interlaced.
    Raises UnreadableVideoError, VideoTooLargeError, or SettingsError for a part that is not there.
    """
    video = part.video
    watch = Watch(looks=interlaced != "keep")
    ticks: list[int] = []
    clock: list[dict[str, int]] = []
    appearance: Appearance | None = None
    last_duration = shift = 0
    for tick, container_tick, picture in part:
        _check_pixels(video.name, picture.width, picture.height, limits)
        appearance = appearance or Appearance(video, picture)
        appearance.see(len(ticks), picture)
        if not ticks or tick - container_tick != shift:
            shift = tick - container_tick
            clock.append({"frame": len(ticks), "container_tick": container_tick})
        watch.see(len(ticks), picture)
        if on_picture is not None:
            on_picture(len(ticks), picture)
        ticks.append(tick)
        _check_length(video.name, ticks, time_base(video), limits)
        last_duration = 1 if is_numbered(video) else picture.duration
    if appearance is None or len(ticks) < 2:
        raise _too_few(part, len(ticks), limits)
    metadata = Metadata(video, clock[0]["container_tick"] * time_base(video))
    pictures = Times(ticks, time_base(video), last_duration if last_duration > 0 else None, _declared_rate(video))

    def again() -> Iterator[VideoFrame]:
        return part.again(ticks[0], len(ticks))

    found = arranged(video.name, pictures, watch, interlaced, lambda: _seen(again(), on_picture))
    _check_length(video.name, found.times.ticks, found.times.time_base, limits)
    if shows_frames and found.runs is not None and not are_whole(found.runs):
        from slowmo_pipeline.video.fields.frames import frames_of  # NumPy

        frames = frames_of(again(), found.runs, top_first=found.top_first)
        deque(_seen(frames, on_picture), maxlen=0)
    return {
        **_description(video, appearance, metadata),
        **_times(found, pictures, clock if len(clock) > 1 or shift else [], part.record()),
        "notes": [*_notes(video, appearance, metadata), *found.notes, *_jumps(clock, ticks, time_base(video))],
        "losses": list(part.losses.notes()),
    }


def _seen(pictures: Iterable[VideoFrame], on_picture: Callable[[int, VideoFrame], None] | None) -> Iterator[VideoFrame]:
    for number, picture in enumerate(pictures):
        if on_picture is not None:
            on_picture(number, picture)
        yield picture


def _times(
    found: Arrangement, pictures: Times, clock: Sequence[Mapping[str, int]], part: Mapping[str, Any] | None
) -> dict[str, object]:
    """When frames are shown: what is told of pictures, for the frames that they make."""
    times, runs = found.times, found.runs
    finer = int(pictures.time_base / times.time_base)

    def stretch(picture: int, container_tick: int) -> dict[str, int]:
        frame = picture if runs is None else group_at(runs, picture)
        after = times.ticks[frame] - finer * pictures.ticks[picture]
        return {"frame": frame, "container_tick": finer * container_tick + after}

    return {
        "time_base": str(times.time_base),
        "ticks": runs_of_steps(times.ticks),
        "last_duration_ticks": times.last_duration,
        "declared_rate": str(times.declared_rate) if times.declared_rate else None,
        "clock": [stretch(each["frame"], each["container_tick"]) for each in clock],
        "part": part
        and {
            **part,
            "clip_tick": finer * part["clip_tick"],
            "usual_gap": round(Fraction(finer * part["usual_gap"] * len(pictures.ticks), len(times.ticks))),
        },
        "fields": runs
        and {
            "top_first": found.top_first,
            "first_tick": pictures.ticks[0],
            "runs": [run._asdict() for run in runs],
        },
    }


def survey(
    video: OpenVideo, again: OpenVideo, asked: Asked, limits: Limits, *, interlaced: Handling
) -> dict[str, object]:
    """The same as `examine`, told by packets alone but for one picture.

    What is damaged is not noticed, nor what is combed without being marked. Takes the file opened twice. Raises
    NoStartError where that does not tell it surely, and what `examine` raises.
    """
    found = next(timed_pictures(again, Losses()), None)
    if found is None or (found.picture.interlaced_frame and interlaced != "keep"):
        raise NoStartError
    ticks, last_duration, part = frames_told(video, asked, found)
    if len(ticks) < 2:
        raise NoStartError
    pictures = Times(ticks, time_base(video), last_duration or None, _declared_rate(video))
    if interlaced != "keep" and is_pulled_down(pictures):
        raise NoStartError
    _check_length(video.name, ticks, time_base(video), limits)
    appearance, metadata = Appearance(video, found.picture), Metadata(video, ticks[0] * time_base(video))
    appearance.see(0, found.picture)
    return {
        **_description(video, appearance, metadata),
        **_times(Arrangement(pictures), pictures, [], part),
        "notes": [*_notes(video, appearance, metadata), *([KEPT] if found.picture.interlaced_frame else [])],
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
    longer = "Put a longer clip in its place."
    if part.asked != WHOLE:
        found, longer = f"{found} in the part that is asked for", "Ask for a longer one."
    reason = f"{name} holds {found}: there is nothing to put new frames between. {longer}"
    return UnreadableVideoError(" ".join((reason, *part.losses.notes())))


def _description(video: OpenVideo, appearance: Appearance, metadata: Metadata) -> dict[str, object]:
    return {
        **appearance.found(),
        **metadata.found(),
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


def _declared_rate(video: OpenVideo) -> Fraction | None:
    """What a file says, unless that is no rate."""
    rate = video.stream.guessed_rate
    return rate if rate is not None and rate > 0 else None


def _notes(video: OpenVideo, appearance: Appearance, metadata: Metadata) -> Iterator[str]:
    if video.video_streams > 1:
        yield f"{video.video_streams} video streams: the first is used."
    yield from sound_notes(video)
    if is_numbered(video):
        yield "The stream carries no times: its frames are numbered by the rate that it declares."
    yield from appearance.notes()
    yield from metadata.notes()


def _check_pixels(name: str, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise VideoTooLargeError(
            f"{name} is {width}x{height}, {width * height} pixels; the setting max_pixels allows {limits.max_pixels}."
        )


def _check_length(name: str, ticks: Sequence[int], seconds_per_tick: Fraction, limits: Limits) -> None:
    if len(ticks) > limits.max_frames:
        raise VideoTooLargeError(f"{name} has more frames than the setting max_frames allows, {limits.max_frames}.")
    if (ticks[-1] - ticks[0]) * seconds_per_tick > limits.max_seconds:
        raise VideoTooLargeError(f"{name} is longer than the setting max_seconds allows, {limits.max_seconds} s.")
