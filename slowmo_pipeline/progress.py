"""Telling how far long work has come, with an estimate of the time left."""

import logging
import time
from typing import Protocol

from rich.filesize import decimal

from slowmo_pipeline.estimate import Estimate, duration

LOG_EVERY_SECONDS = 10.0


class Progress(Protocol):
    """Receives how far a stage of the work has come; called often, must be cheap."""

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """`done` of `total` (0: not known yet) units of the stage are finished, counted from its start."""


class RunProgress(Progress, Protocol):
    """Receives beside it what else a run has to say."""

    def note(self, message: str) -> None:
        """Tell people at once, in a sentence or two."""


class Quiet:
    """A RunProgress that tells nobody."""

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""


class CurrentStage:
    """The estimate of the stage that is under way; one begins where another name comes."""

    def __init__(self) -> None:
        self._name = ""
        self._estimate = Estimate(0)

    def seconds_left(self, stage: str, done: int, total: int) -> float | None:
        """Until the stage ends, now that it has come so far."""
        if stage != self._name:
            self._name, self._estimate = stage, Estimate(done)
        self._estimate.update(done)
        return self._estimate.seconds_left(total)


class LogProgress:
    """Writes a line to a logger every few seconds, however many stages begin meanwhile."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._stage = CurrentStage()
        self._last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """Log a line when LOG_EVERY_SECONDS have passed since the last, with the time left of the stage."""
        seconds_left = self._stage.seconds_left(stage, done, total)
        now = time.monotonic()
        if now - self._last < LOG_EVERY_SECONDS:
            return
        self._last = now
        left = "" if seconds_left is None else f", {duration(seconds_left)} left"
        self._log.info("%s: %s%s", stage, amount(done, total, unit), left)

    def note(self, message: str) -> None:
        """Log a warning."""
        self._log.warning("%s", message)


def amount(done: int, total: int, unit: str) -> str:
    """Such as "4 of 10 chunks"; bytes in the unit that suits them."""
    if unit == "bytes":
        return f"{decimal(done)} of {decimal(total)}" if total else decimal(done)
    return f"{done} of {total} {unit}" if total else f"{done} {unit}"
