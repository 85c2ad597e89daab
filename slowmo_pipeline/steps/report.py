"""What a person reads about a finished video: one self-contained HTML page."""

from collections.abc import Mapping
from html import escape

import pandas as pd

from slowmo_pipeline.endpoint.prices import cost_of, packaged_prices, price_per_hour
from slowmo_pipeline.steps.assemble import CAPTION
from slowmo_pipeline.steps.cut import chunk_table
from slowmo_pipeline.steps.records import ActivePlan, Final
from slowmo_pipeline.steps.strip import plan_strip, strip_caption
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222 }}
  table {{ border-collapse: collapse; margin: 1em 0 }}
  th, td {{ border-bottom: 1px solid #ddd; padding: .2em .8em; text-align: left }}
  img {{ max-width: 100% }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
<img alt="Neighbouring frames" src="data:image/jpeg;base64,{filmstrip}">
<p>{caption}</p>
<h2>Plan</h2>
{strip}
<p>{strip_caption}</p>
{notes}
<h2>Facts</h2>
{facts}
<h2>Settings</h2>
{settings}
<h2>Chunks</h2>
{chunks}
</html>
"""


def chunk_frame(active: ActivePlan, final: Final) -> pd.DataFrame:
    """The chunk table, one row a chunk, with the seconds that the endpoint spent on it."""
    table: pd.DataFrame = pd.DataFrame(chunk_table(active.plan))
    table["endpoint seconds"] = [round(seconds, 2) for seconds in final.chunk_seconds]
    return table


def write_report(storage: Storage, active: ActivePlan, final: Final, *, instance_type: str | None) -> str:
    """Store the page beside the final video and return its key; `instance_type` is None unless SageMaker made it."""
    source, info, timeline = active.source, active.info, active.plan.timeline
    times = timeline.track.times
    rate = f"{times.rate} frames/s"
    facts = {
        "upload": source.upload,
        "source": f"{info.width}x{info.height}, {info.codec}, {info.source_bits} bit",
        "frame times": f"constant, {rate}" if times.is_constant else f"variable, about {rate}",
        "frames": f"{info.frame_count} in, {timeline.output_count} out",
        "new frames": str(active.plan.new_frame_count),
        "slowdown": str(timeline.slowdown),
        "frame rate": f"{timeline.frame_rate} frames/s",
        "duration": f"{float(timeline.track.duration):.3f} s in, {float(timeline.duration):.3f} s out",
        "plan": active.versions.plan,
        "model": active.versions.model_id,
        "endpoint": _work(sum(final.chunk_seconds), instance_type),
        "SHA-256": final.sha256,
    }
    settings = source.settings.model_dump(mode="json")
    page = _PAGE.format(
        title=escape(active.video_id),
        summary=escape(f"{facts['source']}; {facts['frames']}; {facts['duration']}."),
        filmstrip=final.filmstrip,
        caption=CAPTION,
        strip=plan_strip(timeline, info),
        strip_caption=strip_caption(timeline),
        notes="".join(f"<p><strong>Note:</strong> {escape(note)}</p>" for note in (*final.losses, *final.notes)),
        facts=_table(facts),
        settings=_table({name: "the default" if value is None else value for name, value in settings.items()}),
        chunks=chunk_frame(active, final).to_html(index=False, border=0),
    )
    key = VideoKeys(active.video_id).finals[1]
    storage.write(key, page.encode())
    return key


def _work(seconds: float, instance_type: str | None) -> str:
    """What the endpoint did, and the list price of that where it is known."""
    told = f"{seconds:.1f} s"
    if instance_type is None:
        return told
    usd_per_hour = price_per_hour(instance_type)
    if usd_per_hour is None:
        return f"{told} on {instance_type}"
    price = f"{usd_per_hour} USD an hour in {packaged_prices().origin}"
    return f"{told} on {instance_type}, about {cost_of(seconds, usd_per_hour):.4f} USD ({price})"


def _table(facts: Mapping[str, object]) -> str:
    table: str = pd.DataFrame(facts.items()).to_html(header=False, index=False, border=0)
    return table
