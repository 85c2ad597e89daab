"""What becomes of clips as JSON lines on stdout, for programs; docs/command-line.md describes each event."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slowmo_pipeline.machine.outcome import Outcome
from slowmo_pipeline.progress import CurrentStage, Quiet, RunProgress

_EVERY_SECONDS = 1.0


class ForPrograms:
    """A Teller that prints an event a line. When quiet, none of progress and of notes on the way."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    @contextmanager
    def progress(self, clip: str) -> Iterator[RunProgress]:
        """Print `progress` and `note`."""
        yield Quiet() if self._quiet else _EventProgress(clip)

    def uploaded(self, clip: str, video_id: str) -> None:
        """Print `uploaded`."""
        _print("uploaded", clip=clip, video=video_id)

    def finished(self, clip: str, outcome: Outcome, *, path: str, report: str, seconds: float) -> None:
        """Print `finished`."""
        _print(
            "finished",
            clip=clip,
            path=path,
            report=report,
            frames=outcome.frames,
            seconds=float(outcome.seconds),
            took_seconds=round(seconds, 1),
            notes=outcome.notes,
            losses=outcome.grave,
        )

    def failed(self, clip: str | None, message: str) -> None:
        """Print `failed`."""
        _print("failed", clip=clip, message=message)

    def ended(self, *, clips: int, failed: int) -> None:
        """Print `ended`."""
        _print("ended", clips=clips, failed=failed)


class _EventProgress:
    """Where a stage begins and where it ends, and every second between."""

    def __init__(self, clip: str) -> None:
        self._clip = clip
        self._estimate = CurrentStage()
        self._told = ("", 0)
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        seconds_left, now = self._estimate.seconds_left(stage, done, total), time.monotonic()
        begins, ends, again = stage != self._told[0], 0 < total == done, (stage, done) == self._told
        if (ends and again) or not (begins or ends or now - self._last >= _EVERY_SECONDS):
            return
        self._told, self._last = (stage, done), now
        _print(
            "progress",
            clip=self._clip,
            stage=stage,
            done=done,
            total=total or None,
            unit=unit,
            seconds_left=None if seconds_left is None else round(seconds_left, 1),
        )

    def note(self, message: str) -> None:
        _print("note", clip=self._clip, message=message)


def _print(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)
