"""SIGKILL at random moments, of one process or of all; then the same command again: the same video, nothing twice."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRunStatus

from slowmo_pipeline_tests.local_server import eventually
from slowmo_pipeline_tests.processes import Command, Processes, kill, make_clip

MOST_STARTS = 3
"""A killed worker needs no other start, a killed ffmpeg one."""


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody disturbed."""

    clip: Path
    sha256: str
    """Of the final video."""
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    clip = make_clip(folder / "square.mp4", frames=160, speed=1, width=320, height=192)
    with Processes(folder) as processes:
        began = time.monotonic()
        told = processes.call("run", str(clip))
        assert told.status == 0, told.stderr
        [final] = processes.finals().values()
        return Undisturbed(clip, final.sha256, time.monotonic() - began)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as started:
        yield started


def kill_at_random(chance: random.Random, processes: Processes, *, everything: bool, within: float) -> None:
    """Wait a random part of `within` seconds, then kill a random process of the home or all of them, and say which."""
    moment = chance.uniform(0, within)
    time.sleep(moment)
    alive = processes.alive()
    victims = alive if everything or not alive else [chance.choice(alive)]
    told = [f"{victim.pid} {' '.join(victim.cmdline()[1:])[:150]}" for victim in victims]
    kill(victims)
    print(f"killed after {moment:.2f} s:", *told, sep="\n  ")


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 23))])
def test_run_that_is_killed_ends_in_the_same_video(seed: int, processes: Processes, undisturbed: Undisturbed) -> None:
    command = processes.start("run", str(undisturbed.clip))
    kill_at_random(random.Random(seed), processes, everything=seed % 2 == 0, within=undisturbed.seconds)
    there = processes.results()
    told = command.told()
    for _ in range(MOST_STARTS - 1):
        if told.status != 0:
            told = processes.call("run", str(undisturbed.clip))
    assert told.status == 0, told.stderr
    [final] = processes.finals().values()
    assert final.sha256 == undisturbed.sha256
    assert {key: made for key, made in processes.results().items() if key in there} == there
    assert all(run.is_finished for run in processes.runs())
    eventually(lambda: not processes.alive())
