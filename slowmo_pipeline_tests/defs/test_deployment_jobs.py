import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from slowmo_pipeline.defs import deployment_jobs
from slowmo_pipeline.defs.deployment_jobs import DeployEndpointConfig
from slowmo_pipeline.defs.resources import PipelineStorage, ProgressFor
from slowmo_pipeline.deployment.settings import DeploymentSettings
from slowmo_pipeline.progress import LogProgress
from slowmo_pipeline_tests.support.sagemaker_server import IMAGE, ROLE, Stage, deployment_stage, package_of
from slowmo_pipeline_tests.support.steps import submitted


@pytest.fixture
def stage(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with deployment_stage(s3_server, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def run(
    stage: Stage, job: dg.JobDefinition, op: str, progress: ProgressFor = LogProgress, **config: Any
) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(
        run_config={"ops": {op: {"config": {"name": stage.name, **config}}}},
        resources={
            "storage": PipelineStorage(url=stage.storage.url),
            "progress": dg.ResourceDefinition.hardcoded_resource(progress),
        },
        raise_on_error=False,
    )


def deploy(stage: Stage, **config: Any) -> dg.ExecuteInProcessResult:
    given = {"package": str(stage.package), "role_arn": ROLE, "image_uri": IMAGE, **config}
    return run(stage, deployment_jobs.deploy_endpoint, "deploy_to_sagemaker", **given)


def test_the_job_takes_the_settings_of_the_command() -> None:
    assert set(DeployEndpointConfig.model_fields) == set(DeploymentSettings.model_fields)


def test_the_jobs_deploy_and_delete(stage: Stage) -> None:
    before = stage.everything()
    done = deploy(stage, max_instances=2, backlog_target=3.5, environment={"A": "b"})
    assert done.success
    assert stage.endpoint()["EndpointStatus"] == "InService"
    assert stage.model()["PrimaryContainer"]["Environment"]["A"] == "b"
    assert stage.everything()["targets"][0]["MaxCapacity"] == 2
    assert run(stage, deployment_jobs.delete_endpoint, "delete_from_sagemaker").success
    assert stage.everything() == before


def test_the_job_tells_what_is_under_way_with_the_model_that_it_replaces(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    deploy(stage)
    for video_id in "ab":
        submitted(stage.storage, video_id, interpolator="film", model_id="film-1-0123abcd", chunks=1)
    assert deploy(stage, package=str(package_of(stage.folder, "film-2-4567cdef"))).success
    assert "under way with film-1-0123abcd: 2 videos. What" in capfd.readouterr().err


def test_a_bad_setting_is_a_failure_that_is_not_retried(stage: Stage) -> None:
    done = deploy(stage, max_instances=0)
    assert not done.success
    [failure] = [event.step_failure_data for event in done.all_events if event.event_type_value == "STEP_FAILURE"]
    assert failure.user_failure_data is not None
    assert "max_instances = 0" in (failure.user_failure_data.description or "")


def test_a_run_that_is_terminated_says_what_it_leaves(stage: Stage) -> None:
    def terminate_while_it_waits(stage: str, *_: object) -> None:
        if stage == "endpoint creating":
            os.kill(os.getpid(), signal.SIGINT)  # Dagster takes SIGTERM for the same

    stage.script.slow = 3
    done = deploy(stage, progress=lambda log: terminate_while_it_waits)
    [failure] = [event.step_failure_data for event in done.all_events if event.event_type_value == "STEP_FAILURE"]
    assert failure.error is not None
    assert "is Creating and does not scale: 1 ml.g5.xlarge at full price" in failure.error.message


def test_what_is_deleted_must_be_named() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="name"):
        dg.validate_run_config(deployment_jobs.delete_endpoint, {"ops": {"delete_from_sagemaker": {"config": {}}}})


def test_nothing_that_is_materialised_deploys() -> None:
    for job in (deployment_jobs.deploy_endpoint, deployment_jobs.delete_endpoint):
        assert not job.asset_layer.executable_asset_keys
