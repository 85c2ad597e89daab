"""What shells are offered, asked as the scripts that they get ask."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.interpolation.catalog import INTERPOLATORS
from slowmo_pipeline.models.saved_model import GRAPH
from slowmo_pipeline.video.writer import CODECS
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


def offered(line: str, shell: str = "fish") -> str:
    """What a shell is answered for a line that ends where the cursor is."""
    words = line.split(" ")
    asked = {
        "_SLOWMO_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = slowmo(env={**os.environ, **asked})
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_the_values_of_a_setting(shell: str) -> None:
    answer = offered("slowmo run --codec ", shell)
    assert all(codec in answer for codec in CODECS)
    assert "prores" in offered("slowmo run --codec p", shell)
    assert "h264" not in offered("slowmo run --codec p", shell)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("slowmo run --sound ", ["stretch", "keep", "none"]),
        ("slowmo plan --cuts ", ["off"]),
        ("slowmo run --interpolator ", [*INTERPOLATORS]),
        ("slowmo up --interpolator fi", ["film"]),
        ("slowmo endpoint deploy model.tar.gz --interpolator fl", ["flow"]),
    ],
)
def test_words_that_an_option_takes_are_offered(line: str, values: list[str]) -> None:
    assert offered(line).split() == values


def test_the_ids_of_videos_are_offered(pipeline: TestPipeline) -> None:
    first, second = (pipeline.drop(f"{name} offered.mp4") for name in ("one", "two"))
    for command in ("status", "clean", "delete"):
        assert offered(f"slowmo {command} ").split() == [first, second]
        assert offered(f"slowmo {command} tw").split() == [second]


def test_a_storage_that_cannot_be_read_offers_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOWMO_STORAGE", "nonsense://there")
    assert offered("slowmo status ").split() == []


def test_fetched_models_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path))
    (tmp_path / "models" / "style").mkdir(parents=True)
    (tmp_path / "models" / "style" / GRAPH).touch()
    assert offered("slowmo run --model s").split() == ["style"]


def test_bash_completes_with_the_script_that_it_is_given(tmp_path: Path) -> None:
    program = tmp_path / "slowmo"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom slowmo_pipeline.__main__ import main\nsys.argv[0] = 'slowmo'\nmain()\n"
    )
    program.chmod(0o755)
    typed = """
source <(slowmo --show-completion)
COMP_WORDS=(slowmo run --interlaced de) COMP_CWORD=3
_slowmo_completion slowmo
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", typed], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("deinterlace\n", "")
