"""Results of checks that are told outside of the check's own step as well: by an asset that fails, by a sensor."""

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.steps.video_status import maker
from slowmo_pipeline.storage.base import Storage

DECODES = dg.AssetCheckKey(dg.AssetKey("raw_video"), "upload_decodes")
"""The check of an upload. A damaged one fails it, though nothing is materialised that could be checked."""

BY_SERVED_MODEL = dg.AssetCheckKey(dg.AssetKey("final_video"), "made_by_served_model")
"""The check of a final video that turns to a warning when its endpoint runs another model."""


def undecodable(error: UnreadableVideoError) -> dg.AssetCheckResult:
    """What DECODES says of an upload that cannot be used at all."""
    return dg.AssetCheckResult(
        asset_key=DECODES.asset_key, check_name=DECODES.name, passed=False, description=str(error)
    )


def by_served_model(storage: Storage, video_id: str) -> dg.AssetCheckResult | None:
    """What BY_SERVED_MODEL says of a video; None while there is no final video."""
    made = maker(storage, video_id)
    if made is None:
        return None
    now = f"It is {made.served_model_id} that {made.interpolator} runs now."
    anew = f"{now} Run the video again, or `slowmo run --outdated`."
    return dg.AssetCheckResult(
        asset_key=BY_SERVED_MODEL.asset_key,
        check_name=BY_SERVED_MODEL.name,
        passed=not made.is_outdated,
        severity=dg.AssetCheckSeverity.WARN,
        description=anew if made.is_outdated else None,
        metadata={"model": made.model_id, "served_model": made.served_model_id or "none"},
    )


def evaluation(instance: dg.DagsterInstance, video_id: str, result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """A result for a video, bound to the asset's latest materialisation: Dagster shows none of an earlier one.

    The result names its asset and its check.
    """
    asset, check = result.asset_key, result.check_name
    if asset is None or check is None:
        raise ValueError("the result names no check")
    of_video = dg.AssetRecordsFilter(asset, asset_partitions=[video_id])
    latest = [
        AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in instance.fetch_materializations(of_video, limit=1).records
    ]
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=check,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
        partition=video_id,
        target_materialization_data=latest[0] if latest else None,
    )
