"""From what probing found and the settings to a plan, and what of it cannot be, told before anything is made."""

from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from slowmo_pipeline.chunks.documents import MAX_NUMBER, fits_on_the_wire
from slowmo_pipeline.errors import SettingsError, VideoTooLargeError
from slowmo_pipeline.planning.clock import FrameTimes, frame_times
from slowmo_pipeline.planning.plan import Plan, make_plan, require_fitting
from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import Track, make_track
from slowmo_pipeline.planning.warp import Speed, Warp, even_warp, ramped_warp
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.settings.quantities import Moment, SpeedPart, part_text
from slowmo_pipeline.steps.records import shape_of
from slowmo_pipeline.video.info import VideoInfo

CUT = "scene cut"
JUMP = "time stamps jump"
"""The reasons for which a gap is repeated, beside stills."""


def plan_of(info: VideoInfo, settings: SlowMotionSettings) -> Plan:
    """The plan that follows from what probing found and the settings; nothing else enters.

    Raises what `timeline_of` raises.
    """
    return make_plan(timeline_of(info, settings), frame_bytes=shape_of(info).raw_bytes)


def timeline_of(info: VideoInfo, settings: SlowMotionSettings) -> TimeLine:
    """The time line of what will be made, once it is known that it can be.

    Raises VideoTooLargeError for more new frames than the settings allow, more frames than the wire format can number,
    or frames that no endpoint takes, and SettingsError for settings that do not go with the video.
    """
    if settings.images == "jpeg" and info.depth > 8:
        raise SettingsError("images = jpeg holds 8 bits, frames of this video take more: set images to lossless.")
    times = frame_times(
        info.ticks,
        info.time_base,
        last_duration=info.last_duration_ticks,
        declared_rate=info.declared_rate,
        usual_gap=info.part.usual_gap if info.part else None,
        starts=[stretch.frame for stretch in info.stretches],
    )
    track = make_track(
        times,
        broken=dict(_broken(info, settings)),
        duplicates=set(info.duplicates) if settings.duplicates == "replace" else (),
        longest_gap=settings.longest_gap,
    )
    warp = _warp(_Clock(info, times), track, settings)
    timeline = TimeLine(track, warp, settings.frame_rate or times.rate, settings.originals == "keep")
    _check_size(timeline, info, settings)
    # Repeated intervals want nothing, so that they change no time.
    if not (track.shows_all and warp.is_even and warp.source_begin == 0):
        _check_digits(timeline)
    return timeline


def replaced_duplicates(info: VideoInfo, timeline: TimeLine) -> int:
    """How many frames give way to motion."""
    return info.frame_count - len(set(timeline.track.frames))


class HeldInterval(NamedTuple):
    """Where a frame is repeated up to the next one."""

    anchor: int
    reason: str
    frame: int
    outputs: range
    """At least one."""
    score: float | None
    """Of a scene cut, 0 to 100."""


def held_intervals(info: VideoInfo, timeline: TimeLine) -> Iterator[HeldInterval]:
    """The repeated intervals of which the result shows something, in order."""
    for anchor, reason in timeline.track.repeats.items():
        frame, outputs = timeline.track.frames[anchor], timeline.outputs_of(anchor)
        if outputs:
            scored = reason == CUT and frame < len(info.cut_scores)
            yield HeldInterval(anchor, reason, frame, outputs, info.cut_scores[frame] if scored else None)


def _broken(info: VideoInfo, settings: SlowMotionSettings) -> Iterator[tuple[int, str]]:
    if settings.cuts != "off":
        yield from ((gap, CUT) for gap, score in enumerate(info.cut_scores) if score >= settings.cuts)
    yield from ((stretch.frame - 1, JUMP) for stretch in info.stretches if stretch.frame > 0)


class _Clock:
    """Tells moments of the clip in seconds after the first frame that was decoded.

    They are those of the nearest frames, where one lies within a usual gap: clips are cut at frames.
    """

    def __init__(self, info: VideoInfo, times: FrameTimes) -> None:
        self._times = times
        self._info = info
        self._first_picture = info.part.first_frame if info.part else 0
        self._first_second = (info.ticks[0] - info.clip_tick) * info.time_base

    def seconds(self, moment: Moment) -> Fraction:
        ticks = self._times.ticks
        if not isinstance(moment, int):
            seconds = moment - self._first_second
            place = bisect_left(ticks, seconds / self._times.time_base)
            near = [tick * self._times.time_base for tick in (*ticks[max(place - 1, 0) : place + 1], self._times.end)]
            nearest = min(near, key=lambda time: abs(time - seconds))
            return nearest if abs(nearest - seconds) < self._times.usual_gap * self._times.time_base else seconds
        # Numbers count pictures, as players do.
        number = self._info.frame_at(moment - self._first_picture)
        # Beyond the frames that were decoded any moment will do that lies there.
        tick = number if number < 0 else ticks[number] if number < len(ticks) else self._times.end + number - len(ticks)
        return tick * self._times.time_base


def _warp(clock: _Clock, track: Track, settings: SlowMotionSettings) -> Warp:
    begin = Fraction(0) if settings.from_ is None else max(clock.seconds(settings.from_), Fraction(0))
    end = track.duration if settings.to is None else min(clock.seconds(settings.to), track.duration)
    if end <= begin:
        raise SettingsError("Nothing lies between from and to: let to lie after from.")
    if settings.speed is None:
        return even_warp(1 / settings.slowdown, begin, end)
    speeds = list(_speeds(clock, settings.speed, begin, end))
    try:
        return ramped_warp(speeds, ease=settings.ease)
    except ValueError as error:
        raise SettingsError(
            f"speed and ease do not go together: {error}. Ease less, or let the part last longer."
        ) from None


def _speeds(clock: _Clock, parts: tuple[SpeedPart, ...], begin: Fraction, end: Fraction) -> Iterator[Speed]:
    """Speeds from begin to end without a hole: what no part names plays at speed 1."""
    spans = [(clock.seconds(part.begin), end if part.end is None else clock.seconds(part.end)) for part in parts]
    for (one, other), (before, after) in zip(pairwise(parts), pairwise(spans), strict=True):
        if after[0] < before[1]:
            raise SettingsError(f"speed: {part_text(other)} begins before {part_text(one)} ends.")
    reached = begin
    for part, (first, last) in zip(parts, spans, strict=True):
        if first >= end or last <= first:
            raise SettingsError(
                f"speed: {part_text(part)} lies behind the end, or holds nothing: what is made lasts "
                f"{float(end - begin):.6g} s."
            )
        first, last = max(first, reached), min(last, end)
        if last <= first:
            continue
        if first > reached:
            yield Speed(reached, first, Fraction(1))
        yield Speed(first, last, part.speed)
        reached = last
    if reached < end:
        yield Speed(reached, end, Fraction(1))


def _check_size(timeline: TimeLine, info: VideoInfo, settings: SlowMotionSettings) -> None:
    if timeline.output_count > MAX_NUMBER:
        raise VideoTooLargeError(
            f"The result would have {timeline.output_count} frames, allowed are {MAX_NUMBER}: lower the slowdown or "
            "the frame rate."
        )
    # Counting the new ones may take minutes; there are no more of them than outputs.
    if timeline.output_count > settings.max_new_frames < timeline.new_count:
        raise VideoTooLargeError(
            f"{timeline.new_count} new frames would be made; the setting max_new_frames allows "
            f"{settings.max_new_frames}. Lower the slowdown or the frame rate, or raise that setting: in settings.json "
            f"at the root of the storage, in the launchpad, or by --limit max_new_frames={timeline.new_count}."
        )
    if timeline.output_count > timeline.track.count:
        require_fitting(shape_of(info).raw_bytes)


def _check_digits(timeline: TimeLine) -> None:
    """Refuse times that a chunk cannot spell."""
    track = timeline.track
    for anchor in range(track.count - 1):
        for output in timeline.new_outputs_of(anchor):
            if not fits_on_the_wire(timeline.t(anchor, output)):
                raise SettingsError(
                    f"Output frame {output} would lie at a time of more than 18 digits: choose rounder numbers for "
                    "speed, ease, from, to or frame_rate."
                )
