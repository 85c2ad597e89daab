"""Asset checks, of each video by itself: is the upload whole, is the final video what was planned, and by which model?

Each looks at stored objects alone, so that it can be executed by itself; the job `check_video` executes all of them.
"""

import warnings
from collections.abc import Iterator

import dagster as dg

from slowmo_pipeline.defs.assets import errors_as_dagster_failure, final_video, raw_video
from slowmo_pipeline.defs.evaluations import BY_SERVED_MODEL, DECODES, by_served_model, evaluation, undecodable
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import PipelineStorage, ProgressFor
from slowmo_pipeline.errors import UnknownVideoError, UnreadableVideoError
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.inspect_upload import probe_upload
from slowmo_pipeline.steps.records import ActivePlan, Final, read_final
from slowmo_pipeline.steps.verify import Verified, verify
from slowmo_pipeline.storage.base import Storage


def _of_each_video(name: str, asset: dg.AssetsDefinition, description: str) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        # Dagster may still change how checks are partitioned. Without partitions the video that was checked last would
        # stand for all of them.
        warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, description=description, partitions_def=videos)


UPLOAD = _of_each_video(
    DECODES.name, raw_video, "Every packet of the upload decodes to a frame with a time of its own."
)
FRAME_COUNT = _of_each_video(
    "frame_count_and_duration",
    final_video,
    "The final video, decoded, has just the frames and the duration of its plan.",
)
IN_PLACE = _of_each_video(
    "originals_in_place",
    final_video,
    "Sampled frames of the upload, or the outputs nearest to them, are at their places, not one output earlier or "
    "later (PSNR).",
)

SERVED_MODEL = _of_each_video(
    BY_SERVED_MODEL.name,
    final_video,
    "The final video was made by the model that its endpoint runs now. The sensor served_models looks again whenever "
    "that is another one.",
)


@dg.multi_asset_check(specs=[UPLOAD])
def upload_decodes(
    context: dg.AssetCheckExecutionContext, storage: PipelineStorage, progress: dg.ResourceParam[ProgressFor]
) -> Iterator[dg.AssetCheckResult]:
    """From what the last look at the upload found, if it still lies there; else from another look."""
    with errors_as_dagster_failure():
        result = _upload(storage.open(), _video(context), progress(context.log))
    yield result


@dg.multi_asset_check(specs=[FRAME_COUNT, IN_PLACE], can_subset=True)
def final_video_as_planned(
    context: dg.AssetCheckExecutionContext, storage: PipelineStorage
) -> Iterator[dg.AssetCheckResult]:
    """Both checks from one look at the final video."""
    with errors_as_dagster_failure():
        opened, video_id = storage.open(), _video(context)
        final = read_final(opened, video_id)
        if final is None:
            raise _unfinished(video_id)
        found = _verified(opened, storage.active_plan(video_id), final)
    for spec, result in ((FRAME_COUNT, _frame_count(found)), (IN_PLACE, _in_place(found))):
        if spec.key in context.selected_asset_check_keys:
            yield result


@dg.multi_asset_check(specs=[SERVED_MODEL])
def made_by_served_model(
    context: dg.AssetCheckExecutionContext, storage: PipelineStorage
) -> Iterator[dg.AssetCheckResult]:
    """From what the records say."""
    with errors_as_dagster_failure():
        video_id = _video(context)
        result = by_served_model(storage.open(), video_id)
        if result is None:
            raise _unfinished(video_id)
    yield result


@dg.op(out={})
def check_stored(
    context: dg.OpExecutionContext, storage: PipelineStorage, progress: dg.ResourceParam[ProgressFor]
) -> Iterator[dg.AssetCheckEvaluation]:
    """Check the upload, and the final video if there is one."""
    video_id = context.partition_key
    with errors_as_dagster_failure():
        opened = storage.open()
        yield evaluation(context.instance, video_id, _upload(opened, video_id, progress(context.log)))
        final = read_final(opened, video_id)
        by_model = by_served_model(opened, video_id)
        if final is not None and by_model is not None:
            yield evaluation(context.instance, video_id, by_model)
            found = _verified(opened, storage.active_plan(video_id), final)
            yield evaluation(context.instance, video_id, _frame_count(found))
            yield evaluation(context.instance, video_id, _in_place(found))


# Not a job of the checks themselves: of such a one Dagster does not know that it has partitions.
@dg.job(partitions_def=videos, description="Check a video as it lies there, upload and final video. Makes nothing.")
def check_video() -> None:
    """Run `check_stored`."""
    check_stored()


def only_checks(run: dg.DagsterRun) -> bool:
    """Whether a run makes nothing: its end says nothing of what became of its video."""
    return run.job_name == check_video.name or bool(run.asset_check_selection and not run.asset_selection)


def _video(context: dg.AssetCheckExecutionContext) -> str:
    """The video to check. Dagster's pages execute checks of their own accord without telling one."""
    if not context.has_partition_key:
        raise UnknownVideoError(f"A check is of one video: launch the job {check_video.name} and choose it there.")
    video_id: str = context.partition_key
    return video_id


def _unfinished(video_id: str) -> UnknownVideoError:
    return UnknownVideoError(f"The video {video_id} has no final video yet: materialise final_video first.")


def _upload(storage: Storage, video_id: str, progress: Progress) -> dg.AssetCheckResult:
    try:
        info = probe_upload(storage, video_id, progress=progress)
    except UnreadableVideoError as error:
        return undecodable(error)
    return dg.AssetCheckResult(
        asset_key=UPLOAD.asset_key,
        check_name=UPLOAD.name,
        passed=not info.losses,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(info.losses) or None,
        metadata={"frames": info.frame_count},
    )


def _verified(storage: Storage, active: ActivePlan, final: Final) -> Verified:
    # pandas takes half a second to import.
    from slowmo_pipeline.steps.report import write_report

    found = verify(storage, active, final)
    write_report(storage, active, final, verified=found)
    return found


def _frame_count(found: Verified) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=FRAME_COUNT.asset_key,
        check_name=FRAME_COUNT.name,
        passed=found.is_exact,
        metadata={
            "frames": found.frames,
            "expected_frames": found.expected_frames,
            "seconds": round(float(found.seconds), 3),
            "expected_seconds": round(float(found.expected_seconds), 3),
        },
    )


def _in_place(found: Verified) -> dg.AssetCheckResult:
    samples = [
        dg.TableRecord(
            {
                "frame": sample.frame,
                "output": sample.output,
                "outputs away": round(float(sample.distance), 3),
                "PSNR in dB": round(sample.psnr, 2),
                "best neighbour": round(sample.neighbour_psnr, 2),
            }
        )
        for sample in found.samples
    ]
    return dg.AssetCheckResult(
        asset_key=IN_PLACE.asset_key,
        check_name=IN_PLACE.name,
        passed=all(sample.in_place for sample in found.samples),
        description=found.compared,
        metadata={
            "lowest_psnr": round(min((sample.psnr for sample in found.samples), default=0.0), 2),
            "samples": dg.MetadataValue.table(samples),
        },
    )
