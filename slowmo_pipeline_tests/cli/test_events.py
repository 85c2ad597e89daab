"""`--json` prints the events that docs/command-line.md describes, and `--quiet` what cannot be left out."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline.machine.events import ForPrograms
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.media import cut_off, damaged, grey_frames, noise, write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS, TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
    "array of strings": (list,),
}

PAGE = (REPOSITORY / "docs" / "command-line.md").read_text()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


def documented() -> dict[str, dict[str, list[str]]]:
    """The types of each field, by event and field."""
    found = {}
    for section in PAGE.split("\n### ")[1:]:
        [event] = re.findall(r"^`(\w+)`$", section, re.MULTILINE)
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section.partition("\n## ")[0], re.MULTILINE)
        found[event] = {field: types.split(" or ") for field, types in rows}
    return found


def events_of(stdout: str) -> list[dict[str, Any]]:
    """The events, each held against the page."""
    events = [json.loads(line) for line in stdout.splitlines()]
    for event in events:
        fields = documented()[event["event"]]
        assert ["event", *fields] == [*event]
        for field, types in fields.items():
            assert isinstance(event[field], tuple(each for name in types for each in TYPES[name])), event
    return events


def test_every_event_is_described_and_every_description_is_of_an_event(pipeline: TestPipeline, tmp_path: Path) -> None:
    good = write_clip(tmp_path / "good.mp4", grey_frames(6))
    done = slowmo("run", good, tmp_path / "none.mp4", "--json")
    uploaded = slowmo("upload", good, "--json")

    names = {event["event"] for each in (done, uploaded) for event in events_of(each.stdout)}
    assert names | {"note"} == documented().keys()
    assert (done.returncode, uploaded.returncode) == (1, 0)
    assert done.stderr == uploaded.stderr == ""


def test_the_result_is_told_with_its_report(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(6))
    *_, finished, ended = events_of(slowmo("run", clip, "--slowdown", "3", "--json").stdout)

    assert probe(Path(finished["path"]), limits=LIMITS).frame_count == finished["frames"] == 18
    assert (finished["clip"], finished["seconds"], finished["losses"]) == (str(clip), 0.75075, [])
    assert finished["report"].endswith(".html")
    assert Path(finished["report"]).is_file()
    assert ended == {"event": "ended", "clips": 1, "failed": 0}


def test_every_stage_is_told_from_where_it_begins_to_where_it_ends(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "stages.mp4", grey_frames(6))
    progress = [each for each in events_of(slowmo("run", clip, "--json").stdout) if each["event"] == "progress"]

    [told] = re.findall(r"^\| `stage` (.*)$", PAGE, re.MULTILINE)
    assert [*dict.fromkeys(each["stage"] for each in progress)] == re.findall(r"`(\w+)`", told)
    ends = [each["stage"] for each in progress if each["done"] == each["total"]]
    assert ends == ["read", "cut", "interpolate", "encode"]
    last = {each["stage"]: each for each in progress}
    assert {each["seconds_left"] for each in last.values() if each["total"]} == {0}
    assert (last["encode"]["done"], last["encode"]["total"], last["encode"]["unit"]) == (24, 24, "frames")


def test_an_end_is_told_once_however_often_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip and its copy are both read; what waits for results asks again and again."""
    monkeypatch.setattr("slowmo_pipeline.machine.events._EVERY_SECONDS", 0)
    with ForPrograms().progress("clip.mp4") as told:
        for _ in range(2):  # of an unknown length: no end
            told("probe", 0, 0, "frames")
        for done in (0, 2, 2, 4, 4, 4):
            told("interpolate", done, 4, "chunks")
        for done in (1, 2, 1, 2):
            told("read", done, 2, "bytes")

    progress = [(event["stage"], event["done"]) for event in events_of(capsys.readouterr().out)]
    told_once = [("interpolate", done) for done in (0, 2, 2, 4)] + [("read", done) for done in (1, 2, 1, 2)]
    assert progress == [("probe", 0)] * 2 + told_once


def test_losses_and_failures_are_events_and_the_exit_codes_stay(pipeline: TestPipeline, tmp_path: Path) -> None:
    holes = write_clip(tmp_path / "holes.mp4", map(noise, range(30)), codec="mjpeg", pixel_format="yuvj420p")
    damaged(holes, at=0.5)
    bad = cut_off(write_clip(tmp_path / "bad.mp4", grey_frames(4)), keep=0.3)
    strict, failing = slowmo("run", holes, "--strict", "--json"), slowmo("run", bad, "--json")

    assert (strict.returncode, failing.returncode) == (3, 1)
    assert events_of(strict.stdout)[-2]["losses"] == ["Damaged packets: 1 were skipped."]
    failed, ended = events_of(failing.stdout)[-2:]
    assert (failed["event"], ended["failed"]) == ("failed", 1)
    assert failed["message"].startswith("bad.mp4 ")


def test_what_ends_the_command_is_an_event_of_no_clip(
    pipeline: TestPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(4))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "file"))
    done = slowmo("run", clip, "--json")

    [failed] = [event for event in events_of(done.stdout) if event["event"] == "failed"]
    assert failed["clip"] is None
    assert done.stderr == failed["message"] + "\n"
    assert done.returncode == 1


@pytest.mark.parametrize("wrong", [["--slowdown", "0"], ["--dry-run"], ["--outdated"], ["--tempo", "3"]], ids=" ".join)
def test_a_wrong_command_prints_no_event(pipeline: TestPipeline, tmp_path: Path, wrong: list[str]) -> None:
    done = slowmo("run", write_clip(tmp_path / "clip.mp4", grey_frames(4)), "--json", *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_a_wait_is_noted_and_an_interrupt_is_told(pipeline: TestPipeline, tmp_path: Path) -> None:
    """Of another run of the same video, which somebody else holds."""
    clip = write_clip(tmp_path / "waits.mp4", grey_frames(4))
    program = """
import sys
from slowmo_pipeline.machine import run as running
def wait_forever(instance, home, video_id, progress):
    progress.note("Waiting for another run.")
    sys.stdin.readline()
running.wait_for_other_runs = wait_forever
from slowmo_pipeline.__main__ import main
main()
"""
    command = [sys.executable, "-c", program, "run", str(clip), "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as waiting:
        assert waiting.stdout is not None
        line = next(line for line in waiting.stdout if '"note"' in line)
        os.kill(waiting.pid, signal.SIGINT)
        rest = waiting.stdout.read()

    [note, failed] = events_of(line + rest)
    assert (note["clip"], note["message"]) == (str(clip), "Waiting for another run.")
    assert failed["message"] == "Interrupted. The same command goes on where this one stopped."
    assert waiting.returncode == 130


def test_a_name_that_is_no_unicode_is_still_json(pipeline: TestPipeline, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/no unicode \xff.mp4")
    done = slowmo("run", name, "--json")
    assert json.loads(done.stdout.splitlines()[0])["clip"] == name


def test_quiet_prints_the_result_alone(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "alpha.mov", grey_frames(4), codec="qtrle", pixel_format="argb")  # has a note
    done = slowmo("run", clip, "-q")
    assert done.stderr == ""
    assert [path.suffix for path in map(Path, done.stdout.splitlines())] == [".mp4"]


def test_quiet_still_tells_what_failed_and_what_was_lost(pipeline: TestPipeline, tmp_path: Path) -> None:
    holes = write_clip(tmp_path / "lossy.mp4", map(noise, range(30)), codec="mjpeg", pixel_format="yuvj420p")
    damaged(holes, at=0.5)
    done = slowmo("run", holes, tmp_path / "none.mp4", "--quiet")
    missing, lost, count = done.stderr.splitlines()
    assert done.returncode == 1
    assert missing.startswith("none.mp4: ")
    assert (lost, count) == ("lossy.mp4: NOT WHOLE: Damaged packets: 1 were skipped.", "1 of 2 clips failed.")


def test_quiet_leaves_only_the_ends_of_events(pipeline: TestPipeline, tmp_path: Path) -> None:
    done = slowmo("run", write_clip(tmp_path / "hushed.mp4", grey_frames(4)), "--json", "--quiet")
    assert [event["event"] for event in events_of(done.stdout)] == ["finished", "ended"]
