"""A home of the tests' own in which the real command runs: its processes, their ends, and what they left behind."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import dagster as dg
import psutil
from dagster import DagsterEventType, DagsterRun, RunsFilter

from slowmo_pipeline.environment import Home
from slowmo_pipeline_tests.support.forked import Forked
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.media import moving_square, tone, write_clip

SLOWMO = Path(sys.executable).with_name("slowmo")
"""The command as people call it."""

RATE = Fraction(25)


def make_clip(path: Path, *, frames: int = 8, speed: int = 2, width: int = 96, height: int = 64) -> Path:
    """A clip with sound whose square moves `speed` pixels a frame."""
    pictures = moving_square(frames, speed=speed, width=width, height=height)
    return write_clip(path, pictures, rate=RATE, sound=tone(float(frames / RATE)))


def drop(clip: Path, target: Path) -> None:
    """Let a whole file appear at once."""
    aside = target.with_name(f".{target.name}")
    shutil.copyfile(clip, aside)
    aside.replace(target)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Fingerprint:
    """What a file holds and when it was written: one that was made again has another time."""

    sha256: str
    modified: int
    """Nanoseconds since the epoch."""

    @staticmethod
    def of(path: Path) -> "Fingerprint":
        return Fingerprint(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)


@dataclass(frozen=True)
class Told:
    """What a command answered."""

    status: int
    stdout: str
    stderr: str


class Command:
    """A `slowmo …` that was started."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    def told(self) -> Told:
        """Wait for its end; what it answered."""
        status = self.process.wait()
        return Told(status, self._out.read_text(), self.stderr)

    @property
    def stderr(self) -> str:
        """What it said so far."""
        return self._err.read_text()


class Processes:
    """The processes of one home, started as a user starts them; none outlives the with statement."""

    def __init__(self, folder: Path, *, working_directory: Path | None = None) -> None:
        self.home = Home(folder / "home")
        self._working_directory = working_directory
        self.storage = self.home.root / "storage"
        self.uploads = self.storage / "uploads"
        self._logs = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        while alive := self.alive():
            kill(alive)
        for process in self._started:
            process.wait()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "SLOWMO_HOME": str(self.home.root), "SLOWMO_STORAGE": ""}

    def start(self, *arguments: str) -> Command:
        """Start `slowmo …` in a session of its own."""
        number = len(self._started)
        out, err = self._logs / f"{number}.out", self._logs / f"{number}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [str(SLOWMO), *arguments],
                env=self._environment,
                cwd=self._working_directory,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._started.append(process)
        return Command(process, out, err)

    def call(self, *arguments: str) -> Told:
        """Run `slowmo …` to its end, in a process forked for it."""
        done = self.fork(*arguments).end()
        return Told(done.returncode, done.stdout, done.stderr)

    def fork(self, *arguments: str) -> Forked:
        """Start `slowmo …` in a process forked for it."""
        return Forked(*arguments, env=self._environment)

    def up(self, port: int | None = None, *options: str, gallery_port: int | None = None) -> Command:
        """Start `slowmo up` and wait until it takes uploads."""
        ports = ("--port", str(port or free_port()), "--gallery-port", str(gallery_port or free_port()))
        command = self.start("up", *ports, "--workers", "1", *options)
        eventually(lambda: "Uploads" in command.stderr or command.process.poll() is not None)
        assert command.process.poll() is None, command.stderr
        return command

    def alive(self) -> list[psutil.Process]:
        """Every process of the home, whoever started it."""
        return [process for process in psutil.process_iter() if _home_of(process) == str(self.home.root)]

    def runs(self) -> Sequence[DagsterRun]:
        """All runs that the home's instance knows, the newest first."""
        with dg.DagsterInstance.from_config(str(self.home.dagster)) as instance:
            return instance.get_runs()

    def created(self, run: DagsterRun) -> float:
        """When a run was created, in seconds since the epoch."""
        with dg.DagsterInstance.from_config(str(self.home.dagster)) as instance:
            [record] = instance.get_run_records(RunsFilter(run_ids=[run.run_id]))
            return record.create_timestamp.timestamp()

    def failure_of(self, run: DagsterRun) -> str:
        """What the failed step of a run told."""
        with dg.DagsterInstance.from_config(str(self.home.dagster)) as instance:
            [entry] = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_FAILURE)
        failure = entry.get_dagster_event().step_failure_data.user_failure_data
        assert failure is not None
        assert failure.description is not None
        return failure.description

    def results(self) -> Mapping[str, Fingerprint]:
        """Every result of every video."""
        return self._fingerprints("videos/*/*/*/results/*.tar")

    def finals(self) -> Mapping[str, Fingerprint]:
        """Every final video."""
        return self._fingerprints("final/*.mp4")

    def _fingerprints(self, pattern: str) -> dict[str, Fingerprint]:
        return {str(path.relative_to(self.storage)): Fingerprint.of(path) for path in self.storage.glob(pattern)}


def kill(victims: Iterable[psutil.Process]) -> None:
    """SIGKILL them all, each stopped before the first dies: none sees another's end."""
    victims = list(victims)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(number)


def command_line(process: psutil.Process) -> str:
    """What a process was started with, without the program; empty when it is gone."""
    try:
        return " ".join(process.cmdline()[1:])
    except psutil.Error:
        return ""


def _home_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SLOWMO_HOME")
    except (psutil.Error, OSError):  # gone meanwhile, or somebody else's
        return None
