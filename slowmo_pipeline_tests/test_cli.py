import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.keys import VideoKeys
from slowmo_pipeline.partitions import videos
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.forked import slowmo
from slowmo_pipeline_tests.media import cut_off, grey_frames, write_clip
from slowmo_pipeline_tests.pipeline import LIMITS, TestPipeline, fade_pipeline

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


def test_run_prints_the_result_and_nothing_else(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(6))
    command = [sys.executable, "-m", "slowmo_pipeline", "run", str(clip), "--slowdown", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert probe(Path(line), limits=LIMITS).frame_count == 18


def test_the_run_is_in_the_instance(pipeline: TestPipeline, tmp_path: Path) -> None:
    assert slowmo("run", write_clip(tmp_path / "seen.mp4", grey_frames(4))).returncode == 0
    assert any(key.startswith("seen-") for key in pipeline.instance.get_dynamic_partitions(str(videos.name)))
    assert pipeline.instance.get_runs(limit=1)[0].is_success


def test_output_gets_a_copy(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip, copy = write_clip(tmp_path / "clip2.mp4", grey_frames(4)), tmp_path / "copy.mp4"
    done = slowmo("run", clip, "--output", copy)
    assert done.stdout == f"{copy}\n"
    assert probe(copy, limits=LIMITS).frame_count == 16


def test_the_same_command_makes_the_same_video_whatever_was_run_before(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "same.mp4", grey_frames(4))
    slowmo("run", clip, "--slowdown", "7")
    done = slowmo("run", clip)
    assert probe(Path(done.stdout.strip()), limits=LIMITS).frame_count == 16


def test_options_win_over_the_settings_beside_the_clip(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "beside.mp4", grey_frames(4))
    (tmp_path / "beside.mp4.slowmo.json").write_text('{"slowdown": 2, "codec": "ffv1"}')
    path = Path(slowmo("run", clip, "--slowdown", "3").stdout.strip())
    assert path.suffix == ".mkv"
    assert probe(path, limits=LIMITS).frame_count == 12


def test_a_failing_clip_does_not_stop_the_others(pipeline: TestPipeline, tmp_path: Path) -> None:
    bad = write_clip(tmp_path / "bad.mp4", grey_frames(4))
    cut_off(bad, keep=0.3)
    good = write_clip(tmp_path / "good.mp4", grey_frames(4))
    done = slowmo("run", bad, good)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert re.search(r"^bad\.mp4: bad\.mp4 ", done.stderr, re.MULTILINE)
    assert "1 of 2 clips failed." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "nowhere.mp4"], "nowhere.mp4 is not a file"),
        (["run", "nowhere.mp4", "--slowdown", "0.5"], "slowdown = '0.5' must lie between 1 and 1000"),
        (["run", "nowhere.mp4", "--codec", "av1"], "codec = 'av1' should be 'h264', 'h265', 'prores' or 'ffv1'"),
        (["run", "a.mp4", "b.mp4", "--output", "c.mp4"], "--output names one file"),
        (["status", "nobody-12345678"], "There is no video nobody-12345678"),
        (["clean", "nobody-12345678"], "There is no video nobody-12345678"),
        (["upload", "nowhere.mp4"], "nowhere.mp4 is not a file"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_1(pipeline: TestPipeline, arguments: list[str], told: str) -> None:
    done = slowmo(*arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_upload_takes_the_settings_along_and_prints_the_video_id(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "My Clip.mp4", grey_frames(4))
    (tmp_path / "My Clip.mp4.slowmo.json").write_text('{"slowdown": 2}')
    video_id = slowmo("upload", clip).stdout.strip()
    assert re.fullmatch(r"my-clip-[0-9a-f]{16}", video_id)
    uploads = {entry.key.rpartition("/")[2] for entry in pipeline.storage.uploads().entries}
    assert {"My Clip.mp4", "My Clip.mp4.slowmo.json"} <= uploads


def test_status_shows_each_video_whole(pipeline: TestPipeline, tmp_path: Path) -> None:
    path = slowmo("run", write_clip(tmp_path / "shown.mp4", grey_frames(4))).stdout.strip()
    [line] = [line for line in slowmo("status").stdout.splitlines() if line.startswith("shown-")]
    assert line.split() == [line.split()[0], "finished", path]


def test_status_tells_why_a_video_failed(pipeline: TestPipeline, tmp_path: Path) -> None:
    bad = write_clip(tmp_path / "failing.mp4", grey_frames(4))
    cut_off(bad, keep=0.3)
    slowmo("run", bad)
    [line] = [line for line in slowmo("status").stdout.splitlines() if line.startswith("failing-")]
    assert re.match(r"failing-[0-9a-f]{16} +failed +failing\.mp4 ", line)


def test_clean_keeps_the_final_video(pipeline: TestPipeline, tmp_path: Path) -> None:
    path = Path(slowmo("run", write_clip(tmp_path / "cleaned.mp4", grey_frames(4))).stdout.strip())
    done = slowmo("clean", path.stem)
    assert re.fullmatch(r"[\d.]+ [kM]B deleted\n", done.stdout)
    assert path.exists()
    assert not [entry for entry in pipeline.storage.list(VideoKeys(path.stem).prefix) if entry.key.endswith(".tar")]
    assert "finished" in slowmo("status", path.stem).stdout


def test_doctor_finds_nothing_wrong(pipeline: TestPipeline) -> None:
    done = slowmo("doctor")
    assert done.returncode == 0, done.stdout
    assert "live at http://127.0.0.1:" in done.stdout


def test_doctor_names_the_problem(pipeline: TestPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_BINARY", "/nowhere/ffmpeg")
    done = slowmo("doctor")
    assert done.returncode == 1
    assert "PROBLEM" in done.stdout
    assert "FFMPEG_BINARY" in done.stdout


def test_a_home_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "file"))
    done = slowmo("run", write_clip(tmp_path / "clip.mp4", grey_frames(4)))
    assert done.returncode == 1
    assert "SLOWMO_HOME" in done.stderr or "SLOWMO_STORAGE" in done.stderr
    assert "Traceback" not in done.stderr
