"""SIGKILL at random moments, of one process or of all; then the same command again: the same video, nothing twice."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest

from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.processes import Command, Fingerprint, Processes, command_line, drop, kill, make_clip

MOST_STARTS = 3
"""A killed worker needs no other start, a killed ffmpeg one."""

VICTIMS_OF_UP = (
    "slowmo up",
    "dagster code-server",
    "dagster api grpc",
    "slowmo_pipeline.machine.webserver",
    "slowmo_pipeline.machine.gallery.server",
    "dagster._daemon",
    "serving.local.server",
    "serving.local.worker_main",
    "rawvideo",  # ffmpeg while it encodes
)


PHASES: dict[str, Callable[[Processes], object]] = {
    "cut": lambda processes: list(processes.storage.glob("videos/*/info.json")),
    "interpolate": lambda processes: list(processes.storage.glob("videos/*/*/*/receipts/*.json")),
    "encode": lambda processes: [one for one in processes.alive() if "rawvideo" in command_line(one)],
}
"""What shows that a phase of a run has begun, in their order."""


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody disturbed."""

    clip: Path
    sha256: str
    """Of the final video."""
    seconds: float
    phases: Mapping[str, float]
    """Seconds that each phase took."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    clip = make_clip(folder / "square.mp4", frames=160, speed=1, width=160, height=96)
    with Processes(folder) as processes:
        times = [time.monotonic()]
        command = processes.start("run", str(clip))
        for has_begun in PHASES.values():
            eventually(partial(has_begun, processes))
            times.append(time.monotonic())
        told = command.told()
        times.append(time.monotonic())
        assert told.status == 0, told.stderr
        [final] = processes.finals().values()
        phases = {phase: times[place + 2] - times[place + 1] for place, phase in enumerate(PHASES)}
        return Undisturbed(clip, final.sha256, times[-1] - times[0], phases)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as started:
        yield started


def choose(chance: random.Random, alive: list[psutil.Process], *, everything: bool) -> list[psutil.Process]:
    """All processes of a home, or one that works: those that only copy what a run prints are not worth a kill."""
    copying = ("compute_logs", "watch_orphans")
    working = [process for process in alive if not any(name in command_line(process) for name in copying)]
    return alive if everything or not working else [chance.choice(working)]


def strike(victims: list[psutil.Process], moment: float) -> None:
    """Kill them, and say which and when for the report of a failed test."""
    told = [f"{victim.pid} {command_line(victim)[:150]}" for victim in victims]
    kill(victims)
    print(f"killed after {moment:.2f} s:", *told, sep="\n  ")


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 23))])
def test_run_that_is_killed_ends_in_the_same_video(seed: int, processes: Processes, undisturbed: Undisturbed) -> None:
    chance = random.Random(seed)
    command = processes.start("run", str(undisturbed.clip))
    moment = chance.uniform(0, undisturbed.seconds)
    time.sleep(moment)
    strike(choose(chance, processes.alive(), everything=seed % 2 == 0), moment)
    assert_goes_on(processes, command, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("phase", PHASES)
def test_run_that_is_killed_in_a_phase_ends_in_the_same_video(
    phase: str, seed: int, processes: Processes, undisturbed: Undisturbed
) -> None:
    command = processes.start("run", str(undisturbed.clip))
    eventually(lambda: PHASES[phase](processes))
    moment = random.Random(seed).uniform(0, undisturbed.phases[phase])
    time.sleep(moment)
    strike([psutil.Process(command.process.pid)], moment)
    assert_goes_on(processes, command, undisturbed)


def assert_goes_on(processes: Processes, command: Command, undisturbed: Undisturbed) -> None:
    """The same command, again and again, ends in the same video."""
    there = processes.results()
    told = command.told()
    for _ in range(MOST_STARTS - 1):
        if told.status != 0:
            told = processes.call("run", str(undisturbed.clip))
    assert told.status == 0, told.stderr
    assert_undisturbed(processes, undisturbed, there)
    eventually(lambda: not processes.alive())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("victim", ["", *VICTIMS_OF_UP])
def test_up_that_is_killed_finishes_the_video_by_itself(
    victim: str, seed: int, processes: Processes, undisturbed: Undisturbed
) -> None:
    """`victim` is what the command line of the processes to be killed contains."""
    command = processes.up()
    drop(undisturbed.clip, processes.uploads / undisturbed.clip.name)
    eventually(processes.runs)
    moment = random.Random(f"{victim}{seed or ''}").uniform(0, undisturbed.seconds)
    time.sleep(moment)
    victims = eventually(lambda: [one for one in processes.alive() if victim in command_line(one)])
    strike(victims, moment)
    there = processes.results()
    deadline = time.monotonic() + 300
    while not (processes.finals() and all(run.is_finished for run in processes.runs())):
        assert time.monotonic() < deadline, [(run.job_name, run.status) for run in processes.runs()]
        if command.process.poll() is not None:
            eventually(lambda: not processes.alive())
            command = processes.up()
        time.sleep(0.5)
    assert_undisturbed(processes, undisturbed, there)


def assert_undisturbed(processes: Processes, undisturbed: Undisturbed, there: Mapping[str, Fingerprint]) -> None:
    """The final video is the same, no result of `there` was made again, and no run looks alive."""
    [final] = processes.finals().values()
    assert final.sha256 == undisturbed.sha256
    assert there.items() <= processes.results().items()
    assert all(run.is_finished for run in processes.runs())
