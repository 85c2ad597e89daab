"""What a person reads about a finished video: one self-contained HTML page."""

import shlex
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import PurePosixPath

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from slowmo_pipeline.endpoint.prices import priced
from slowmo_pipeline.settings import FIELDS, LIMITS, SlowMotionSettings
from slowmo_pipeline.steps.assemble import CAPTION
from slowmo_pipeline.steps.cut import chunk_table
from slowmo_pipeline.steps.planning import held_intervals
from slowmo_pipeline.steps.records import ActivePlan, Final
from slowmo_pipeline.steps.strip import plan_strip, strip_caption
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys

_MOST_ROWS = 500
"""Of a table in the page."""


def chunk_frame(active: ActivePlan, final: Final) -> pd.DataFrame:
    """The chunk table, one row a chunk, with the seconds that the endpoint spent on it."""
    table: pd.DataFrame = pd.DataFrame(chunk_table(active.plan))
    table["endpoint seconds"] = [round(seconds, 2) for seconds in final.chunk_seconds]
    return table


def write_report(storage: Storage, active: ActivePlan, final: Final, *, instance_type: str | None) -> str:
    """Store the page beside the final video and return its key; `instance_type` is None unless SageMaker made it."""
    chunks = chunk_frame(active, final)
    page = _template().render(
        title=PurePosixPath(active.source.upload).name,
        summary=_summary(active),
        # The page lies beside the video.
        result=PurePosixPath(final.key).name,
        notes=final.notes,
        losses=final.losses,
        filmstrip=final.filmstrip,
        caption=CAPTION,
        strip=Markup(plan_strip(active.plan.timeline, active.info)),
        strip_caption=strip_caption(active.plan.timeline),
        held=list(islice(_held(active), _MOST_ROWS)),
        facts=list(_facts(active, final, instance_type)),
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


def _facts(active: ActivePlan, final: Final, instance_type: str | None) -> Iterator[tuple[str, object]]:
    info, timeline = active.info, active.plan.timeline
    times, warp = timeline.track.times, timeline.warp
    rate = f"{times.rate} frames/s"
    yield "source", f"{info.width}x{info.height}, {info.codec}, {info.source_bits} bit"
    yield "frame times", f"constant, {rate}" if times.is_constant else f"variable, about {rate}"
    yield "frames", f"{info.frame_count} in, {timeline.output_count} out, {active.plan.new_frame_count} of them new"
    yield "duration", f"{float(warp.source_end - warp.source_begin):.3f} s in, {float(timeline.duration):.3f} s out"
    yield "frame rate", f"{timeline.frame_rate} frames/s"
    seconds = sum(final.chunk_seconds)
    yield "endpoint", priced(f"{seconds:.1f} s", seconds, instance_type)
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
