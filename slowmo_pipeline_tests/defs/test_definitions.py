import json
import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.assets import RawVideoConfig
from slowmo_pipeline.settings import FIELDS
from slowmo_pipeline_tests.support.places import REPOSITORY

LOAD = """
import json, sys
from slowmo_pipeline.definitions import defs
print(json.dumps({
    "modules": sorted(sys.modules),
    "jobs": [job.name for job in defs.jobs],
    "sagemaker": [spec.key.to_user_string() for spec in defs.resolve_all_asset_specs() if "sagemaker" in spec.kinds],
}))
"""
HEAVY = ("tensorflow", "cv2", "sagemaker", "dagster_aws", "pandas", "uvicorn", "moto")


def test_the_code_location_loads() -> None:
    dg.Definitions.validate_loadable(defs)


@pytest.fixture(scope="module")
def loading() -> subprocess.CompletedProcess[str]:
    """A process that loads the code location, tells its modules and jobs, and keeps no warning back."""
    return load({})


def load(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "always", "-c", LOAD]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})


def test_loading_the_code_location_stays_light(loading: subprocess.CompletedProcess[str]) -> None:
    loaded = json.loads(loading.stdout)["modules"]
    assert "dagster" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_loading_the_code_location_warns_of_nothing(loading: subprocess.CompletedProcess[str]) -> None:
    assert loading.stderr == ""


def test_no_job_deploys_or_deletes_unless_it_is_switched_on(loading: subprocess.CompletedProcess[str]) -> None:
    by_default = json.loads(loading.stdout)["jobs"]
    switched_on = json.loads(load({"SLOWMO_DEPLOYMENT_JOBS": "1"}).stdout)["jobs"]
    assert {*switched_on} - {*by_default} == {"deploy_endpoint", "delete_endpoint"}


def test_the_workspace_names_the_location_on_which_the_sensors_states_hang() -> None:
    [entry] = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"]
    assert entry == {
        "python_module": {"module_name": "slowmo_pipeline.definitions", "location_name": "slowmo_pipeline"}
    }


def test_sagemaker_shows_where_it_can_work(loading: subprocess.CompletedProcess[str]) -> None:
    over_a_folder = json.loads(loading.stdout)["sagemaker"]
    over_a_bucket = json.loads(load({"SLOWMO_STORAGE": "s3://bucket/prefix"}).stdout)["sagemaker"]
    assert (over_a_folder, sorted(over_a_bucket)) == ([], ["endpoint", "interpolated_chunks"])


def test_no_tool_block_wins_over_the_workspace() -> None:
    assert "[tool.dagster]" not in [line.strip() for line in (REPOSITORY / "pyproject.toml").read_text().splitlines()]
    assert "[tool.dg]" not in [line.strip() for line in (REPOSITORY / "pyproject.toml").read_text().splitlines()]


def test_all_assets_share_the_partitions_of_videos() -> None:
    definitions = [asset.partitions_def for asset in defs.resolve_all_asset_specs()]
    assert len(definitions) == 5
    assert all(isinstance(found, dg.DynamicPartitionsDefinition) and found.name == "videos" for found in definitions)


def test_all_that_people_see_says_what_it_is_in_plain_sentences() -> None:
    """Dagster's lists show marks of Markdown as they are."""
    checks = [spec for check in defs.asset_checks or [] for spec in check.check_specs]
    seen = [*defs.resolve_all_asset_specs(), *checks, *(defs.jobs or []), *(defs.sensors or [])]
    assert len(seen) > 15
    told = [each.description or "" for each in seen]
    assert [text for text in told if not re.fullmatch(r"[A-Z][^*`]+[.]", text)] == []


def test_every_setting_can_be_given_in_the_launchpad() -> None:
    assert set(RawVideoConfig.model_fields) == set(FIELDS)


def test_an_unknown_setting_is_refused_by_the_launchpad() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="tempo"):
        dg.validate_run_config(defs.resolve_job_def("slow_motion"), {"ops": {"raw_video": {"config": {"tempo": "4"}}}})


def test_only_sensors_that_spend_no_money_run_by_themselves() -> None:
    running = {sensor.name: sensor.default_status for sensor in defs.sensors or []}
    assert running == {
        "new_uploads": dg.DefaultSensorStatus.STOPPED,
        "completed_outputs": dg.DefaultSensorStatus.RUNNING,
        "served_models": dg.DefaultSensorStatus.RUNNING,
        "unscaled_endpoints": dg.DefaultSensorStatus.RUNNING,
        "finished_videos": dg.DefaultSensorStatus.RUNNING,
        "failed_videos": dg.DefaultSensorStatus.RUNNING,
    }


def test_the_instance_configuration_is_valid(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled
