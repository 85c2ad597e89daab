"""`slowmo status`: a table for people, one video whole, and JSON for programs."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.media import cut_off, grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def result(pipeline: TestPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a clip with a note."""
    clip = tmp_path_factory.mktemp("clips") / "shown.mov"
    write_clip(clip, grey_frames(4), codec="qtrle", pixel_format="argb")
    return Path(slowmo("run", clip, "--slowdown", "5/2", "--frame-rate", "30", "--codec", "ffv1").stdout.strip())


@pytest.fixture(scope="module")
def failed(pipeline: TestPipeline, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The start of a video's name whose clip is broken."""
    slowmo("run", cut_off(write_clip(tmp_path_factory.mktemp("bad") / "failing.mp4", grey_frames(4)), keep=0.3))
    return "failing-"


def row_of(name: str, table: str) -> dict[str, str]:
    """Cut where the header's words begin."""
    header, *rows = table.splitlines()
    [row] = [row for row in rows if row.startswith(name)]
    words = [*re.finditer(r"\S+", header)]
    ends = [word.start() for word in words[1:]] + [len(row)]
    return {word[0]: row[word.start() : end].strip() for word, end in zip(words, ends, strict=True)}


def test_a_finished_video_has_its_settings_notes_and_files(result: Path) -> None:
    assert row_of("shown-", slowmo("status").stdout) == {
        "VIDEO": result.stem,
        "STATE": "finished",
        "SETTINGS": "2.5x 30fps ffv1",
        "NOTES": "1 note",
        "REPORT": str(result.with_suffix(".html")),
        "RESULT": str(result),
    }


def test_a_failed_video_has_the_reason(failed: str) -> None:
    row = row_of(failed, slowmo("status").stdout)
    assert (row["STATE"], row["REPORT"]) == ("failed", "")
    assert row["RESULT"].startswith("failing.mp4 ")


def test_one_video_is_told_whole(result: Path) -> None:
    lines = [line.split(maxsplit=1) for line in slowmo("status", result.stem).stdout.splitlines()]
    assert [name for name, _ in lines] == ["video", "state", "settings", "result", "report", "note"]
    assert lines[-1][1] == "The alpha channel is dropped."


def documented() -> dict[str, Any]:
    page = (REPOSITORY / "docs" / "command-line.md").read_text()
    page = page.partition("## Where videos stand")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE))


def test_programs_get_what_the_page_says(result: Path, failed: str) -> None:
    videos = [json.loads(line) for line in slowmo("status", "--json").stdout.splitlines()]
    assert [[*video] for video in videos] == [[*documented()]] * 2
    bad, good = videos
    assert (good["result"], good["settings"]["slowdown"], good["reason"]) == (str(result), "5/2", None)
    assert (bad["state"], bad["result"]) == ("failed", None)
    assert bad["reason"].startswith("failing.mp4 ")


def test_a_terminal_gets_links(result: Path) -> None:
    above, below = pty.openpty()
    command = [sys.executable, "-m", "slowmo_pipeline", "status", result.stem]
    with subprocess.Popen(command, stdout=below, stdin=below) as shown:
        os.close(below)
        text = read_all(above)
    assert shown.returncode == 0
    assert f"\x1b]8;;{result.as_uri()}\x1b\\{result}\x1b]8;;\x1b\\" in text


def read_all(terminal: int) -> str:
    """Until nobody has the other end any more."""
    pieces = []
    while True:
        try:
            pieces.append(os.read(terminal, 4096))
        except OSError:
            return b"".join(pieces).decode()
