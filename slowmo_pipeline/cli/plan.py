"""`slowmo plan`: what clips would become and take, before anything is spent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli.options import GivenLimits, with_video_settings
from slowmo_pipeline.cli.tables import print_columns
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import usage
from slowmo_pipeline.settings import SlowMotionSettings, parse_limits, parse_settings

if TYPE_CHECKING:
    from slowmo_pipeline.video.info import VideoInfo


@with_video_settings()
def plan(
    clips: Annotated[list[Path], typer.Argument(help="Video files.", show_default=False, readable=False)],
    *,
    limits: GivenLimits = [],  # noqa: B006  # Typer reads it, and copies
    **given: object,
) -> None:
    """Tell what would be made of video files: frames, cuts, holds, chunks, storage, time and cost. Nothing is made.

    A clip is decoded once to find its cuts; with --cuts off its packets tell enough. It takes the settings of `slowmo
    run`. A clip that fails does not stop the others; the exit code is 1 then.
    """
    with usage():
        given |= parse_limits(limits)
        parse_settings(given, origin="The options")
    print_plans(clips, given)


def print_plans(clips: Sequence[Path], given: Mapping[str, object]) -> None:
    """Print the outline of each clip."""
    from slowmo_pipeline.machine.telling import Failures
    from slowmo_pipeline.steps.inspect_upload import defaults
    from slowmo_pipeline.steps.outline import outline
    from slowmo_pipeline.storage.opening import open_storage

    storage, failures = open_storage(current_home().storage_url), Failures()
    common = defaults(storage)
    for clip in clips:
        with failures.told(clip.name):
            settings, info = look_at(clip, common, given, decode=False)
            found = outline(storage, info, settings)
            print_columns([("clip", str(clip)), *found.lines()])
    failures.end(len(clips))


def look_at(
    clip: Path, common: Mapping[str, object], options: Mapping[str, object], *, decode: bool
) -> "tuple[SlowMotionSettings, VideoInfo]":
    """The settings of a local file, and what probing finds for them; see `probe_with`."""
    from slowmo_pipeline.machine.console import shown_progress
    from slowmo_pipeline.steps.inspect_upload import probe_with
    from slowmo_pipeline.steps.upload import settings_of
    from slowmo_pipeline.storage.disk_errors import file_size

    file_size(clip)
    settings = settings_of(clip, defaults=common, options=options)
    with shown_progress(clip.name) as progress:
        return settings, probe_with(clip, settings, progress, decode=decode)
