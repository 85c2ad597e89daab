"""The four assets: raw video, frame chunks, interpolated chunks, final video. Each delegates to a step and reports."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from slowmo_pipeline.defs.code_versions import ENCODED, INSPECTED, PLANNED, made_by
from slowmo_pipeline.defs.endpoint_asset import GROUP, KINDS, made_with
from slowmo_pipeline.defs.endpoint_asset import endpoint as endpoint_of_videos
from slowmo_pipeline.defs.evaluations import evaluation, undecodable
from slowmo_pipeline.defs.links import places
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import PipelineStorage, ProgressFor, SageMakerAsyncEndpoint
from slowmo_pipeline.defs.setting_fields import config_fields
from slowmo_pipeline.endpoint.prices import cost_of, price_per_hour
from slowmo_pipeline.endpoint.record import served
from slowmo_pipeline.errors import SlowmoError, UnreadableVideoError
from slowmo_pipeline.planning.track import STILL
from slowmo_pipeline.settings import FIELDS
from slowmo_pipeline.steps.assemble import CAPTION, assemble
from slowmo_pipeline.steps.at_once import come_at_once
from slowmo_pipeline.steps.cut import chunk_table, cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.interpolate import Interpolation
from slowmo_pipeline.steps.planning import CUT, JUMP, replaced_duplicates
from slowmo_pipeline.steps.stage_seconds import read_stages, seconds_by_stage
from slowmo_pipeline.steps.strip import kinds_of

TABLE_ROWS = 200
"""Dagster's UI grows slow beyond."""


RawVideoConfig = create_model("RawVideoConfig", __base__=dg.Config, **config_fields(FIELDS))
"""Settings for the video. When any is given, the others take their defaults; when none is, those in force stay."""


class InterpolatedChunksConfig(dg.Config):
    """How long the run stays."""

    wait: bool = Field(
        True,
        description="Wait for the results. If not, the run ends after submission, and the sensor completed_outputs "
        "finishes the video.",
    )
    patience_seconds: float = Field(
        default=0,
        description="Of a run that does not wait: how long it looks for results of a local endpoint that come at once, "
        "to finish the video itself.",
    )


@contextmanager
def errors_as_dagster_failure() -> Iterator[None]:
    """Turn an expected error into a failure that Dagster shows with its message alone and does not retry."""
    try:
        yield
    except SlowmoError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


@dg.asset(
    partitions_def=videos,
    group_name=GROUP,
    kinds={"video"},
    code_version=INSPECTED,
    description="The upload, as it was dropped. Every frame of it was decoded once, to learn what it holds; its "
    "settings were taken from the launchpad, from the file beside it, or from the defaults.",
)
def raw_video(
    context: dg.AssetExecutionContext,
    config: RawVideoConfig,
    storage: PipelineStorage,
    progress: dg.ResourceParam[ProgressFor],
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckEvaluation]:
    """Look at the upload, and settle the settings in force."""
    chosen = {name: value for name, value in config.model_dump().items() if value is not None}
    video_id = context.partition_key
    with errors_as_dagster_failure():
        try:
            source, info = inspect_upload(storage.open(), video_id, chosen=chosen, progress=progress(context.log))
        except UnreadableVideoError as error:
            # Dagster skips the check's own step now.
            yield evaluation(context.instance, video_id, undecodable(error))
            raise
    yield dg.MaterializeResult(
        metadata={
            "upload": source.upload,
            "frames": info.frame_count,
            "width": info.width,
            "height": info.height,
            "bits": info.source_bits,
            "codec": info.codec,
            "sound": info.has_sound,
            **_told(notes=info.notes, losses=info.losses),
            "settings": source.settings.model_dump(mode="json"),
        },
        data_version=dg.DataVersion(f"{source.sha256[:16]}-{source.settings.version}"),
        tags=made_by(info.format),
    )


@dg.asset(
    partitions_def=videos,
    group_name=GROUP,
    kinds={"video"},
    deps=[raw_video],
    code_version=PLANNED,
    description="The plan, and the frames that it needs. Which moment each frame of the result shows, and where "
    "cuts and stills are held; the upload's frames in chunks, with the positions wanted between them. The chunks go "
    "once the video is finished.",
)
def frame_chunks(
    context: dg.AssetExecutionContext, storage: PipelineStorage, progress: dg.ResourceParam[ProgressFor]
) -> dg.MaterializeResult[None]:
    """Plan the video, and cut what is missing of its chunks."""
    with errors_as_dagster_failure():
        done = cut(storage.open(), context.partition_key, progress=progress(context.log))
    storage.activate(done.active)
    plan, versions = done.active.plan, done.active.versions
    timeline = plan.timeline
    reasons, kinds = Counter(timeline.track.repeats.values()), kinds_of(timeline)
    return dg.MaterializeResult(
        metadata={
            "plan": versions.plan,
            "chunks": len(plan.chunks),
            "chunks_written": done.written,
            "frames": done.active.info.frame_count,
            "output_frames": timeline.output_count,
            "new_frames": plan.new_frame_count,
            "originals_shown": kinds["original"],
            "frames_repeated": kinds["repeated"],
            "held_gaps": len(timeline.track.repeats),
            "cuts": reasons[CUT],
            "stills": reasons[STILL],
            "jumps": reasons[JUMP],
            "duplicates_replaced": replaced_duplicates(done.active.info, timeline),
            "slowdown": _spelled(timeline.slowdown),
            "frame_rate": str(timeline.frame_rate),
            "source_rate": str(timeline.track.times.rate),
            "constant_rate": timeline.track.times.is_constant,
            "seconds": round(float(timeline.duration), 3),
            "chunk_table": _table(chunk_table(plan)),
        },
        data_version=dg.DataVersion(versions.plan),
        tags=made_by(done.active.source.formats),
    )


@dg.asset(
    partitions_def=videos,
    group_name=GROUP,
    kinds=KINDS,
    deps=[frame_chunks, endpoint_of_videos],
    output_required=False,
    code_version=PLANNED,
    description="The new frames, made by the endpoint. Chunks are submitted unless their results are there or on "
    "the way. A run that does not wait ends before they are made; the sensor completed_outputs finishes the video.",
)
def interpolated_chunks(
    context: dg.AssetExecutionContext,
    config: InterpolatedChunksConfig,
    storage: PipelineStorage,
    endpoint: SageMakerAsyncEndpoint,
    progress: dg.ResourceParam[ProgressFor],
) -> Iterator[dg.MaterializeResult[None]]:
    """Submit what is neither there nor under way, and wait for the results if told to."""
    with errors_as_dagster_failure():
        opened = storage.open()
        active = storage.active_plan(context.partition_key)
        interpolation = Interpolation(
            opened,
            lambda name: endpoint.connect(name, opened),
            active,
            max_attempts=endpoint.max_attempts,
            progress=progress(context.log),
        )
        done = interpolation.run(wait=config.wait)
        submitted, patience = done.submitted, config.patience_seconds
        is_local = served(opened, active.versions.interpolator).sagemaker_endpoint is None
        looks_on = patience > 0 and is_local and not done.complete
        if looks_on and come_at_once(opened, active, seconds=patience):
            done = interpolation.run(wait=False)
    if not done.complete:
        context.log.info(
            "%d of %d chunks submitted now; the sensor completed_outputs finishes the video.",
            submitted,
            done.chunks,
        )
        return
    yield dg.MaterializeResult(
        metadata={
            "model": active.versions.model_id,
            "chunks": done.chunks,
            "chunks_submitted": submitted,
            "new_frames": active.plan.new_frame_count,
        },
        data_version=dg.DataVersion(f"{active.versions.plan}-{active.versions.model_id}"),
        tags={**made_with(context, opened, active.versions), **made_by(active.source.formats)},
    )


@dg.asset(
    partitions_def=videos,
    group_name=GROUP,
    kinds={"video"},
    deps=[interpolated_chunks],
    code_version=ENCODED,
    description="The slow-motion video, with its sound and a report. Its links open them; numbers, such "
    "as the seconds that each stage took, are plotted over all videos. The checks decode it, and hold it against the "
    "plan and the upload.",
)
def final_video(
    context: dg.AssetExecutionContext, storage: PipelineStorage, progress: dg.ResourceParam[ProgressFor]
) -> dg.MaterializeResult[None]:
    """Put the frames in order, encode them, make the sound and the report."""
    # pandas takes half a second to import: not before there is something to report.
    from slowmo_pipeline.steps.report import chunk_frame, write_report

    with errors_as_dagster_failure():
        opened = storage.open()
        active = storage.active_plan(context.partition_key)
        final, made = assemble(opened, active, progress=progress(context.log))
        stages = seconds_by_stage(read_stages(opened, active.video_id), active.source, active.versions, final)
        report = write_report(opened, active, final)
    timeline = active.plan.timeline
    seconds = sum(final.chunk_seconds)
    return dg.MaterializeResult(
        metadata={
            **places(opened, video=final.key, report=report),
            "preview": dg.MetadataValue.md(f"![frames](data:image/jpeg;base64,{final.filmstrip})\n\n{CAPTION}"),
            "bytes": final.bytes,
            "frames": final.frame_count,
            "new_frames": active.plan.new_frame_count,
            "seconds": round(float(timeline.duration), 3),
            "endpoint_seconds": round(seconds, 3),
            "endpoint_seconds_per_new_frame": round(seconds / max(active.plan.new_frame_count, 1), 4),
            **_estimated_cost(seconds, final.instance_type),
            **{f"{stage}_seconds": round(took, 2) for stage, took in stages.items()},
            "model": active.versions.model_id,
            "made_now": made,
            **_told(notes=final.notes, losses=final.losses),
            "chunk_table": _table(chunk_frame(active, final).to_dict("records")),
        },
        data_version=dg.DataVersion(final.sha256[:16]),
        tags=made_by(active.source.formats),
    )


def _spelled(number: Fraction) -> str:
    """Exactly, unless that is no number that anybody chose."""
    return str(number) if number.denominator < 10**4 else f"{float(number):.4g}"


def _estimated_cost(seconds: float, instance_type: str | None) -> dict[str, float]:
    """The list price of so many endpoint seconds, where it is known; a number, so that the UI plots it."""
    usd_per_hour = price_per_hour(instance_type) if instance_type else None
    return {"estimated_cost_usd": round(float(cost_of(seconds, usd_per_hour)), 6)} if usd_per_hour else {}


def _told(**sentences: Sequence[str]) -> dict[str, str]:
    """As text, a line each: lists Dagster hides behind a button. What there is none of is left out."""
    return {name: "\n".join(" ".join(line.split()) for line in lines) for name, lines in sentences.items() if lines}


def _table(rows: Sequence[Mapping[Any, Any]]) -> dg.TableMetadataValue | str:
    if not rows:
        return "No new frames are needed."
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows[:TABLE_ROWS]])
