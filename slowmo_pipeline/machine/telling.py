"""How a command tells what becomes of its clips: to people here, to programs in events.py."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

import typer

from slowmo_pipeline.errors import SlowmoError, UsageError
from slowmo_pipeline.machine.console import shown_progress, stderr
from slowmo_pipeline.machine.outcome import Outcome
from slowmo_pipeline.progress import Quiet, RunProgress


class Teller(Protocol):
    """Hears of each clip, by the path that was given, or by the id of a video that is made anew."""

    def progress(self, clip: str) -> AbstractContextManager[RunProgress]:
        """A receiver of the progress of a clip that is worked on."""

    def uploaded(self, clip: str, video_id: str) -> None:
        """A clip is in the uploads."""

    def finished(self, clip: str, outcome: Outcome, *, path: str, report: str, seconds: float) -> None:
        """A clip's result lies at `path`, and its report at `report`; that took so many seconds."""

    def failed(self, clip: str | None, message: str) -> None:
        """A clip failed; None: the command did."""

    def ended(self, *, clips: int, failed: int) -> None:
        """That was the last of so many clips."""


class ForPeople:
    """Results on stdout, everything else on stderr. When quiet, that is only what failed and what was lost."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def progress(self, clip: str) -> AbstractContextManager[RunProgress]:
        """Bars or lines."""
        return nullcontext(Quiet()) if self._quiet else shown_progress(_name(clip))

    def uploaded(self, clip: str, video_id: str) -> None:
        """Print the video's id."""
        print(video_id, flush=True)

    def finished(self, clip: str, outcome: Outcome, *, path: str, report: str, seconds: float) -> None:
        """Print the path; before it a line on the whole, the notes, and at the end what was lost."""
        name = _name(clip)
        if not self._quiet:
            stderr.print(f"{name}: {outcome.summary}, made in {seconds:.1f} s")
            for note in outcome.notes:
                stderr.print(f"{name}: note: {note}", style="yellow")
        for grave in outcome.grave:
            stderr.print(f"{name}: NOT WHOLE: {grave}", style="bold red")
        print(path, flush=True)

    def failed(self, clip: str | None, message: str) -> None:
        """Print why."""
        stderr.print(message if clip is None else f"{_name(clip)}: {message}", style="red")

    def ended(self, *, clips: int, failed: int) -> None:
        """Print how many failed, if any did."""
        if failed:
            stderr.print(f"{failed} of {clips} clips failed.", style="red")


class Failures:
    """Of many clips, one that fails is told and stops no other."""

    def __init__(self, teller: Teller | None = None) -> None:
        """Tells people unless there is a `teller`."""
        self.count = 0
        self._teller = teller or ForPeople()

    @contextmanager
    def told(self, clip: str) -> Iterator[None]:
        """Work on one clip: an expected error ends the block, and no more."""
        try:
            yield
        except UsageError:
            raise  # of the command, not of the clip
        except SlowmoError as error:
            self.count += 1
            self._teller.failed(clip, str(error))

    def end(self, clips: int) -> None:
        """End the command with exit code 1 when some of its clips failed."""
        self._teller.ended(clips=clips, failed=self.count)
        if self.count:
            raise typer.Exit(1)


def _name(clip: str) -> str:
    return os.path.basename(clip) or clip
