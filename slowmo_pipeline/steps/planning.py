"""From what probing found and the settings to a plan, and what of it cannot be, told before anything is made."""

from slowmo_pipeline.chunks.documents import MAX_NUMBER
from slowmo_pipeline.errors import SettingsError, VideoTooLargeError
from slowmo_pipeline.planning.plan import Plan, make_plan, require_fitting
from slowmo_pipeline.planning.timeline import TimeLine, frame_times
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.steps.records import shape_of
from slowmo_pipeline.video.info import VideoInfo


def plan_of(info: VideoInfo, settings: SlowMotionSettings) -> Plan:
    """The plan that follows from what probing found and the settings; nothing else enters.

    Raises what `timeline_of` raises.
    """
    return make_plan(timeline_of(info, settings), {}, frame_bytes=shape_of(info).raw_bytes)


def timeline_of(info: VideoInfo, settings: SlowMotionSettings) -> TimeLine:
    """The time line of what will be made, once it is known that it can be.

    Raises VideoTooLargeError for more new frames than the settings allow, more frames than the wire format can number,
    or frames that no endpoint takes, and SettingsError for settings that do not go with the video.
    """
    if settings.images == "jpeg" and info.depth > 8:
        raise SettingsError("images = jpeg holds 8 bits, frames of this video take more: set images to lossless.")
    source = frame_times(
        info.ticks, info.time_base, last_duration=info.last_duration_ticks, declared_rate=info.declared_rate
    )
    timeline = TimeLine(source, settings.slowdown, settings.frame_rate or source.nominal_rate)
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
    if timeline.output_count > source.count:
        require_fitting(shape_of(info).raw_bytes)
    return timeline
