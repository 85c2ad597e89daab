"""`slowmo status`: where videos stand, as a table, one by one, or for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli.one_by_one import OneVideo, told_on_stderr
from slowmo_pipeline.cli.tables import Link, print_columns
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.settings import SlowMotionSettings

if TYPE_CHECKING:
    from slowmo_pipeline.steps.video_status import VideoStatus
    from slowmo_pipeline.storage.base import Storage

_HEADER = ("VIDEO", "STATE", "SETTINGS", "NOTES", "REPORT", "RESULT")


def status(
    video: OneVideo = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Only what an older model made than is served now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a video a line (docs/command-line.md).")] = False,
) -> None:
    """Show where each video stands: its result and report, how much was noted or lost, or why it failed.

    One video is shown with all that is to be said of it.
    """
    from slowmo_pipeline.steps.video_status import NONE_OUTDATED, VideoStatuses
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    statuses = VideoStatuses(storage, only=video)
    found: list[VideoStatus] = []
    for video_id in [video] if video else statuses.video_ids:
        with told_on_stderr(video_id, go_on=video is None):
            each = statuses.of(video_id)
            if each.is_outdated or not outdated:
                found.append(each)
    if not found:
        print(NONE_OUTDATED if outdated else "No videos yet: `slowmo run CLIP` makes the first.", file=sys.stderr)
        return
    reasons = _reasons([each.video_id for each in found if not each.is_finished])
    rows = [_Row(each, reasons.get(each.video_id), storage) for each in found]
    if as_json:
        for row in rows:
            print(json.dumps(row.fields()), flush=True)
    elif video:
        print_columns(rows[0].facts())
    else:
        print_columns([_HEADER, *(row.cells() for row in rows)])


def _reasons(video_ids: Sequence[str]) -> dict[str, str | None]:
    """Why the last run of each failed, as Dagster knows: it is opened only if there is something to ask."""
    if not video_ids:
        return {}
    from slowmo_pipeline.machine.home import open_instance
    from slowmo_pipeline.machine.run import failure_of

    with open_instance(current_home()) as instance:
        return {video_id: failure_of(instance, video_id) for video_id in video_ids}


class _Row:
    """One video, in the ways that it is shown."""

    def __init__(self, status: "VideoStatus", reason: str | None, storage: "Storage") -> None:
        self._status = status
        self._reason = reason
        self._state = "failed" if reason else status.state
        # A failed run's video may have the result of earlier settings.
        self._result = storage.display_path(status.result) if status.result else None
        self._report = storage.display_path(status.report) if status.report else None

    def cells(self) -> tuple[str, ...]:
        """Below _HEADER. What is of any length comes last."""
        losses = _counted(len(self._status.losses), "loss", "losses")
        notes = _counted(len(self._status.notes), "note", "notes")
        report, result = self._report or "", self._result or ""
        return (
            self._status.video_id,
            self._state,
            settings_in_short(self._status.settings) if self._status.settings else "",
            ", ".join(filter(None, (losses, notes))),
            _linked(report, "report" if sys.stdout.isatty() else report),
            self._reason or _linked(result, result),
        )

    def facts(self) -> Iterator[tuple[str, str]]:
        """Each with its name."""
        settings = self._status.settings
        yield from (("video", self._status.video_id), ("state", self._state))
        if self._reason:
            yield "reason", self._reason
        if settings:
            yield "settings", settings_in_short(settings)
        if self._result:
            yield "result", _linked(self._result, self._result)
        if self._report:
            yield "report", _linked(self._report, self._report)
        yield from (("note", note) for note in self._status.notes)
        yield from (("loss", loss) for loss in self._status.losses)

    def fields(self) -> dict[str, object]:
        """For programs."""
        settings = self._status.settings
        return {
            "video": self._status.video_id,
            "state": self._state,
            "reason": self._reason,
            "settings": settings.model_dump(mode="json") if settings else None,
            "result": self._result,
            "report": self._report,
            "notes": self._status.notes,
            "losses": self._status.losses,
        }


def settings_in_short(settings: SlowMotionSettings) -> str:
    """As names of results tell them, with the codec and the interpolator that are not the usual ones."""
    from slowmo_pipeline.machine.telling_names import telling_words

    usual = SlowMotionSettings()
    pairs = (settings.codec, usual.codec), (settings.interpolator, usual.interpolator)
    return " ".join((*telling_words(settings), *(value for value, default in pairs if value != default)))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""


def _linked(place: str, text: str) -> str:
    """The text, as a link to a file or to an object of S3."""
    from slowmo_pipeline.notifications import console_url

    return Link(text, console_url(place) or Path(place).as_uri()) if place else ""
