"""The real command on disks that are full, read-only or no folder: one message with the next step, and nothing lost."""

import subprocess
from pathlib import Path

import pytest

from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support import forked
from slowmo_pipeline_tests.support.disks import fill, resize, small_disk
from slowmo_pipeline_tests.support.local_server import GATED, LocalServer, eventually
from slowmo_pipeline_tests.support.processes import Processes, make_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def slowmo(*arguments: str, home: Path, storage: Path | str = "") -> subprocess.CompletedProcess[str]:
    environment = {"SLOWMO_HOME": str(home), "SLOWMO_STORAGE": str(storage), "PATH": "/usr/bin:/bin"}
    return forked.slowmo(*arguments, env=environment)


@pytest.mark.parametrize("kilobytes", [0, 100, 250, 400], ids="{} kB".format)
def test_home_without_room_is_one_message_and_the_same_command_goes_on(clip: Path, kilobytes: int) -> None:
    """Dagster's databases take some 700 kB, and SQLite calls their lack of room an I/O error."""
    with small_disk(megabytes=1) as disk:
        resize(disk, kilobytes=kilobytes or 4)
        told = slowmo("run", str(clip), home=disk / "home")
        assert told.returncode == 1
        [line] = told.stderr.splitlines()
        assert f"The disk of {disk}/home is full: " in line or "No space left on device" in line
        assert "set SLOWMO_HOME to" in line.replace("Set", "set")

        resize(disk, kilobytes=20_000)
        told = slowmo("run", str(clip), home=disk / "home")
        assert told.returncode == 0, told.stderr


def test_storage_that_fills_on_the_way_is_one_message_and_the_same_command_goes_on(clip: Path, tmp_path: Path) -> None:
    with small_disk(megabytes=1) as disk:
        resize(disk, kilobytes=24)
        told = slowmo("run", str(clip), home=tmp_path / "home", storage=disk)
        assert told.returncode == 1
        assert "Traceback" not in told.stderr
        assert " kB" in told.stderr, "units that tell"
        assert "run `slowmo clean`" in told.stderr

        resize(disk, kilobytes=20_000)
        told = slowmo("run", str(clip), home=tmp_path / "home", storage=disk)
        assert told.returncode == 0, told.stderr


def test_disk_that_fills_while_results_are_made_is_told_at_once_and_the_run_goes_on(clip: Path, tmp_path: Path) -> None:
    """Everything lies on it: chunks and results, the log of requests, Dagster's own."""
    with small_disk(megabytes=20) as disk, Processes(tmp_path) as processes:
        (disk / "home").mkdir()
        processes.home.root.symlink_to(disk / "home")
        with LocalServer(processes.home.endpoint, open_storage(processes.home.storage_url), GATED) as server:
            run = processes.start("run", str(clip))
            eventually(lambda: list(processes.storage.glob("videos/*/*/*/receipts/*")))
            filler = fill(disk)
            server.gate.touch()
            eventually(lambda: "tries again: The disk of" in run.stderr)
            filler.unlink()
            told = run.told()

    assert told.status == 0, told.stderr


ALL_THAT_DOCTOR_LOOKS_AT = [
    *("Python", "packages", "ffmpeg", "codec", "home", "disk", "storage", "endpoint", "port", "GPU", "film")
]


def test_doctor_tells_all_it_finds_about_a_read_only_storage(tmp_path: Path) -> None:
    with small_disk(megabytes=1) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        told = slowmo("doctor", home=tmp_path / "home", storage=disk)

    findings = {line.split()[1]: line for line in told.stdout.splitlines()}
    assert told.returncode == 1
    assert list(findings) == ALL_THAT_DOCTOR_LOOKS_AT
    assert findings["storage"].startswith("PROBLEM")
    assert f"{disk} is on a read-only file system" in findings["storage"]
    # Of so small a disk not enough is free, too.
    assert [name for name, line in findings.items() if line.startswith("PROBLEM")] == ["disk", "storage"]


def test_doctor_tells_all_it_finds_about_an_unusable_home(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    told = slowmo("doctor", home=tmp_path / "home", storage=tmp_path / "storage")

    findings = {line.split()[1]: line for line in told.stdout.splitlines()}
    assert told.returncode == 1
    assert list(findings) == ALL_THAT_DOCTOR_LOOKS_AT
    assert "Set SLOWMO_HOME to a folder you may write to" in findings["home"]
    assert findings["storage"].startswith("ok")


@pytest.mark.parametrize("command", ["run", "upload", "status", "clean"])
def test_storage_that_is_no_folder_is_one_message(clip: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    arguments = [str(clip)] if command in ("run", "upload") else []
    told = slowmo(command, *arguments, home=tmp_path / "home", storage=tmp_path / "file" / "storage")

    assert told.returncode == 1
    [line] = told.stderr.splitlines()
    assert line.endswith("cannot be made: Not a directory. Set SLOWMO_STORAGE to a folder you may write to.")
