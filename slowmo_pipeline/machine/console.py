"""Progress for a person: bars on a terminal, lines elsewhere; always on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from slowmo_pipeline.estimate import Estimate, duration
from slowmo_pipeline.progress import LogProgress, RunProgress, amount

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
        TextColumn("{task.fields[amount]}"),
        _TimeColumn(),
        console=stderr,
    ) as bars:
        yield _StageBars(bars)


class _StageBars:
    """One bar a stage; a stage that starts completes the one before."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._estimate = Estimate(0)

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        if stage not in self._tasks:
            for task in self._bars.tasks:
                self._bars.update(task.id, total=task.completed)
            self._estimate = Estimate(done)
            self._tasks[stage] = self._bars.add_task(stage, total=None, amount="", estimate=self._estimate)
        self._estimate.update(done)
        self._bars.update(self._tasks[stage], completed=done, total=total or None, amount=amount(done, total, unit))

    def note(self, message: str) -> None:
        """Print the message above the bars."""
        self._bars.console.print(message, style="yellow")


class _TimeColumn(ProgressColumn):
    """How long a stage took, or takes, and what is left of it: Rich's own estimate takes a pause for the end."""

    def render(self, task: Task) -> Text:
        elapsed = duration(task.finished_time if task.finished_time is not None else task.elapsed or 0)
        if task.finished or not task.total:
            return Text(elapsed, style="progress.elapsed")
        left = task.fields["estimate"].seconds_left(int(task.total))
        return Text(elapsed if left is None else f"{elapsed}, {duration(left)} left", style="progress.remaining")
