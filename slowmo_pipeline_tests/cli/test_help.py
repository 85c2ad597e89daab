"""What a person sees who asks for help."""

import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from slowmo_pipeline.cli.app import app
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.wide import WIDE


def commands(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    for name, found in group.commands.items():
        yield from commands(found, *above, name) if isinstance(found, TyperGroup) else [(*above, name)]


COMMANDS = [*commands(typer.main.get_command(app))]


def help_of(*words: str, **environment: str) -> str:
    return CliRunner().invoke(app, [*words, "--help"], env={**WIDE, **environment}).output


def examples_of(*words: str) -> list[str]:
    _, _, told = help_of(*words).partition(" Examples:")
    return [line.strip() for line in told.splitlines() if line.strip()]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_its_help_ends_with_examples_that_can_be_typed(words: tuple[str, ...]) -> None:
    examples = examples_of(*words)
    assert examples
    for example in examples:
        typed = shlex.split(re.sub(r"^[A-Z_]+=\S+ | > \S+$", "", example))
        assert typed[: len(words) + 1] == ["slowmo", *words]
        found: Any = typer.main.get_command(app)
        for name in words:
            found = found.commands[name]
        found.make_context("slowmo", typed[len(words) + 1 :])


def test_a_terminal_breaks_the_lines_of_help_not_the_source() -> None:
    told = slowmo("run", "--help", env={**os.environ, "COLUMNS": "60", "TERMINAL_WIDTH": "60"}).stdout
    paragraph = re.search(r"A clip that fails does.*?win over both\.", told, re.DOTALL)
    assert paragraph
    *full, _ = paragraph[0].splitlines()
    assert len(full) > 3
    assert all(len(line.strip()) > 40 for line in full)


def test_alone_it_names_the_three_commands_that_matter() -> None:
    done = slowmo()
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^    slowmo (\w+)", done.stdout, re.MULTILINE) == ["run", "up", "doctor"]
    assert "slowmo --help" in done.stdout


def test_the_list_of_commands_begins_with_them() -> None:
    listed = re.findall(r"^│ (\w+) {2,}\S", help_of().partition("Commands that matter")[2], re.MULTILINE)
    assert listed[:3] == ["run", "up", "doctor"]
    assert {*listed} == {words[0] for words in COMMANDS}
