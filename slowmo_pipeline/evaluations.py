"""Results of checks that are told outside of the check's own step: by an asset that fails, by a job, by a sensor."""

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData


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
