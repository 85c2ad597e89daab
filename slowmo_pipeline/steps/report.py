"""What a person reads about a finished video: one self-contained HTML page."""

import base64
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import PurePosixPath

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from slowmo_pipeline.endpoint.prices import priced
from slowmo_pipeline.settings import FIELDS, LIMITS, SlowMotionSettings
from slowmo_pipeline.steps.assemble import CAPTION, previewed_outputs
from slowmo_pipeline.steps.cut import chunk_table
from slowmo_pipeline.steps.planning import held_intervals
from slowmo_pipeline.steps.records import ActivePlan, Final
from slowmo_pipeline.steps.stage_seconds import read_stages, seconds_by_stage
from slowmo_pipeline.steps.strip import plan_strip, strip_caption
from slowmo_pipeline.steps.verify import Verified
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys

_MOST_ROWS = 500
"""Of a table in the page."""


def chunk_frame(active: ActivePlan, final: Final) -> pd.DataFrame:
    """The chunk table, one row a chunk, with the seconds that the endpoint spent on it."""
    table: pd.DataFrame = pd.DataFrame(chunk_table(active.plan))
    table["endpoint seconds"] = [round(seconds, 2) for seconds in final.chunk_seconds]
    return table


def write_report(storage: Storage, active: ActivePlan, final: Final, *, verified: Verified | None = None) -> str:
    """Store the page beside the final video and return its key; once more when that was `verified`."""
    chunks = chunk_frame(active, final)
    stages = seconds_by_stage(read_stages(storage, active.video_id), active.source, active.versions, final)
    page = _template().render(
        title=PurePosixPath(active.source.upload).name,
        summary=_summary(active),
        # The page lies beside the video.
        result=PurePosixPath(final.key).name,
        notes=final.notes,
        losses=final.losses,
        preview=_preview(storage, active),
        preview_caption=_preview_caption(active),
        filmstrip=final.filmstrip,
        caption=CAPTION,
        strip=Markup(plan_strip(active.plan.timeline, active.info)),
        strip_caption=strip_caption(active.plan.timeline),
        held=list(islice(_held(active), _MOST_ROWS)),
        stages=list(_stages(stages)),
        checks=list(_checks(verified)) if verified else [],
        facts=list(_facts(active, final)),
        settings=list(_changed(active.source.settings)),
        command=_command(active),
        chunk_columns=list(chunks.columns),
        chunks=chunks.to_numpy().tolist()[:_MOST_ROWS],
    )
    key = VideoKeys(active.video_id).finals[1]
    storage.write(key, page.encode())
    return key


@cache
def _template() -> Template:
    loader = PackageLoader("slowmo_pipeline.steps", package_path="")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("report.html.j2")


def _summary(active: ActivePlan) -> str:
    info, timeline = active.info, active.plan.timeline
    slowdown = f"{float(timeline.slowdown):.4g} times slower" if timeline.slowdown != 1 else "at its own speed"
    return (
        f"{info.width}x{info.height}, {slowdown}: {float(timeline.duration):.2f} s at "
        f"{float(timeline.frame_rate):.5g} frames a second."
    )


def _preview(storage: Storage, active: ActivePlan) -> str | None:
    """A part of it as MP4, in base64; None for what was finished before there were previews."""
    try:
        return base64.b64encode(storage.read(VideoKeys(active.video_id).preview)).decode()
    except FileNotFoundError:
        return None


def _preview_caption(active: ActivePlan) -> str:
    timeline = active.plan.timeline
    shown, rate = previewed_outputs(timeline), timeline.frame_rate
    begin, end = float(shown.start / rate), float(shown.stop / rate)
    return f"{begin:.2f} to {end:.2f} s of the result, small. On the left the clip, slowed by repeating its frames."


def _stages(stages: Mapping[str, float]) -> Iterator[tuple[str, str, float]]:
    """Each stage, what it took, and which share of the longest one that is, in percent."""
    longest = max(stages.values(), default=0) or 1
    for name, seconds in stages.items():
        yield name, f"{seconds:.1f} s", round(100 * seconds / longest, 1)


def _checks(verified: Verified) -> Iterator[tuple[bool, str]]:
    """What was checked: whether it is as it should be, and a sentence."""
    seconds, expected = float(verified.seconds), float(verified.expected_seconds)
    yield (
        verified.is_exact,
        f"Decoded: {verified.frames} of {verified.expected_frames} frames, {seconds:.3f} of {expected:.3f} s.",
    )
    wrong = sum(not sample.in_place for sample in verified.samples)
    yield wrong == 0, f"{verified.compared} {f'Not at their places: {wrong}.' if wrong else 'All are at their places.'}"


def _facts(active: ActivePlan, final: Final) -> Iterator[tuple[str, object]]:
    info, timeline = active.info, active.plan.timeline
    times, warp = timeline.track.times, timeline.warp
    rate = f"{times.rate} frames/s"
    yield "source", f"{info.width}x{info.height}, {info.codec}, {info.source_bits} bit"
    yield "frame times", f"constant, {rate}" if times.is_constant else f"variable, about {rate}"
    yield "frames", f"{info.frame_count} in, {timeline.output_count} out, {active.plan.new_frame_count} of them new"
    yield "duration", f"{float(warp.source_end - warp.source_begin):.3f} s in, {float(timeline.duration):.3f} s out"
    yield "frame rate", f"{timeline.frame_rate} frames/s"
    seconds = sum(final.chunk_seconds)
    yield "endpoint", priced(f"{seconds:.1f} s", seconds, final.instance_type)
    yield "model", active.versions.model_id
    yield "plan", active.versions.plan
    yield "upload", active.source.upload
    yield "SHA-256", final.sha256


def _held(active: ActivePlan) -> Iterator[tuple[str, int, str, str, str]]:
    """Where the plan repeats a frame instead of interpolating, as rows."""
    timeline = active.plan.timeline
    for anchor, reason, frame, outputs, score in held_intervals(active.info, timeline):
        place = float(outputs.start / timeline.frame_rate)
        told = "" if score is None else f"{score:g}"
        yield reason, frame, f"{float(timeline.track.time(anchor)):.3f} s", f"{place:.3f} s", told


def _changed(settings: SlowMotionSettings) -> Iterator[tuple[str, object]]:
    """The settings that are not the defaults, as they are written."""
    stored, defaults = settings.model_dump(mode="json"), SlowMotionSettings().model_dump(mode="json")
    yield from ((name, stored[name]) for name in FIELDS if stored[name] != defaults[name])


def _command(active: ActivePlan) -> str:
    """One command that makes the video again from its clip."""
    words = ["slowmo", "run", PurePosixPath(active.source.upload).name]
    for name, value in _changed(active.source.settings):
        if name in LIMITS:
            words += ["--limit", f"{name}={value}"]
        elif isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        else:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
