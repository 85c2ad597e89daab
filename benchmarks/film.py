"""FILM: our build of the network against the SavedModel's own graph, where its time goes, and tiles.

`python -m benchmarks.film [--4k]` on a network of the published size with random weights: values differ from the
published ones', work and memory do not. Takes some ten minutes on two idle cores; `--4k`, one new frame of 3840x2160 in
automatic tiles, some four more. Exits with 1 when our build is not as much cheaper as it should be.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import tensorflow as tf
from rich.console import Console

from benchmarks.film_phases import phases, phases_table
from benchmarks.film_setup import write_model
from benchmarks.film_speed import AIM, LEAST_RATIO, memory_table, race_all, shortcomings, speed_table
from benchmarks.film_tiles import tiles_table
from benchmarks.fresh_process import in_fresh_process


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.film", description=__doc__)
    parser.add_argument("--4k", dest="with_4k", action="store_true", help="make one new frame of 3840x2160, too")
    with_4k: bool = parser.parse_args().with_4k
    console = Console(width=110)
    console.print(f"TensorFlow {tf.__version__} on {os.cpu_count()} cores, {load()}")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "film")
        console.print(f"FILM of {in_fresh_process(write_model, model):,} random weights")
        races = in_fresh_process(race_all, model)
        console.print(speed_table(races))
        limits = ", ".join(f"{ratio} at {slowdown}x" for slowdown, ratio in LEAST_RATIO.items())
        console.print(f"Ratios of core seconds must be at least {limits}; the aim is {AIM}. {load()}")
        console.print(memory_table(model))
        console.print(phases_table(in_fresh_process(phases, model)), load())
        console.print(tiles_table(model, 1080, 1920))
        if with_4k:
            console.print(tiles_table(model, 2160, 3840, automatic_only=True))
        console.print("Random weights: the differences of published ones could not be measured.", load())
    if failures := shortcomings(races):
        sys.exit("; ".join(failures))


def load() -> str:
    return "load averages " + " ".join(f"{average:.1f}" for average in os.getloadavg())


if __name__ == "__main__":
    main()
