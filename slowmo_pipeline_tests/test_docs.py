"""What the documentation tells people to type is what the program takes."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import Field, create_model
from typer.core import TyperGroup

from slowmo_pipeline.cli.app import app
from slowmo_pipeline.settings import SlowMotionSettings, meaning
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), *(REPOSITORY / "deploy").rglob("*.md")]
COMMAND = re.compile(r"^ {4}(slowmo .*)$|^(slowmo .*)$|`(slowmo [^`]*)`", re.MULTILINE)


def documented() -> list[str]:
    found = {"".join(groups) for page in PAGES for groups in COMMAND.findall(page.read_text())}
    return sorted(" ".join(command.split()) for command in found)


def test_the_pages_show_commands() -> None:
    assert len(documented()) > 20


def parse(command: str) -> None:
    """Read a command line as the program would, without running it."""
    words = [*takewhile(lambda word: word not in ("|", ">"), shlex.split(command, comments=True)[1:])]
    found: Any = typer.main.get_command(app)
    if words[0].startswith("-"):
        assert words[0] in ("--help", *(option for each in found.params for option in each.opts))
        return
    while isinstance(found, TyperGroup):
        name = words.pop(0)
        inner = found.commands.get(name)
        assert inner is not None, f"there is no command {name}"
        found = inner
        if not words:
            return  # a command named in a sentence stands without its arguments
    found.make_context("slowmo", words)


@pytest.mark.parametrize("command", documented())
def test_a_documented_command_is_one(command: str) -> None:
    parse(command)


@pytest.mark.parametrize("command", ["slowmo nonsense", "slowmo model nonsense", "slowmo run a.mp4 --tempo 3"])
def test_other_commands_would_be_noticed(command: str) -> None:
    with pytest.raises(Exception, match=r"no command|No such option"):
        parse(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (REPOSITORY / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with fade_pipeline(tmp_path_factory.mktemp("home")):
        yield


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_and_prints_where_the_result_lies(example: str, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("clip.mp4", "clips/a.mp4"):
        write_clip(tmp_path / name, grey_frames(6))
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    [*_, path] = re.findall(r"^\S+\.(?:mp4|mov)\b", done.stdout, re.MULTILINE)
    assert (tmp_path / path).is_file()


def settings_table(settings: type[SlowMotionSettings]) -> str:
    rows = [
        f"| `{field.alias or name}` | {_written(field.default)} | {meaning(field)} |"
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]) + "\n\n"


def _written(default: object) -> str:
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return "true" if default else "false"
    return f"{default:,}" if isinstance(default, int) else f"`{default}`"


def test_the_table_of_the_settings_is_that_of_the_program() -> None:
    table = settings_table(SlowMotionSettings)
    assert table in (REPOSITORY / "README.md").read_text(), f"Put this under README.md's heading Settings:\n\n{table}"


@pytest.mark.parametrize(
    "other",
    [
        {"mirrored": (bool, Field(False, description="Left is right."))},
        {"sound": (str, Field("none", description=SlowMotionSettings.model_fields["sound"].description))},
        {"keep_results": (bool, Field(True, description="Keep them."))},
    ],
    ids=["another setting", "another default", "another meaning"],
)
def test_a_table_of_other_settings_would_be_noticed(other: Any) -> None:
    table = settings_table(create_model("Other", __base__=SlowMotionSettings, **other))
    assert table not in (REPOSITORY / "README.md").read_text()
