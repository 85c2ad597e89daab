"""Settings that only settings/ knows, in a copy of the package: what else takes and shows them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.places import REPOSITORY
from slowmo_pipeline_tests.support.wide import WIDE

BEFORE = "    keep_results: bool = Field("
NEW = """\
    mirrored: bool = Field(False, description="Left becomes right.")
    gamma: ExactNumber | None = Field(None, description="Exponent of the brightness.")
    passes: int = Field(2, ge=1, le=9, description="How often the encoder looks.")
    grain: Annotated[Literal["fine", "coarse"], _AnyCase] = Field("fine", description="Of the picture: fine, coarse.")
    max_cuts: int = Field(5, ge=1, description="Most cuts accepted.")
"""
TOLD = {
    "mirrored": "Left becomes right.",
    "gamma": "Exponent of the brightness.",
    "passes": "How often the encoder looks. Between 1 and 9.",
    "grain": "Of the picture: fine, coarse.",
}
LAUNCHPAD = """
import json, sys
import dagster as dg
from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.assets import RawVideoConfig

def taken(settings):
    try:
        dg.validate_run_config(job, {"ops": {"raw_video": {"config": settings}}})
    except dg.DagsterInvalidConfigError:
        return False
    return True

job = defs.resolve_job_def("slow_motion")
fields = RawVideoConfig.to_config_schema().as_field().config_type.fields
told = {name: field.description for name, field in fields.items()}
print(json.dumps({"told": told, "taken": [*map(taken, json.loads(sys.argv[1]))]}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package that differs in settings/ alone."""
    folder = tmp_path_factory.mktemp("copy")
    package = shutil.copytree(REPOSITORY / "slowmo_pipeline", folder / "slowmo_pipeline")
    settings = package / "settings" / "__init__.py"
    before, found, after = settings.read_text().partition(BEFORE)
    settings.write_text(f"{before}{NEW}{found}{after}")
    return folder


def python(folder: Path, *arguments: object, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **WIDE, "PYTHONPATH": str(folder), "SLOWMO_HOME": str(home or folder / "home")}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=env)


def slowmo(folder: Path, *arguments: object, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "slowmo_pipeline", *arguments, home=home)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", grey_frames(4))


def test_it_is_an_option_of_run_with_its_meaning(copy: Path) -> None:
    told, without = slowmo(copy, "run", "--help").stdout, slowmo(REPOSITORY, "run", "--help").stdout
    for name, meaning in TOLD.items():
        assert f"--{name} " in told
        assert f"--{name} " not in without
        assert meaning in told
    assert "max_cuts, " in told
    assert "max_cuts" not in without


def test_what_it_does_not_allow_is_a_wrong_usage_in_the_words_of_the_others(copy: Path) -> None:
    done = slowmo(copy, "run", "a.mp4", "--passes", "10")
    assert (done.returncode, done.stderr) == (2, "The options: passes = 10 should be less than or equal to 9.\n")


def test_a_run_takes_it_and_the_video_keeps_it(copy: Path, clip: Path, tmp_path: Path) -> None:
    options = ["--mirrored", "--gamma", "5/2", "--passes", 3, "--limit", "max_cuts=7"]
    done = slowmo(copy, "run", clip, *options, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    [source] = (tmp_path / "home").rglob("source.json")
    given = {"mirrored": True, "gamma": "5/2", "passes": 3, "max_cuts": 7}
    assert given.items() <= json.loads(source.read_text())["settings"].items()


def test_the_launchpad_takes_it_by_its_type_and_tells_its_meaning(copy: Path) -> None:
    good = [{"gamma": "5/2", "passes": 3, "mirrored": True, "grain": "fine", "max_cuts": 3}, {"gamma": 2.5}]
    bad = [{"passes": "many"}, {"mirrored": "no"}, {"grain": 4}, {"max_cuts": "few"}]
    done = python(copy, "-c", LAUNCHPAD, json.dumps([*good, *bad]))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["taken"] == [True] * len(good) + [False] * len(bad)
    assert TOLD.items() <= found["told"].items()


def test_a_file_beside_a_clip_may_hold_it(copy: Path, clip: Path, tmp_path: Path) -> None:
    clip.with_name("clip.mp4.slowmo.json").write_text('{"gamma": "5/2", "passes": 9, "grain": "Coarse"}')
    done, without = (slowmo(folder, "upload", clip, home=tmp_path / "home") for folder in (copy, REPOSITORY))
    assert done.returncode == 0, done.stderr
    assert "there is no setting 'gamma'" in without.stderr


def test_a_file_beside_a_clip_may_not_hold_a_limit(copy: Path, clip: Path, tmp_path: Path) -> None:
    clip.with_name("clip.mp4.slowmo.json").write_text('{"max_cuts": 9}')
    done = slowmo(copy, "upload", clip, home=tmp_path / "home")
    assert "max_cuts is not for uploads to set" in done.stderr
