"""Telling how far long work has come, with an estimate of the time left."""

import logging
import time
from typing import Protocol

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


class LogProgress:
    """Writes a line to a logger every few seconds."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._stage = ""
        self._started = self._last = 0.0
        self._already = 0

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """Log a line when LOG_EVERY_SECONDS have passed since the last, with the time left."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started, self._last, self._already = stage, now, now, done
        if now - self._last < LOG_EVERY_SECONDS:
            return
        self._last = now
        left = time_left(now - self._started, done - self._already, total - done)
        of_all = f" of {total}" if total else ""
        self._log.info("%s: %d%s %s%s", stage, done, of_all, unit, left and f", {left} left")

    def note(self, message: str) -> None:
        """Log a warning."""
        self._log.warning("%s", message)


def time_left(elapsed: float, done: int, remaining: int) -> str:
    """An estimate such as "2 min 05 s" from what was done in `elapsed` seconds; empty when nothing can be said."""
    if done <= 0 or remaining < 0:
        return ""
    minutes, seconds = divmod(round(elapsed / done * remaining), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
