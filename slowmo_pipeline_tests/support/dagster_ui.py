"""Dagster's web interface as far as it asks and orders: its own GraphQL, with the questions that its pages ask."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql

from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline

_LOCATION = "slowmo_pipeline"
_REPOSITORY = {"repositoryLocationName": _LOCATION, "repositoryName": "__repository__"}

CHECKS = """query AssetChecksQuery($assetKey: AssetKeyInput!) {
  assetNodeOrError(assetKey: $assetKey) { ... on AssetNode { assetChecksOrError { ... on AssetChecks { checks {
    name
    jobNames
    canExecuteIndividually
    executionForLatestMaterialization { status evaluation { severity description } }
    partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
      succeededPartitions failedPartitions executionFailedPartitions inProgressPartitions skippedPartitions
    } }
  } } } } }
}"""

CHECK_OF_PARTITION = """query Detail($assetKey: AssetKeyInput!, $checkName: String!, $partitionKey: String!) {
  assetCheckExecutions(assetKey: $assetKey, checkName: $checkName, partition: $partitionKey, limit: 1000) {
    status runId evaluation { severity description }
  }
}"""

PARTITIONS = """query PartitionHealthQuery($assetKey: AssetKeyInput!) {
  assetNodeOrError(assetKey: $assetKey) { ... on AssetNode {
    partitionStats { numMaterialized numFailed numPartitions }
    assetPartitionStatuses { ... on DefaultPartitionStatuses {
      materializedPartitions failedPartitions unmaterializedPartitions
    } }
  } }
}"""

VALIDATE = """query PreviewConfigQuery($selector: PipelineSelector!, $runConfigData: RunConfigData!) {
  isPipelineConfigValid(pipeline: $selector, runConfigData: $runConfigData, mode: "default") {
    __typename ... on RunConfigValidationInvalid { errors { message } }
  }
}"""

SCAFFOLD = """query ConfigSchema($selector: PipelineSelector!) {
  runConfigSchemaOrError(selector: $selector, mode: "default") { ... on RunConfigSchema { rootDefaultYaml } }
}"""

OFFERED = """query PartitionSetsQuery($repository: RepositorySelector!, $job: String!) {
  partitionSetsOrError(repositorySelector: $repository, pipelineName: $job) { ... on PartitionSets { results {
    partitionsOrError { ... on Partitions { results { name } } }
  } } }
}"""

LAUNCH = """mutation LaunchPipelineExecution($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""

BACKFILL = """mutation LaunchPartitionBackfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on PythonError { message } }
}"""

DELETE = """mutation DeleteDynamicPartitions($keys: [String!]!, $repository: RepositorySelector!) {
  deleteDynamicPartitions(partitionKeys: $keys, partitionsDefName: "videos", repositorySelector: $repository) {
    __typename ... on PythonError { message }
  }
}"""

ASSETS = ("raw_video", "frame_chunks", "interpolated_chunks", "final_video")


@dataclass(frozen=True)
class DagsterUi:
    """The interface over an instance; runs that it launches have ended when `launch` returns."""

    instance: dg.DagsterInstance
    _context: WorkspaceProcessContext

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer; an error in it is raised."""
        with self._context.create_request_context() as context:
            return execute_dagster_graphql(context, query, variables).data

    def checks(self, asset: str) -> dict[str, dict[str, Any]]:
        """The checks of an asset by their names, as its page shows them."""
        found = self.ask(CHECKS, assetKey={"path": [asset]})["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return {check["name"]: check for check in found}

    def check_of(self, video_id: str, asset: str, check: str) -> Mapping[str, Any]:
        """The latest execution of a check for a video, as the page of the partition shows it."""
        asked = {"assetKey": {"path": [asset]}, "checkName": check, "partitionKey": video_id}
        [latest, *_] = self.ask(CHECK_OF_PARTITION, **asked)["assetCheckExecutions"]
        return dict(latest)

    def partitions(self, asset: str) -> Mapping[str, Any]:
        """How the partitions of an asset stand."""
        return dict(self.ask(PARTITIONS, assetKey={"path": [asset]})["assetNodeOrError"])

    def problems(self, config: Mapping[str, Any], *, job: str = "slow_motion") -> list[str]:
        """What the launchpad says of a configuration before it is launched."""
        answer = self.ask(VALIDATE, selector=_selector(job), runConfigData=config)["isPipelineConfigValid"]
        return [error["message"] for error in answer.get("errors", [])]

    def offered(self, job: str) -> list[str]:
        """The partitions that the launchpad and the backfills of a job offer."""
        [found] = self.ask(OFFERED, repository=_REPOSITORY, job=job)["partitionSetsOrError"]["results"]
        return [partition["name"] for partition in found["partitionsOrError"]["results"]]

    def scaffold(self, job: str) -> str:
        """What the launchpad writes when it is asked for all defaults."""
        return str(self.ask(SCAFFOLD, selector=_selector(job))["runConfigSchemaOrError"]["rootDefaultYaml"])

    def launch(
        self,
        job: str,
        video_id: str | None,
        *,
        config: Mapping[str, Any] | None = None,
        checks: Sequence[dg.AssetCheckKey] | None = None,
    ) -> dg.DagsterRun:
        """Launch a job for a video, or some checks alone; the run as it ended."""
        chosen: dict[str, Any] = {}
        if checks is not None:
            handles = [{"assetKey": {"path": list(key.asset_key.path)}, "name": key.name} for key in checks]
            chosen = {"assetSelection": [], "assetCheckSelection": handles}
        tags = [{"key": "dagster/partition", "value": video_id}] if video_id else []
        params = {
            "selector": {**_selector(job), **chosen},
            "mode": "default",
            "runConfigData": dict(config or {}),
            "executionMetadata": {"tags": tags},
        }
        answer = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run = self.instance.get_run_by_id(answer["run"]["runId"])
        assert run is not None
        return run

    def failed(self) -> dict[str, list[str]]:
        """The partitions that each asset shows as failed, by those that show any."""
        shown = {asset: self.partitions(asset)["assetPartitionStatuses"]["failedPartitions"] for asset in ASSETS}
        return {asset: list(failed) for asset, failed in shown.items() if failed}

    def delete_partition(self, video_id: str) -> None:
        """Delete the partition of a video."""
        answer = self.ask(DELETE, keys=[video_id], repository=_REPOSITORY)["deleteDynamicPartitions"]
        assert answer["__typename"] == "DeleteDynamicPartitionsSuccess", answer

    def backfill(self, video_ids: Sequence[str], *, config: Mapping[str, Any]) -> None:
        """Launch a backfill of all assets, and let the daemon submit its runs."""
        params = {
            "partitionNames": list(video_ids),
            "assetSelection": [{"path": [asset]} for asset in ASSETS],
            "runConfigData": dict(config),
        }
        answer = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        errors = [error for error in execute_backfill_iteration(self._context, logging.getLogger(__name__)) if error]
        assert not errors, errors

    def failure_of(self, run: dg.DagsterRun) -> str:
        """What the failed step of a run told."""
        [entry] = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        failure = entry.get_dagster_event().step_failure_data.user_failure_data
        assert failure is not None
        assert failure.description is not None
        return failure.description


@contextmanager
def launching_pipeline(folder: Path) -> Iterator[TestPipeline]:
    """A pipeline whose instance executes at once, in this process, what the interface launches.

    An instance in memory launches nothing.
    """
    at_once = {
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
        "run_launcher": {
            "module": "dagster._core.launcher.sync_in_memory_run_launcher",
            "class": "SyncInMemoryRunLauncher",
        },
    }
    with fade_pipeline(folder) as pipeline, dg.instance_for_test(overrides=at_once) as instance:
        yield replace(pipeline, instance=instance)


@contextmanager
def dagster_ui(instance: dg.DagsterInstance) -> Iterator[DagsterUi]:
    """The interface over an instance, with the code location of the pipeline."""
    module = LoadableTargetOrigin(module_name="slowmo_pipeline.definitions")
    location = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(module, location_name=_LOCATION))
    with WorkspaceProcessContext(instance, location) as context:
        yield DagsterUi(instance, context)


def _selector(job: str) -> dict[str, str]:
    return {**_REPOSITORY, "pipelineName": job}
