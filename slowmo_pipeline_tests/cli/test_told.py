"""What `slowmo run` tells of a result: what went in and out, what was lost, what is worth knowing."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.settings import CODECS_WITH_CRF
from slowmo_pipeline.video.writer import CODECS
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.media import damaged, grey_frames, noise, write_clip
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


def lines_of(clip: Path, told: str) -> list[str]:
    return [line.removeprefix(f"{clip.name}: ") for line in told.splitlines() if line.startswith(f"{clip.name}: ")]


def test_a_result_is_summed_up_in_a_line(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(6), rate=Fraction(12))
    done = slowmo("run", clip, "--slowdown", "5/2", "--frame-rate", "30000/1001")
    summary = lines_of(clip, done.stderr)[-1]
    assert summary.startswith("64x48, 6 frames at 12/s in 0.5 s -> 38 frames at 29.97/s in 1.27 s, ")
    assert re.search(r" of them new, [\d.]+ kB, made in [\d.]+ s$", summary)


def test_a_rate_of_a_frame_in_minutes_is_told_as_one(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "lapse.mp4", grey_frames(2), rate=Fraction(1, 400))
    told = lines_of(clip, slowmo("run", clip, "--slowdown", "2").stderr)[-1]
    assert told.startswith("64x48, 2 frames at 0.0025/s in 800 s -> 4 frames at 0.0025/s in 1600 s, ")


def test_lost_frames_are_told_and_count_when_strict(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "holes.mp4", map(noise, range(30)), codec="mjpeg", pixel_format="yuvj420p")
    damaged(clip, at=0.5)
    done, strict = slowmo("run", clip), slowmo("run", clip, "--strict")
    assert (done.returncode, strict.returncode) == (0, 3)
    assert done.stdout == strict.stdout != ""
    for each in (done, strict):
        assert lines_of(clip, each.stderr)[-1] == "NOT WHOLE: Damaged packets: 1 were skipped."
    [line] = [line for line in slowmo("status").stdout.splitlines() if line.startswith("holes-")]
    assert "1 loss" in line


def test_notes_are_told_and_do_not_count(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "alpha.mov", grey_frames(4), codec="qtrle", pixel_format="argb")
    done = slowmo("run", clip, "--strict")
    assert done.returncode == 0
    assert "note: The alpha channel is dropped." in lines_of(clip, done.stderr)


def test_a_codec_is_named_in_any_case(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "case.mp4", grey_frames(4))
    assert slowmo("run", clip, "--codec", "FFV1", "--sound", "None").stdout.endswith(".mkv\n")


def test_crf_belongs_to_the_codecs_that_have_one() -> None:
    assert {name for name, codec in CODECS.items() if codec.default_crf is not None} == CODECS_WITH_CRF


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "a.mp4", "--codec", "prores", "--crf", "18"],
        ["run", "a.mp4", "--slowdown", "0"],
        ["run", "a.mp4", "--limit", "max_cats=3"],
        ["run", "a.mp4", "--interpolator", "nobody's"],
        ["run", "a.mp4", "b.mp4", "--output", "c.mp4"],
        ["run", "a.mp4", "--output", ""],
        ["run", "a.mp4", "--no-such-option"],
        ["up", "--interpolator", "magic"],
        ["up", "--model", "film"],
        ["cost", "a.mp4", "--slowdown", "fast", "--seconds-per-megapixel", "1"],
        ["endpoint", "deploy", "model.tar.gz", "--name", "not_a_name", "--role", "r", "--image-uri", "i"],
        ["endpoint", "deploy", "model.tar.gz", "--environment", "novalue"],
        ["run", "-odd.mp4"],
        ["up", "--port", "99999"],
        ["up", "--port", "3000", "--gallery-port", "3000"],
        ["up", "--allow-host", "ui.example", "--allow-gallery-host", "UI.example"],
        ["endpoint", "serve", "--port", "-5"],
        ["cost", "a.mp4", "--seconds-per-megapixel", "0"],
        ["model", "fetch", "nowhere", "--name", "a/b"],
        ["model", "fetch", "nowhere", "--sha256", "abc"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_command_exits_with_2(
    pipeline: TestPipeline, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "-odd.mp4"):
        write_clip(tmp_path / name, grey_frames(4))
    done = slowmo(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_pattern_that_matched_nothing_and_a_folder_are_told_as_such(pipeline: TestPipeline, tmp_path: Path) -> None:
    done = slowmo("run", tmp_path / "*.mov", tmp_path)
    assert "A shell puts in what a pattern matches: it found nothing." in done.stderr
    assert "is a folder without images" in done.stderr
    assert "Of videos give each" in done.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"slowmo \d+\.\d+\.\d+\n", slowmo("--version").stdout)
