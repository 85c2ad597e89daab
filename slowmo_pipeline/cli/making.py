"""Making videos on the command line, one after the other, while a local endpoint serves what they need."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from slowmo_pipeline.cli.interpolator_options import Chosen
from slowmo_pipeline.cli.local import require_taken
from slowmo_pipeline.environment import current_home

if TYPE_CHECKING:
    from slowmo_pipeline.machine.destination import Copies
    from slowmo_pipeline.machine.outcome import Outcome
    from slowmo_pipeline.machine.run import Pipeline
    from slowmo_pipeline.machine.telling import Failures, Teller
    from slowmo_pipeline.progress import RunProgress
    from slowmo_pipeline.storage.base import Storage

EXIT_NOT_WHOLE = 3
"""The exit code of `--strict` when frames or sound were lost, or a check failed."""


class Task(NamedTuple):
    """One video to make."""

    name: str
    """The path of its clip as it was given, or the id of a video that is made anew."""
    make: "Callable[[Pipeline, RunProgress], Outcome]"
    place: Path | None = None
    """Where a copy of the result goes."""


class Needed:
    """The interpolators that tasks need; what each of them takes is looked up once."""

    def __init__(self, storage: "Storage", chosen: Chosen) -> None:
        self._storage = storage
        self._chosen = chosen
        self._local: set[str] = set()
        self._endpoints: dict[str, list[str]] = {}

    def add(self, name: str) -> None:
        """Look up what serves it; raises SlowmoError when there is no such interpolator, or what it needs is absent."""
        from slowmo_pipeline.endpoint.record import is_deployed
        from slowmo_pipeline.machine.local_endpoints import local_endpoints

        if name in self._endpoints:
            return
        local = set() if is_deployed(self._storage, name) else {name}
        self._local |= local
        self._endpoints[name] = local_endpoints(local, self._chosen)

    def served(self) -> list[str]:
        """What the local endpoint has to serve. Raises UsageError for options of an interpolator that no task needs."""
        require_taken(self._local, self._chosen)
        return [entry for entries in self._endpoints.values() for entry in entries]


def make_all(
    storage: "Storage",
    tasks: Sequence[Task],
    served: Sequence[str],
    teller: "Teller",
    failures: "Failures",
    *,
    workers: int | None,
    copies: "Copies | None",
) -> int:
    """Make them and tell of each; returns how many are not whole."""
    from slowmo_pipeline.machine.console import EXIT_INTERRUPTED

    incomplete = 0
    # Imports Dagster, which takes a second: not for --help.
    from slowmo_pipeline.machine.run import open_pipeline

    with open_pipeline(current_home(), storage, endpoints=served, workers=workers) as pipeline:
        for name, make, place in tasks:
            try:
                with failures.told(name):
                    began = time.monotonic()
                    with teller.progress(name) as progress:
                        outcome = make(pipeline, progress)
                    seconds = time.monotonic() - began
                    incomplete += bool(outcome.grave)
                    if copies and place:
                        copies.deliver(storage, outcome.key, place)
                    path, report = str(place or storage.display_path(outcome.key)), storage.display_path(outcome.report)
                    teller.finished(name, outcome, path=path, report=report, seconds=seconds)
            except KeyboardInterrupt:
                teller.failed(None, "Interrupted. The same command goes on where this one stopped.")
                raise typer.Exit(EXIT_INTERRUPTED) from None
    return incomplete
