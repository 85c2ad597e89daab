"""Progress for a person: bars on a terminal, lines elsewhere; always on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from slowmo_pipeline.errors import SlowmoError, UsageError
from slowmo_pipeline.machine.outcome import Outcome
from slowmo_pipeline.progress import LogProgress, RunProgress

# What is printed are words and paths: [brackets] and :colons: of theirs are not for Rich.
stderr = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

EXIT_INTERRUPTED = 130
"""The exit code of a command that was interrupted, as shells report a program that SIGINT ended."""


@contextmanager
def shown_progress(title: str) -> Iterator[RunProgress]:
    """A receiver that draws one bar a stage, or logs lines when stderr is no terminal."""
    if not stderr.is_terminal:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(f"{title}: %(message)s"))
        log = logging.Logger("slowmo.progress")
        log.addHandler(handler)
        yield LogProgress(log)
        return
    stderr.print(title, style="bold")
    with Bars(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
    ) as bars:
        yield _StageBars(bars)


def tell(clip: str, outcome: Outcome, *, seconds: float) -> None:
    """Tell of a finished video: a line on the whole, and one for each thing worth knowing, what was lost at the end."""
    stderr.print(f"{clip}: {outcome.summary}, made in {seconds:.1f} s")
    for note in outcome.notes:
        stderr.print(f"{clip}: note: {note}", style="yellow")
    for grave in outcome.grave:
        stderr.print(f"{clip}: NOT WHOLE: {grave}", style="bold red")


class Failures:
    """Of many clips, one that fails is told on stderr and stops no other."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def told(self, clip: str) -> Iterator[None]:
        """Work on one clip: an expected error ends the block, and no more."""
        try:
            yield
        except UsageError:
            raise  # of the command, not of the clip
        except SlowmoError as error:
            self.count += 1
            stderr.print(f"{clip}: {error}", style="red")

    def end(self, clips: int) -> None:
        """End the command with exit code 1 when some of its clips failed."""
        if self.count:
            stderr.print(f"{self.count} of {clips} clips failed.", style="red")
            raise typer.Exit(1)


class _StageBars:
    """One bar a stage; a stage that starts completes the one before."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        if stage not in self._tasks:
            for task in self._bars.tasks:
                self._bars.update(task.id, total=task.completed)
            self._tasks[stage] = self._bars.add_task(stage, total=None, unit=unit)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)

    def note(self, message: str) -> None:
        """Print the message above the bars."""
        self._bars.console.print(message, style="yellow")
