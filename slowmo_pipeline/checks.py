"""Asset checks: is the upload whole, and is the final video what the plan promised?"""

from collections.abc import Iterator

import dagster as dg

from slowmo_pipeline.assets import final_video, raw_video, told_as_failure
from slowmo_pipeline.resources import PipelineStorage
from slowmo_pipeline.steps.records import read_info
from slowmo_pipeline.steps.verify import verify


@dg.asset_check(asset=raw_video)
def upload_decodes(context: dg.AssetCheckExecutionContext, storage: PipelineStorage) -> dg.AssetCheckResult:
    """Every packet of the upload decodes to a frame with a time of its own."""
    with told_as_failure():
        info = read_info(storage.open(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not info.losses,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"video": context.partition_key, "frames": info.frame_count, "losses": list(info.losses)},
    )


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            "frame_count_and_duration",
            asset=final_video,
            description="The final video, decoded, has just the frames and the duration of its plan.",
        ),
        dg.AssetCheckSpec(
            "originals_in_place",
            asset=final_video,
            description="Sampled frames of the upload appear at their places, not one output earlier or later (PSNR).",
        ),
    ]
)
def final_video_as_planned(
    context: dg.AssetCheckExecutionContext, storage: PipelineStorage
) -> Iterator[dg.AssetCheckResult]:
    """Both checks from one look at the final video."""
    with told_as_failure():
        found = verify(storage.open(), context.partition_key)
    yield dg.AssetCheckResult(
        check_name="frame_count_and_duration",
        passed=found.is_exact,
        metadata={
            "video": context.partition_key,
            "frames": found.frames,
            "expected_frames": found.expected_frames,
            "seconds": float(found.seconds),
            "expected_seconds": float(found.expected_seconds),
        },
    )
    yield dg.AssetCheckResult(
        check_name="originals_in_place",
        passed=all(sample.in_place for sample in found.samples),
        metadata={
            "video": context.partition_key,
            "lowest_psnr": min((sample.psnr for sample in found.samples), default=0.0),
            "samples": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "frame": sample.frame,
                            "output": sample.output,
                            "PSNR in dB": round(sample.psnr, 2),
                            "best neighbour": round(sample.neighbour_psnr, 2),
                        }
                    )
                    for sample in found.samples
                ]
            ),
        },
    )
