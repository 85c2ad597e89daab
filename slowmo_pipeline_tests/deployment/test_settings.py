import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES
from slowmo_pipeline.deployment import container_environment
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.settings import DeploymentSettings, parse_deployment
from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.serving.container.djl.environment import DJL_ENVIRONMENT

GIVEN = {"package": "model.tar.gz", "role_arn": "arn:aws:iam::123456789012:role/slowmo"}


def settings(**changes: Any) -> DeploymentSettings:
    return parse_deployment({**GIVEN, **changes})


def test_defaults_are_those_of_the_reference_solution() -> None:
    found = settings()
    assert found.package == Path("model.tar.gz")
    assert (found.min_instances, found.max_instances, found.backlog_target) == (0, 5, 5)
    assert (found.scale_in_cooldown, found.scale_out_cooldown) == (600, 300)
    assert found.invocations_per_instance == 1


def test_unset_settings_take_their_defaults() -> None:
    assert settings(image_uri=None, max_instances=None) == settings()


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in DeploymentSettings.model_fields.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "slowmo_film"}, r"name = 'slowmo_film' .*up to 54 characters"),
        ({"name": "s" * 55}, r"at most 54 characters"),
        ({"name": "slowmo-"}, r"name = 'slowmo-'"),
        ({"role_arn": "slowmo"}, r"role_arn = 'slowmo' .*ARN of the role"),
        ({"role_arn": None}, r"role_arn must be given: ARN of the role"),
        ({"package": None}, r"package must be given: The model\.tar\.gz"),
        ({"instance_type": "g5.xlarge"}, r"instance_type = 'g5\.xlarge'"),
        (
            {"instance_type": "ml.inf1.xlarge"},
            r"^instance_type = 'ml\.inf1\.xlarge' has no NVIDIA GPU.* without any\.$",
        ),
        ({"max_instances": 0}, r"max_instances = 0 should be greater than or equal to 1"),
        ({"min_instances": 6}, r"^min_instances = 6 must not exceed max_instances = 5\.$"),
        ({"startup_timeout": 3601}, r"startup_timeout = 3601 should be less than or equal to 3600"),
        ({"success_topic": "slowmo"}, r"success_topic = 'slowmo'"),
        ({"environment": {"SERVING_MAX_REQUEST_SIZE": "1G"}}, r"SERVING_MAX_REQUEST_SIZE = '1G' .*number of bytes"),
        (
            {"environment": {"2ND": "a"}},
            r"The variable '2ND' of .* environment must have a name of letters",
        ),
        ({"environment": {"A B": ""}}, r"variable 'A B' "),
        ({"environment": {"A\n": ""}}, r"variable 'A\\n' "),
        ({"environment": {"ÄTHER": ""}}, r"variable 'ÄTHER' "),
        ({"environment": {"A" * 1025: ""}}, r"has a name of 1025 characters, and SageMaker takes 1024"),
        ({"environment": {"A": "secret" * 171}}, r"^The variable 'A' .* a value of 1026 characters, .* takes 1024\.$"),
        (
            {"environment": {f"A{n}": "" for n in range(100)}},
            r"has 10\d variables, .*: leave out A9\d",
        ),
        ({"environment": {"A": 1}}, r"environment\.A = 1 should be a valid string"),
        ({"speed": 1}, r"speed = 1 .*known are name, interpolator"),
    ],
)
def test_bad_settings_are_quoted_with_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(**changes)


def test_the_environment_adds_to_what_large_chunks_need() -> None:
    given = {"JAVA_OPTS": "-Xmx8g", "OMP_NUM_THREADS": "4"}
    environment = settings(instance_type="ml.m5.xlarge", environment=given).container_environment
    assert environment == {**DJL_ENVIRONMENT, "JAVA_OPTS": "-Xmx8g", "OMP_NUM_THREADS": "4"}


def test_the_environment_may_be_as_large_as_sagemaker_takes_it() -> None:
    needed = settings().container_environment
    room = container_environment.MAX_VARIABLES - len(needed)
    names = [f"_{number}".ljust(container_environment.MAX_CHARACTERS, "a") for number in range(room)]
    largest = dict.fromkeys(names, "ß\n" * (container_environment.MAX_CHARACTERS // 2))
    assert settings(environment=largest).container_environment == {**needed, **largest}


def test_the_limits_of_the_environment_are_those_of_sagemakers_own_model() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    environment: Any = model.shape_for("ContainerDefinition").members["Environment"]  # type: ignore[attr-defined]  # a structure
    assert environment.metadata["max"] == container_environment.MAX_VARIABLES
    assert environment.key.metadata["pattern"] == container_environment.NAME_PATTERN
    assert environment.key.metadata["max"] == container_environment.MAX_CHARACTERS
    assert environment.value.metadata["max"] == container_environment.MAX_CHARACTERS
    assert re.fullmatch(environment.value.metadata["pattern"], "ß\n") is not None


@pytest.mark.parametrize(("limit", "body"), [("1000", 1000), ("99999999999", MAX_TAR_BYTES)])
def test_the_body_limit_is_the_lowest_on_the_way(limit: str, body: int) -> None:
    assert settings(environment={"SERVING_MAX_REQUEST_SIZE": limit}).max_body_bytes == body


def test_another_content_gets_another_name() -> None:
    names = Names("slowmo-film")
    first = names.version({"Image": "a", "Role": "r"})
    assert first == names.version({"Role": "r", "Image": "a"})
    assert first != names.version({"Image": "b", "Role": "r"})
    assert names.is_version(first)


def test_names_of_a_deployment_whose_name_begins_alike_are_not_its_own() -> None:
    assert not Names("slowmo").is_version(Names("slowmo-film").version({}))
    assert not Names("slowmo").is_version("slowmo-film")
    assert not Names("slow.o").is_version(Names("slowmo").version({}))


def test_names_fit_what_sagemaker_takes() -> None:
    assert len(Names(settings(name="s" * 54).name).version({})) == 63
