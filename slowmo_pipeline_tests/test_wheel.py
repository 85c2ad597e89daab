"""The first minutes outside of a clone: the wheel, an empty environment, the README's first commands.

`make test-wheel` runs it. pip takes what it takes by its own configuration.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from slowmo_pipeline_tests.support.pages import first_commands
from slowmo_pipeline_tests.support.places import REPOSITORY
from slowmo_pipeline_tests.support.processes import free_port, make_clip

pytestmark = pytest.mark.wheel

BUILT_FROM = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "dagster.yaml", "workspace.yaml")
PACKAGE = "slowmo_pipeline"


def files_of_the_package() -> set[str]:
    """Every file below the package, whatever it is."""
    found = (REPOSITORY / PACKAGE).rglob("*")
    return {path.relative_to(REPOSITORY).as_posix() for path in found if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what an earlier build left beside the sources would get into this one."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        shutil.copy(REPOSITORY / name, source)
    for name in (PACKAGE, "slowmo_pipeline_tests"):
        shutil.copytree(REPOSITORY / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(source)]
    subprocess.run(pip, check=True)
    [path] = built.glob("*.whl")
    return path


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel and what it asks for, and a folder to work in."""

    bin: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a user has who never saw the clone: nothing of Python's or of this program's is set."""
        kept = {
            name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "no_proxy", "TMPDIR") if name in os.environ
        }
        return {**kept, "PATH": f"{self.bin}:/usr/bin:/bin", "SLOWMO_HOME": str(self.folder / "home")}

    def call(self, command: str) -> str:
        """What a command prints; it must succeed."""
        words = shlex.split(command, comments=True)
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    empty, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere")
    venv.create(empty, with_pip=True)
    installed = Installation(empty / "bin", folder)
    installed.call(f"python -m pip install --quiet {shlex.quote(str(wheel))}")
    return installed


def test_the_wheel_holds_every_file_of_the_package_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    held = {name for name in names if not PurePosixPath(name).parts[0].endswith(".dist-info")}
    assert held == files_of_the_package()


def test_what_is_installed_is_the_wheel(installation: Installation) -> None:
    lies = installation.call(f"python -c 'import {PACKAGE}; print({PACKAGE}.__file__)'")
    assert Path(lies.strip()).is_relative_to(installation.bin.parent)


def test_the_first_commands_of_the_readme_make_a_video(installation: Installation) -> None:
    install, run = first_commands()
    make_clip(installation.folder / "clip.mp4")
    assert install.startswith("pip install ")
    [path] = installation.call(run).split()
    assert (installation.folder / path).stat().st_size > 0


@pytest.fixture
def up(installation: Installation) -> Iterator[str]:
    """The address that `slowmo up` says it serves, once it takes uploads."""
    command = [str(installation.bin / "slowmo"), "up", "--port", str(free_port()), "--workers", "1"]
    with subprocess.Popen(
        command, cwd=installation.folder, env=installation.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("Uploads"):
                break
        try:
            address = re.search(r"^Dagster +(http://\S+)", said, re.MULTILINE)
            assert address, said
            yield address[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
    assert process.returncode == 0, said


def test_up_serves_the_ui(up: str) -> None:
    with urllib.request.urlopen(up) as answer:
        page = answer.read().decode()
    assert "Dagster" in page
