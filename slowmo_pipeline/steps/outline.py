"""What making a video would come to, told before anything is spent."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from rich.filesize import decimal

from slowmo_pipeline.endpoint.prices import priced
from slowmo_pipeline.endpoint.record import served_now
from slowmo_pipeline.planning.plan import Plan
from slowmo_pipeline.planning.track import STILL
from slowmo_pipeline.planning.warp import Segment
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.steps.cut import stored_bytes
from slowmo_pipeline.steps.measured_speed import speed_now
from slowmo_pipeline.steps.planning import CUT, JUMP, plan_of, replaced_duplicates
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.video.info import VideoInfo


@dataclass(frozen=True)
class Outline:
    """A plan, and what making it would take."""

    info: VideoInfo
    plan: Plan
    seconds: float | None
    """Of the endpoint's work; None where no video was measured yet."""
    instance_type: str | None
    """Of SageMaker; None: a machine that costs nothing more."""

    def lines(self) -> Iterator[tuple[str, str]]:
        """Names and facts, for people."""
        timeline, track = self.plan.timeline, self.plan.timeline.track
        warp, reasons = timeline.warp, Counter(timeline.track.repeats.values())
        shown = warp.source_end - warp.source_begin
        yield "frames in", f"{self.info.frame_count} at {track.times.rate}/s, {float(shown):.3f} s of them made"
        yield "frames out", f"{timeline.output_count} at {timeline.frame_rate}/s, {float(timeline.duration):.3f} s"
        yield "new frames", f"{self.plan.new_frame_count} in {len(self.plan.chunks)} chunks"
        yield "cuts", f"{reasons[CUT]} held" if self.info.cut_scores else "not looked for"
        if reasons[STILL] or reasons[JUMP]:
            yield "holds", f"stills: {reasons[STILL]}, jumps of the time stamps: {reasons[JUMP]}"
        if replaced := replaced_duplicates(self.info, timeline):
            yield "duplicates", f"{replaced} replaced"
        if len(warp.segments) > 1:
            begin = (self.info.ticks[0] - self.info.clip_tick) * self.info.time_base
            yield "speeds", ", ".join(_speed_text(segment, begin) for segment in warp.segments)
        yield "storage", f"about {decimal(stored_bytes(self.plan, self.plan.chunks, self.info))} for a while"
        yield "endpoint", self._work()
        yield from (("note", note) for note in (*self.info.notes, *self.info.losses))

    def _work(self) -> str:
        if not self.plan.chunks:
            return "nothing to do"
        if self.seconds is None:
            return "its speed is not known until it has finished a video"
        return priced(f"about {timedelta(seconds=round(self.seconds))} of work", self.seconds, self.instance_type)


def outline(storage: Storage, info: VideoInfo, settings: SlowMotionSettings) -> Outline:
    """The outline of a video that was looked at. Raises what `plan_of` raises."""
    plan = plan_of(info, settings)
    speed, record = speed_now(storage, settings.interpolator), served_now(storage, settings.interpolator)
    megapixels = plan.new_frame_count * info.width * info.height / 1e6
    return Outline(
        info=info,
        plan=plan,
        seconds=None if speed is None else megapixels * speed.seconds_per_megapixel,
        instance_type=None if record is None else record.instance_type,
    )


def _speed_text(segment: Segment, begin: Fraction) -> str:
    """On the clock of the clip, of which the video may be a part that begins later."""
    span = f"{float(begin + segment.source):.6g}-{float(begin + segment.source_end):.6g} s"
    speeds = f"{segment.begin_speed}" if segment.is_even else f"{segment.begin_speed} to {segment.end_speed}"
    return f"{span}: {speeds}"
