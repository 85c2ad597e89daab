"""Where FILM's time goes: its phases in seconds and GFLOP, beside a large matrix product of the same run.

The phases are parts of the network's private methods, each in a graph of its own: a benchmark may look inside.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.table import Table

from benchmarks.film_cost import own_cost
from benchmarks.film_setup import read_frames
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.film.network import FilmNetwork, Prepared
from slowmo_pipeline.interpolation.film.network import _Warp as Warp
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm

HEIGHT, WIDTH = 256, 448
ROUNDS = 5
PRODUCT = 4096
"""Rows and columns of the matrices whose product shows what the processor can do."""

Tensor = Any
"""tf.Tensor, which has no type information."""


@dataclass(frozen=True)
class Phase:
    """A part of the work for one new frame."""

    name: str
    seconds: float
    gflop: float | None
    """None where it is not arithmetic that counts."""


@dataclass(frozen=True)
class Phases:
    """One run."""

    phases: tuple[Phase, ...]
    peak: float
    """GFLOP/s of the matrix product."""


class Parts:
    """Graphs of the network's parts."""

    def __init__(self, network: FilmNetwork) -> None:
        self._network = network
        self.flow = tf.function(network._flows, autograph=False)
        """From a frame to the other, on all levels."""
        self.flow_lookups = tf.function(self._flow_lookups, autograph=False)
        """Those that are part of `flow`."""
        self.lookups = tf.function(self._lookups, autograph=False)
        """Those for the fusion, of one frame."""

    def _flow_lookups(self, frame: Prepared, flows: list[Tensor]) -> list[Tensor]:
        pairs = zip(frame.features[:-1], flows, strict=False)
        return [Warp(flow)(features) for features, flow in pairs]

    def _lookups(self, frame: Prepared, flows: list[Tensor]) -> list[list[Tensor]]:
        levels = range(self._network.options.fusion_pyramid_levels)
        return [self._network._aligned(frame, level, flows[level]) for level in levels]


def phases(model: Path) -> Phases:
    """Time each phase, the best of some rounds in which all take turns."""
    saved = SavedFilm.load(model)
    network = FilmNetwork(saved.options, saved.weights)
    parts = Parts(network)
    before_image, after_image = (tf.constant(frame[np.newaxis] / np.float32(65535)) for frame in _pair())
    before, after = network.prepare(before_image), network.prepare(after_image)
    flows, half = parts.flow(before, after), tf.constant(0.5)
    matrix = np.random.default_rng(0).uniform(size=(PRODUCT, PRODUCT)).astype(np.float32)
    work: dict[str, Callable[[], object]] = {
        "prepare": lambda: network.prepare(before_image),
        "render": lambda: network.render(before, after, half),
        "flow": lambda: parts.flow(before, after),
        "flow lookups": lambda: parts.flow_lookups(after, flows),
        "lookups": lambda: parts.lookups(after, flows),
        # NumPy's: TensorFlow's own was slower than its convolutions on an AMD EPYC, and so no peak.
        "product": lambda: matrix @ matrix,
    }
    for run in work.values():
        run()
    best = {name: min(seconds) for name, seconds in _in_turns(work).items()}
    cost = own_cost(network.options, HEIGHT, WIDTH)
    fusion = best["render"] - 2 * best["flow"]
    return Phases(
        (
            Phase("features of a frame", best["prepare"], cost.frame),
            Phase("flow, both directions", 2 * best["flow"], 2 * cost.direction),
            Phase("  of it lookups", 2 * best["flow lookups"], None),
            Phase("fusion", fusion, cost.fusion),
            Phase("  of it lookups", 2 * best["lookups"], None),
            Phase("new frame at 4x", best["render"] + best["prepare"] * 2 / 3, cost.new_frame(2 / 3)),
        ),
        peak=2 * PRODUCT**3 / 1e9 / best["product"],
    )


def _pair() -> list[Frame]:
    return read_frames(2, HEIGHT, WIDTH)


def _in_turns(work: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, run in work.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def phases_table(found: Phases) -> Table:
    shown = Table("part", title=f"Where our time goes, {WIDTH}x{HEIGHT}, best of {ROUNDS}")
    for heading in ("seconds", "GFLOP", "GFLOP/s", "of product's"):
        shown.add_column(heading, justify="right")
    for phase in found.phases:
        rates = ["", "", ""]
        if phase.gflop is not None:
            rate = phase.gflop / phase.seconds
            rates = [f"{phase.gflop:.0f}", f"{rate:.0f}", f"{rate / found.peak:.0%}"]
        shown.add_row(phase.name, f"{phase.seconds:.2f}", *rates)
    shown.caption = f"NumPy's product of {PRODUCT}x{PRODUCT} matrices: {found.peak:.0f} GFLOP/s"
    return shown
