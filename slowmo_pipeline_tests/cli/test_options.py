import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner, Result

from slowmo_pipeline.cli.app import app
from slowmo_pipeline.cli.options import with_settings
from slowmo_pipeline.settings import FIELDS, LIMITS, PACE, meaning
from slowmo_pipeline.settings.quantities import ExactNumber
from slowmo_pipeline_tests.support.wide import WIDE


class Knobs(BaseModel):
    place: Path = Field(description="Where.")
    label: str = Field(description="Which.")
    rate: ExactNumber | None = Field(None, description="How fast.")
    count: int = Field(3, ge=1, description="How many.")
    share: float | None = Field(None, description="How much.")
    kept: bool = Field(True, description="Whether.")
    names: dict[str, str] = Field({}, description="What else.")


GIVEN = ["--label", "a"]


def invoke(*arguments: str) -> tuple[Result, dict[str, Any]]:
    got: dict[str, Any] = {}
    command = typer.Typer()

    @command.command()
    @with_settings(Knobs.model_fields)
    def turn(*, own: Annotated[int | None, typer.Option()] = None, **given: object) -> None:
        got.update(own=own, **given)

    return CliRunner().invoke(command, [*arguments], env=WIDE), got


def help_of(command: str) -> str:
    return CliRunner().invoke(app, [command, "--help"], env=WIDE).output


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], {}),
        (["--count", "0"], {"count": 0}),
        (["--rate", "5/2"], {"rate": "5/2"}),
        (["--share", "2.5"], {"share": 2.5}),
        (["--kept"], {"kept": True}),
        (["--no-kept"], {"kept": False}),
        (["--names", "A=b", "--names", "C=d"], {"names": ["A=b", "C=d"]}),
        (["--own", "7"], {"own": 7}),
    ],
    ids=" ".join,
)
def test_a_command_gets_what_was_given_and_nothing_else(arguments: list[str], given: dict[str, Any]) -> None:
    _, got = invoke("here", *GIVEN, *arguments)
    assert got == {"place": Path("here"), "label": "a", "own": None, **given}


@pytest.mark.parametrize("arguments", [["here"], GIVEN, ["here", *GIVEN, "--count", "many"]], ids=" ".join)
def test_what_is_missing_or_of_another_type_is_a_wrong_usage(arguments: list[str]) -> None:
    done, got = invoke(*arguments)
    assert (done.exit_code, got) == (2, {})


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_reaches_its_command_by_the_name_that_people_write(name: str) -> None:
    got: dict[str, Any] = {}
    command = typer.Typer()

    @command.command()
    @with_settings({name: FIELDS[name]})
    def turn(**given: object) -> None:
        got.update(given)

    option = f"--{name.replace('_', '-')}"
    switch = isinstance(FIELDS[name].default, bool)
    done = CliRunner().invoke(command, [option] if switch else [option, "7"], env=WIDE)
    assert (done.exit_code, [*got]) == (0, [name])


def test_help_shows_defaults_and_tells_them_of_no_setting_that_has_none() -> None:
    lines = {line.split()[1]: line for line in invoke("--help")[0].output.splitlines() if "--" in line}
    assert "How many. At least 1. [default: (3)]" in lines["--count"]
    assert "[default: (true)]" in lines["--kept"]
    assert not [name for name in ("--rate", "--share", "--names", "--own") if "default" in lines[name]]


def test_every_setting_but_the_limits_is_an_option_of_run() -> None:
    told = help_of("run")
    for name, field in FIELDS.items():
        option = f"--{name.replace('_', '-')} "
        assert (name in LIMITS) == (option not in told)
        assert name in LIMITS or meaning(field) in told


@pytest.mark.parametrize("command", ["run", "cost"])
def test_the_limits_are_named(command: str) -> None:
    assert ", ".join(LIMITS) in help_of(command)


def test_cost_takes_the_settings_that_it_depends_on() -> None:
    told = help_of("cost")
    assert [name for name, field in FIELDS.items() if meaning(field) in told] == [*PACE]


def test_help_stays_light() -> None:
    program = "import json, sys; from slowmo_pipeline.cli.app import app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = json.loads(done.stdout)
    assert "slowmo_pipeline.settings" in loaded
    assert not {"av", "boto3", "cv2", "dagster", "numpy", "pandas", "tensorflow", "uvicorn"} & {*loaded}
