"""`slowmo plan`: what clips would become and take, before anything is spent."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from slowmo_pipeline.cli.options import Clips, GivenLimits, ImageRate, image_rate_of, with_limits, with_video_settings
from slowmo_pipeline.cli.tables import print_columns
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import usage
from slowmo_pipeline.settings import SlowMotionSettings

if TYPE_CHECKING:
    from slowmo_pipeline.storage.base import Storage
    from slowmo_pipeline.video.info import VideoInfo


@with_video_settings()
def plan(
    clips: Clips,
    *,
    image_rate: ImageRate = None,
    limits: GivenLimits = [],  # noqa: B006  # Typer reads it, and copies
    **given: object,
) -> None:
    """Tell what would be made of video files: frames, cuts, holds, chunks, storage, time and cost. Nothing is made.

    A clip is decoded once to find its cuts; with --cuts off its packets tell enough. It takes the settings of `slowmo
    run`. A clip that fails does not stop the others; the exit code is 1 then.
    """
    with usage():
        given = with_limits(given, limits)
        rate = image_rate_of(image_rate, clips)
    print_plans(clips, given, rate)


def print_plans(clips: Sequence[Path], given: Mapping[str, object], image_rate: Fraction) -> None:
    """Print the outline of each clip."""
    from slowmo_pipeline.machine.telling import Failures
    from slowmo_pipeline.steps.inspect_upload import defaults
    from slowmo_pipeline.steps.outline import outline
    from slowmo_pipeline.storage.opening import open_storage

    storage, failures = open_storage(current_home().storage_url), Failures()
    common = defaults(storage)
    for clip in clips:
        with failures.told(clip.name):
            settings, info = look_at(storage, clip, common, given, image_rate, decode=False)
            found = outline(storage, info, settings)
            print_columns([("clip", str(clip)), *found.lines()])
    failures.end(len(clips))


def look_at(
    storage: "Storage",
    clip: Path,
    common: Mapping[str, object],
    options: Mapping[str, object],
    image_rate: Fraction,
    *,
    decode: bool,
) -> "tuple[SlowMotionSettings, VideoInfo]":
    """The settings of a local clip, and what probing finds for them; see `probe_with`."""
    from slowmo_pipeline.machine.console import shown_progress
    from slowmo_pipeline.steps.clips import as_file, named, require_clip
    from slowmo_pipeline.steps.inspect_upload import probe_with
    from slowmo_pipeline.steps.upload import settings_of

    clip = named(clip)
    require_clip(clip)
    settings = settings_of(clip, defaults=common, options=options)
    with shown_progress(clip.name) as progress, as_file(storage, clip, image_rate, progress) as file:
        return settings, probe_with(file, settings, progress, decode=decode)
