"""`--beside` puts each result beside its clip, by a name that tells, and goes by the rules of `--output`."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from slowmo_pipeline.cli.app import app
from slowmo_pipeline.machine.telling_names import telling_ending
from slowmo_pipeline.settings import FIELDS, parse_settings
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline.video.writer import CODECS
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS, TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", grey_frames(4))


def test_each_result_lies_beside_its_clip(pipeline: TestPipeline, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    second = write_clip(tmp_path / "other" / "clip.mov", grey_frames(4))
    done = slowmo("run", clip, second, "--slowdown", "5/2", "--beside")
    assert done.stdout == f"{tmp_path}/clip-2.5x.mp4\n{tmp_path}/other/clip-2.5x.mp4\n", done.stderr
    assert probe(tmp_path / "clip-2.5x.mp4", limits=LIMITS).frame_count == 10


def documented() -> list[tuple[str, str]]:
    page = (REPOSITORY / "docs" / "command-line.md").read_text()
    rows = re.findall(r"^\| (.+) \| `(clip\S+)` \|$", page, re.MULTILINE)
    return [("" if options == "none" else options.strip("`"), name) for options, name in rows]


@pytest.mark.parametrize(("options", "name"), documented())
def test_a_documented_name_is_that_of_its_settings(options: str, name: str) -> None:
    given = typer.main.get_command(app).commands["run"].make_context("run", ["clip.mp4", *shlex.split(options)]).params  # type: ignore[attr-defined]
    names = {"from": "from_", **{each: each for each in FIELDS if each != "from"}}
    values = {each: given[option] for each, option in names.items() if given.get(option) is not None}
    settings = parse_settings(values, origin="The options")
    assert f"clip{telling_ending(settings)}{CODECS[settings.codec].suffix}" == name


@pytest.mark.parametrize(
    ("values", "ending"),
    [
        ({"slowdown": 1}, "-1x"),
        ({"slowdown": "7/3"}, "-2.333x"),
        ({"slowdown": 1000, "frame_rate": "24000/1001"}, "-1000x-23.976fps"),
        ({"speed": "1-2:1/2", "frame_rate": 50}, "-ramped-50fps"),
        ({"to": "1:02.5"}, "-to62.5s-4x"),
    ],
)
def test_other_settings_tell_as_well(values: dict[str, object], ending: str) -> None:
    assert telling_ending(parse_settings(values, origin="The test")) == ending


def test_the_settings_beside_a_clip_count(pipeline: TestPipeline, clip: Path) -> None:
    clip.with_name("clip.mp4.slowmo.json").write_text('{"slowdown": 2, "codec": "ffv1"}')
    assert slowmo("run", clip, "--beside").stdout == f"{clip.parent}/clip-2x.mkv\n"


def refused(pipeline: TestPipeline, *arguments: object) -> str:
    """What a command says that is refused before it has stored anything."""
    before = {entry.key for entry in pipeline.storage.uploads().entries}
    done = slowmo("run", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert {entry.key for entry in pipeline.storage.uploads().entries} == before
    return done.stderr


def test_a_file_is_replaced_only_when_told(pipeline: TestPipeline, clip: Path) -> None:
    there = clip.with_name("clip-3x.mp4")
    there.write_text("precious")
    command = (clip, "--slowdown", "3", "--beside")
    assert f"{there} exists. Put the result elsewhere with --output, or" in refused(pipeline, *command)
    assert there.read_text() == "precious"
    assert slowmo("run", *command, "--overwrite").stdout == f"{there}\n"
    assert probe(there, limits=LIMITS).frame_count == 12


def test_a_source_is_never_replaced(pipeline: TestPipeline, clip: Path) -> None:
    other = write_clip(clip.with_name("clip-6x.mp4"), grey_frames(5))
    before = other.read_bytes()
    done = slowmo("run", clip, other, "--slowdown", "6", "--beside", "--overwrite")
    assert f"{other} is a source, which would be lost." in done.stderr
    assert done.stdout == f"{clip.parent}/clip-6x-6x.mp4\n"
    assert other.read_bytes() == before


def test_two_clips_of_one_name_do_not_share_a_result(pipeline: TestPipeline, clip: Path) -> None:
    other = write_clip(clip.with_suffix(".mov"), grey_frames(4))
    assert refused(pipeline, clip, other, "--beside").count("the result of several clips") == 2


@pytest.mark.parametrize("wrong", [["--output", "a.mp4", "a.mp4"], ["--outdated"]], ids=" ".join)
def test_it_stands_alone(pipeline: TestPipeline, wrong: list[str]) -> None:
    done = slowmo("run", "--beside", *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--output" in done.stderr
