"""deploy/dagster/dagster.yaml: Dagster takes it, its classes take their parts, and nothing of the default one is lost.

All but Postgres, which is not contacted, and ECS, which is first asked when a run is launched.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster._utils.merger import deep_merge_dicts
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config

from slowmo_pipeline.defs.video_sensors import MAX_NEW_VIDEOS
from slowmo_pipeline_tests.support.places import REPOSITORY

DEPLOYED = REPOSITORY / "deploy" / "dagster"

VARIABLES = {
    "DAGSTER_POSTGRES_HOST": "db.example.com",
    "DAGSTER_POSTGRES_DB": "dagster",
    "DAGSTER_POSTGRES_USER": "slowmo",
    "DAGSTER_POSTGRES_PASSWORD": "p@ss/word",
    "DAGSTER_LOG_BUCKET": "slowmo",
}


@pytest.fixture
def _variables(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ref(_variables: None, tmp_path: Path) -> InstanceRef:
    """What Dagster makes of the file."""
    return InstanceRef.from_dir(str(tmp_path), config_dir=str(DEPLOYED))


@pytest.fixture
def instance(_variables: None, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance, but for its storage."""
    elsewhere = {"storage": {"sqlite": {"base_dir": str(tmp_path)}}}
    ref = InstanceRef.from_dir(str(tmp_path), config_dir=str(DEPLOYED), overrides=elsewhere)
    with dg.DagsterInstance.from_ref(ref) as instance:
        yield instance


def postgres_url(ref: InstanceRef) -> str:
    data = ref.storage_data
    assert data is not None
    assert (data.module_name, data.class_name) == ("dagster_postgres", DagsterPostgresStorage.__name__)
    config = process_config(resolve_to_config_type(DagsterPostgresStorage.config_type()), data.config_dict)
    assert config.value is not None, config.errors
    return pg_url_from_config(config.value)


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


def test_postgres_is_where_the_environment_says(ref: InstanceRef) -> None:
    url = create_pg_engine(postgres_url(ref)).url  # loads the driver, connects to nothing
    assert (url.host, url.database, url.username) == ("db.example.com", "dagster", "slowmo")
    assert url.password == VARIABLES["DAGSTER_POSTGRES_PASSWORD"]
    assert url.query == {"sslmode": "require"}


def test_a_missing_variable_is_named(ref: InstanceRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_LOG_BUCKET")
    with pytest.raises(dg.DagsterInvalidConfigError, match="DAGSTER_LOG_BUCKET"):
        ref.compute_logs_data.rehydrate()


def test_runs_are_tasks_whose_death_is_noticed(instance: dg.DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, EcsRunLauncher)
    assert launcher.use_current_ecs_task_config
    assert launcher.supports_check_run_worker_health
    assert instance.run_monitoring_enabled


def test_what_a_run_prints_lies_in_the_bucket(instance: dg.DagsterInstance, s3_server: str) -> None:
    manager = instance.compute_log_manager
    assert isinstance(manager, S3ComputeLogManager)
    with manager.capture_logs(["one-run", "compute_logs", "a-step"]):
        print("printed by a step", flush=True)
    client = boto3.client("s3", endpoint_url=s3_server)
    stored = client.get_object(Bucket="slowmo", Key="dagster-logs/storage/one-run/compute_logs/a-step.out")
    assert b"printed by a step" in stored["Body"].read()


def test_a_tick_of_new_uploads_fits_beside_backfills(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == MAX_NEW_VIDEOS
    [backfills] = [limit for limit in queue.tag_concurrency_limits if limit["key"] == "dagster/backfill"]
    assert backfills["limit"] < queue.max_concurrent_runs


def test_never_two_runs_of_one_video(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    [default] = read(REPOSITORY / "dagster.yaml")["concurrency"]["runs"]["tag_concurrency_limits"]
    assert default in queue.tag_concurrency_limits


@pytest.mark.parametrize("part", ["run_retries", "telemetry", "nux", "python_logs"])
def test_it_keeps_what_the_default_instance_decides(part: str) -> None:
    assert read(DEPLOYED / "dagster.yaml")[part] == read(REPOSITORY / "dagster.yaml")[part]


def test_it_says_everything_that_the_default_instance_says() -> None:
    deployed, default = read(DEPLOYED / "dagster.yaml"), read(REPOSITORY / "dagster.yaml")
    assert deep_merge_dicts(default, deployed) == deployed


def test_the_readme_names_every_variable() -> None:
    asked = re.findall(r"env: (\w+)", (DEPLOYED / "dagster.yaml").read_text())
    assert set(asked) == set(VARIABLES)
    readme = (DEPLOYED / "README.md").read_text()
    assert [name for name in asked if f"`{name}`" not in readme] == []
