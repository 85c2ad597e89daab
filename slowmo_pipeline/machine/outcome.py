"""What a run made of a clip, in the words in which a person is told of it."""

from dataclasses import dataclass
from fractions import Fraction

from rich.filesize import decimal

from slowmo_pipeline.steps.records import ActivePlan, Final, read_active_plan, read_final
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys


@dataclass(frozen=True)
class Outcome:
    """A finished video."""

    video_id: str
    key: str
    """Of the final video."""
    report: str
    """Key of its report."""
    frames: int
    seconds: Fraction
    """Length of the final video."""
    summary: str
    """One line: what went in, what came out."""
    notes: tuple[str, ...]
    """Sentences on what is not as one might expect."""
    grave: tuple[str, ...]
    """Sentences on frames or sound that were lost, and on checks that failed."""


def outcome_of(storage: Storage, video_id: str, *, failed_checks: tuple[str, ...]) -> Outcome | None:
    """The outcome of the last run of a video; None when its final video is gone."""
    final = read_final(storage, video_id)
    if final is None:
        return None
    active = read_active_plan(storage, video_id)
    failed = (f"The check {name} failed: `slowmo up` shows what it found." for name in failed_checks)
    return Outcome(
        video_id=video_id,
        key=final.key,
        report=VideoKeys(video_id).finals[1],
        frames=final.frame_count,
        seconds=active.plan.timeline.duration,
        summary=_summary(active, final),
        notes=final.notes,
        grave=(*final.losses, *failed),
    )


def _summary(active: ActivePlan, final: Final) -> str:
    timeline, size = active.plan.timeline, f"{active.info.width}x{active.info.height}"
    track = timeline.track
    source = _frames(active.info.frame_count, track.times.rate, track.duration)
    result = _frames(timeline.output_count, timeline.frame_rate, timeline.duration)
    return f"{size}, {source} -> {result}, {active.plan.new_frame_count} of them new, {decimal(final.bytes)}"


def _frames(count: int, rate: Fraction, seconds: Fraction) -> str:
    return f"{count} frames at {_short(rate)}/s in {_short(seconds)} s"


def _short(value: Fraction) -> str:
    return f"{float(value):.2g}" if value < 1 else f"{float(value):.2f}".rstrip("0").rstrip(".")
