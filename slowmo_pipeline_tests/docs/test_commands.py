"""What the pages tell people to type is what the programs take."""

import configparser
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from slowmo_pipeline.cli.app import app
from slowmo_pipeline_tests.support.forked import Forked
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.pages import DOCS, commands, fenced
from slowmo_pipeline_tests.support.pipeline import fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY


def parse(command: str) -> None:
    """Read a command line as the program would, without running it."""
    words = [word for word in shlex.split(command, comments=True) if word != "--help"]
    words = list(takewhile(lambda word: word not in ("|", ">"), words))
    found: Any = typer.main.get_command(app)
    words = words[words.index("slowmo") + 1 :]  # variables of the environment may stand before it
    while isinstance(found, TyperGroup):
        if not words:
            return
        name = words.pop(0)
        if name.startswith("-"):
            assert any(name in option.opts for option in found.params), f"No such option: {name}"
            return
        inner = found.commands.get(name)
        assert inner is not None, f"there is no command {name}"
        found = inner
    if words:  # a command named in a sentence stands without its arguments
        found.make_context("slowmo", words)


@pytest.mark.parametrize("command", commands("slowmo"))
def test_a_command_of_slowmo_is_one(command: str) -> None:
    parse(command)


@pytest.mark.parametrize(
    "command", ["slowmo nonsense", "slowmo model nonsense", "slowmo run a.mp4 --tempo 3", "slowmo --tempo"]
)
def test_other_commands_would_be_noticed(command: str) -> None:
    with pytest.raises(Exception, match=r"no command|No such option"):
        parse(command)


@pytest.mark.parametrize("command", commands("make"))
def test_what_make_is_asked_for_is_a_target(command: str) -> None:
    _, target, *_ = shlex.split(command, comments=True)
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", commands("python"))
def test_a_module_that_python_is_to_run_is_there(command: str) -> None:
    _, option, module, *_ = shlex.split(command, comments=True)
    assert option == "-m"
    assert find_spec(module)


@pytest.mark.parametrize("command", commands("pip"))
def test_what_pip_is_to_install_is_here_with_its_extras(command: str) -> None:
    place, _, extras = shlex.split(command, comments=True)[-1].partition("[")
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    assert place in (".", setup["metadata"]["name"])
    assert set(filter(None, extras.strip("]").split(","))) <= set(setup["options.extras_require"])


@pytest.mark.parametrize("command", [*commands("aws"), *commands("docker")])
def test_files_that_other_programs_are_to_read_are_there(command: str) -> None:
    files = [word for word in shlex.split(command, comments=True) if word.startswith("deploy/")]
    assert all((REPOSITORY / file).is_file() for file in files), files


def test_the_workspace_that_dagster_is_to_load_is_there() -> None:
    [command] = {command for command in commands("dagster") if "dev -w" in command}
    assert (REPOSITORY / command.split()[-1]).is_file()


EXAMPLES = fenced(DOCS / "python.md", "python")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with fade_pipeline(tmp_path_factory.mktemp("home")):
        yield


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_and_prints_where_the_result_lies(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name in ("clip.mp4", "clips/a.mp4"):
        write_clip(tmp_path / name, grey_frames(6))
    done = Forked(program=example).end()

    assert (done.returncode, done.stderr) == (0, "")
    [*_, path] = re.findall(r"^\S+\.(?:mp4|mov)\b", done.stdout, re.MULTILINE)
    assert (tmp_path / path).is_file()
