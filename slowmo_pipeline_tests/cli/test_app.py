import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.steps.records import read_source
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.support.forked import Forked, slowmo
from slowmo_pipeline_tests.support.media import cut_off, grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS, TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.stored import root_of


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


WITHOUT_PRIVILEGES = """
from slowmo_pipeline.cli.app import main
from slowmo_pipeline_tests.support.disks import give_up_ways_round_permissions

give_up_ways_round_permissions()
main()
"""


def slowmo_without_privileges(*arguments: object) -> subprocess.CompletedProcess[str]:
    return Forked(*arguments, program=WITHOUT_PRIVILEGES).end()


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


def test_any_setting_may_be_an_option(pipeline: TestPipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "any.mp4", grey_frames(4))
    done = slowmo("run", clip, "--no-keep-results", "--images", "jpeg", "--encoder-threads", "1", "--crf", "20")
    settings = read_source(pipeline.storage, Path(done.stdout.strip()).stem).settings
    assert (settings.keep_results, settings.images, settings.encoder_threads, settings.crf) == (False, "jpeg", 1, 20)


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


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, str]:
    """What is wrong with each of some clips, by name; beside them lies good.mp4, and so does long, both fine."""
    good = write_clip(tmp_path / "good.mp4", grey_frames(4))

    def beside(name: str) -> Path:
        shutil.copy(good, tmp_path / name)
        return tmp_path / f"{name}.slowmo.json"

    beside("binary.mp4").write_bytes(b"\x00\xff\xfe")
    beside("unknown.mp4").write_text('{"tempo": 3}')
    beside("range.mp4").write_text('{"slowdown": 0.5}')
    beside("folder.mp4").mkdir()
    os.mkfifo(beside("pipe.mp4"))
    beside("dangling.mp4").symlink_to("nowhere")
    with beside("huge.mp4").open("wb") as file:
        file.truncate(10**12)
    beside("secret.mp4").touch(mode=0)
    beside("locked.mp4")
    (tmp_path / "locked.mp4").chmod(0)
    (tmp_path / "memory.mp4").symlink_to("/proc/self/mem")
    (tmp_path / "a folder.mp4").mkdir()
    beside(LONG)
    return {
        "binary.mp4": "binary.mp4.slowmo.json is not JSON",
        "unknown.mp4": "there is no setting 'tempo'",
        "range.mp4": "slowdown = 0.5 must lie between 1 and 1000",
        "folder.mp4": "folder.mp4.slowmo.json is not a file",
        "pipe.mp4": "pipe.mp4.slowmo.json is not a file",
        "dangling.mp4": "dangling.mp4.slowmo.json cannot be read: No such file or directory",
        "huge.mp4": "huge.mp4.slowmo.json has more than the 65536 bytes",
        "secret.mp4": "secret.mp4.slowmo.json cannot be read: Permission denied",
        "locked.mp4": "locked.mp4 cannot be read: Permission denied",
        "memory.mp4": "memory.mp4 cannot be read: Input/output error",
        "a folder.mp4": "a folder.mp4 is a folder without images",
        "x" * 300: "is not a file",
    }


LONG = "l" * 251 + ".mp4"
"""The longest name; with the ending of a settings file it is none any more."""


@pytest.mark.parametrize("command", ["run", "upload"])
def test_what_is_wrong_with_one_clip_is_told_and_stops_no_other(
    pipeline: TestPipeline, tmp_path: Path, clips: dict[str, str], command: str
) -> None:
    done = slowmo_without_privileges(command, *(tmp_path / name for name in (*clips, "good.mp4", LONG)))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [Path(line).name.partition("-")[0] for line in done.stdout.splitlines()] == ["good", "l" * 48]
    for name, reason in clips.items():
        assert re.search(f"^{re.escape(name)}: .*{re.escape(reason)}", done.stderr, re.MULTILINE)
    assert f"{len(clips)} of {len(clips) + 2} clips failed." in done.stderr


def test_an_interpolator_that_is_not_there_fails_its_clips_alone(pipeline: TestPipeline, tmp_path: Path) -> None:
    for name, interpolator in (("film", "film"), ("other", "other"), ("fine", "flow")):
        write_clip(tmp_path / f"{name}.mp4", grey_frames(4))
        (tmp_path / f"{name}.mp4.slowmo.json").write_text(json.dumps({"interpolator": interpolator}))
    done = slowmo("run", tmp_path / "film.mp4", tmp_path / "other.mp4", tmp_path / "fine.mp4")

    assert len(done.stdout.splitlines()) == 1
    assert "film.mp4: There is no model in " in done.stderr
    assert "other.mp4: There is no interpolator 'other'. Known: film, flow." in done.stderr
    assert done.returncode == 1


def test_status_and_clean_name_what_they_cannot_read_and_go_on(pipeline: TestPipeline, tmp_path: Path) -> None:
    names = [pipeline.drop(f"{name} read.mp4") for name in ("not", "well")]
    folder = root_of(pipeline.storage) / VideoKeys(names[0]).prefix
    os.mkdir(os.fsencode(folder.parent) + b"/no unicode \xff")
    folder.chmod(0)
    try:
        told = {command: slowmo_without_privileges(command) for command in ("status", "clean")}
    finally:
        folder.chmod(0o755)

    assert re.search(rf"^{names[1]} +registered$", told["status"].stdout, re.MULTILINE)
    assert told["clean"].stdout.endswith("deleted\n")
    for done in told.values():
        assert f"{names[0]}: {folder}/source.json: Permission denied" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "nowhere.mp4"], "nowhere.mp4 is not a file"),
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


def test_clean_keeps_the_final_video(pipeline: TestPipeline, tmp_path: Path) -> None:
    path = Path(slowmo("run", write_clip(tmp_path / "cleaned.mp4", grey_frames(4))).stdout.strip())
    done = slowmo("clean", path.stem)
    assert re.fullmatch(r"[\d.]+ [kM]B deleted\n", done.stdout)
    assert path.exists()
    assert not [entry for entry in pipeline.storage.list(VideoKeys(path.stem).prefix) if entry.key.endswith(".tar")]
    assert "finished" in slowmo("status", path.stem).stdout


def test_a_home_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "file"))
    done = slowmo("run", write_clip(tmp_path / "clip.mp4", grey_frames(4)))
    assert done.returncode == 1
    assert "SLOWMO_HOME" in done.stderr or "SLOWMO_STORAGE" in done.stderr
    assert "Traceback" not in done.stderr


GATE = """
import sys

class Gate:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            print("here", flush=True)
            sys.stdin.readline()

sys.meta_path.insert(0, Gate())
from slowmo_pipeline.__main__ import main
main()
"""
"""The command line, which stands still where it imports a module."""


@pytest.mark.parametrize("imported", ["typer", "pydantic_core"])
def test_ctrl_c_while_it_starts_ends_it_without_a_word(imported: str) -> None:
    command = [sys.executable, "-c", GATE, imported]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as starting:
        assert starting.stdout is not None
        assert starting.stderr is not None
        assert starting.stdout.readline() == "here\n"
        starting.send_signal(signal.SIGINT)
        told = starting.stderr.read()

    assert (starting.returncode, told) == (130, "")
