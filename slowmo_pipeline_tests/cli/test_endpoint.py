from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from slowmo_pipeline.cli.endpoint import endpoint_app
from slowmo_pipeline.deployment.scaling import remove_scaling
from slowmo_pipeline.deployment.settings import DeploymentSettings
from slowmo_pipeline.errors import EndpointError, SettingsError
from slowmo_pipeline.settings import meaning
from slowmo_pipeline_tests.support.sagemaker_server import IMAGE, ROLE, Stage, deployment_stage, package_of
from slowmo_pipeline_tests.support.steps import submitted
from slowmo_pipeline_tests.support.wide import WIDE


@pytest.fixture
def stage(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("SLOWMO_STORAGE", s3_url)
    with deployment_stage(s3_server, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def slowmo_endpoint(*arguments: object) -> Result:
    return CliRunner().invoke(endpoint_app, list(map(str, arguments)))


def deploy(stage: Stage, *options: object) -> Result:
    return slowmo_endpoint(
        "deploy", stage.package, "--name", stage.name, "--role-arn", ROLE, "--image-uri", IMAGE, *options
    )


def test_every_setting_is_an_option_with_its_meaning_and_default() -> None:
    told = CliRunner().invoke(endpoint_app, ["deploy", "--help"], env=WIDE).output
    for name, field in DeploymentSettings.model_fields.items():
        assert name in told or f"--{name.replace('_', '-')}" in told
        assert meaning(field) in told
    assert "[default: (ml.g5.xlarge)]" in told


def test_deploy_prints_what_it_changed_and_what_runs(stage: Stage) -> None:
    done = deploy(stage)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("uploaded s3://slowmo/")
    assert f"created endpoint {stage.name}" in lines
    assert [tuple(line.split()) for line in lines[-4:]] == [
        ("endpoint", stage.name),
        ("model_id", "film-1-0123abcd"),
        ("image_uri", IMAGE),
        ("inference_ami_version", "al2-ami-sagemaker-inference-gpu-3-1"),
    ]
    assert "unchanged" not in lines


def test_deploying_again_prints_unchanged(stage: Stage) -> None:
    deploy(stage)
    assert deploy(stage).stdout.splitlines()[0] == "unchanged"


def test_deploying_another_model_tells_what_is_under_way_before_what_it_changes(stage: Stage) -> None:
    deploy(stage)
    submitted(stage.storage, "a", interpolator="film", model_id="film-1-0123abcd", chunks=3)
    stage.package = package_of(stage.folder, "film-2-4567cdef")
    first, *lines = deploy(stage).stdout.splitlines()
    assert first == (
        "under way with film-1-0123abcd: 1 videos. What it has not completed is made with film-2-4567cdef; up to 3 "
        "chunks in its queue are still computed and paid for"
    )
    assert any(line.startswith("changing endpoint") for line in lines)
    assert deploy(stage).stdout.splitlines()[0] == "unchanged"


def test_options_become_settings(stage: Stage) -> None:
    deploy(stage, "--instance-type", "ml.g4dn.xlarge", "--max-instances", 2, "--environment", "A=b=c")
    assert stage.config()["ProductionVariants"][0]["InstanceType"] == "ml.g4dn.xlarge"
    assert stage.model()["PrimaryContainer"]["Environment"]["A"] == "b=c"
    assert stage.everything()["targets"][0]["MaxCapacity"] == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--max-instances", 0], "max_instances = 0"),
        (["--environment", "A"], "--environment 'A' must be NAME=VALUE"),
        (["--kms-key", "!"], "kms_key = '!'"),
        (["--inference-ami-version", "gpu"], "inference_ami_version = 'gpu'"),
    ],
)
def test_a_bad_option_is_told_before_anything_is_made(stage: Stage, options: list[object], told: str) -> None:
    before = stage.everything()
    done = deploy(stage, *options)
    assert isinstance(done.exception, SettingsError)
    assert told in str(done.exception)
    assert stage.everything() == before


def test_what_was_made_before_a_failure_is_printed(stage: Stage) -> None:
    stage.script.failure = "No capacity."
    done = deploy(stage)
    stage.script.failure = None
    assert isinstance(done.exception, EndpointError)
    assert f"created endpoint {stage.name}" in done.stdout.splitlines()


def test_status_prints_a_fact_a_line(stage: Stage) -> None:
    deploy(stage)
    stage.storage.write("failures/0.out", b'{"code": 507, "message": "No memory\\nat all."}')
    lines = slowmo_endpoint("status", "--name", stage.name).stdout.splitlines()
    facts = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in lines}
    assert facts["endpoint"] == f"{stage.name} in us-east-1"
    assert facts["status"] == "InService"
    assert facts["instances"] == "1 of 1 wanted, ml.g5.xlarge"
    assert facts["scaling"] == "0 to 5 instances"
    assert facts["backlog"] == facts["oldest"] == "not known"
    assert facts["price"] == "$1.408 an hour (list price)"
    assert facts["failure"].endswith(f"{stage.storage.url}/failures/0.out  No memory at all.")


def test_status_says_what_an_endpoint_costs_that_does_not_scale(stage: Stage) -> None:
    deploy(stage)
    assert "unscaled" not in slowmo_endpoint("status", "--name", stage.name).stdout
    remove_scaling(stage.aws, stage.names, print)
    lines = slowmo_endpoint("status", "--name", stage.name).stdout.splitlines()
    [told] = [line for line in lines if line.startswith("unscaled")]
    assert "1 ml.g5.xlarge at full price, with work or without, $1.408 an hour (list price). Unless" in told


def test_scale_prints_what_it_changed(stage: Stage) -> None:
    deploy(stage)
    options = ["--name", stage.name, "--min", 1, "--max", 3, "--target", 2]
    assert f"set scaling of {stage.name} to 1 to 3 instances" in slowmo_endpoint("scale", *options).stdout
    assert slowmo_endpoint("scale", *options).stdout == "unchanged\n"


def test_delete_prints_what_it_removed(stage: Stage) -> None:
    deploy(stage)
    lines = slowmo_endpoint("delete", "--name", stage.name).stdout.splitlines()
    assert f"deleted endpoint {stage.name}" in lines
    assert slowmo_endpoint("delete", "--name", stage.name).stdout == f"nothing of {stage.name} was there\n"
