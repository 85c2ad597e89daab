"""`slowmo run`: clips in, slow motion out, and told what came of each."""

import sys
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli.interpolator_options import Chosen, with_interpolator_options
from slowmo_pipeline.cli.local import Workers
from slowmo_pipeline.cli.making import EXIT_NOT_WHOLE, Needed, Task, make_all
from slowmo_pipeline.cli.options import CLIPS, GivenLimits, ImageRate, image_rate_of, with_limits, with_video_settings
from slowmo_pipeline.cli.plan import print_plans
from slowmo_pipeline.cli.telling import AsJson, Quietly, telling
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import UsageError, usage
from slowmo_pipeline.settings import SlowMotionSettings

if TYPE_CHECKING:
    from slowmo_pipeline.machine.destination import Copies
    from slowmo_pipeline.machine.telling import Failures
    from slowmo_pipeline.storage.base import Storage


@with_interpolator_options
@with_video_settings()
def run(
    clips: Annotated[list[Path] | None, CLIPS] = None,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            help="Put a copy of the result here: a file with the codec's suffix, or a folder, into which it goes under "
            "the clip's name. A missing folder is made."
        ),
    ] = None,
    beside: Annotated[
        bool,
        typer.Option(
            "--beside", help="Put a copy of each result beside its clip, by a name that tells: CLIP-4x.mp4, say."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --output and --beside replace files.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 3 when frames or sound were lost, or a check failed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make nothing: tell what would be made, as `slowmo plan` does.")
    ] = False,
    outdated: Annotated[
        bool,
        typer.Option(
            "--outdated",
            help="Instead of clips: make anew what an older model made than is served now, each with its settings.",
        ),
    ] = False,
    image_rate: ImageRate = None,
    quiet: Quietly = False,
    as_json: AsJson = False,
    limits: GivenLimits = [],  # noqa: B006  # Typer reads it, and copies
    chosen: Chosen,
    workers: Workers = None,
    **given: object,
) -> None:
    """Make slow motion of video files and of folders of images, and print where the results lie.

    What was lost on the way, and what else is worth knowing of a result, goes to stderr.

    A clip that fails does not stop the others; the exit code is 1 then. Killed anywhere, the same command goes on
    where it was. A file CLIP.slowmo.json beside a clip holds settings, and the storage's settings.json those of all
    clips; options win over both.
    """
    from slowmo_pipeline.machine.telling import Failures
    from slowmo_pipeline.steps.clips import named, require_clip
    from slowmo_pipeline.steps.inspect_upload import defaults
    from slowmo_pipeline.steps.upload import settings_of
    from slowmo_pipeline.storage.opening import open_storage

    clips = [named(clip) for clip in clips or ()]
    with usage():
        given = with_limits(given, limits)
        rate = image_rate_of(image_rate, clips)
        copies = _copies(tuple(clips), output=output, beside=beside, overwrite=overwrite)
    if outdated and dry_run:
        raise UsageError(
            "--dry-run tells what would be made of clips: `slowmo status --outdated` lists what is outdated."
        )
    if outdated and (clips or given or copies):
        raise UsageError("--outdated makes videos anew as they were: it takes no clips, no settings, no --output.")
    if not (outdated or clips):
        raise UsageError("Give a video file, or --outdated.")
    if dry_run and as_json:
        raise UsageError("--dry-run makes nothing of which there are events: leave out --json.")
    if dry_run:
        print_plans(clips, given, rate)
        return
    with telling(as_json=as_json, quiet=quiet) as teller:
        storage, failures = open_storage(current_home().storage_url), Failures(teller)
        needed = Needed(storage, chosen)
        tasks = _outdated(storage, needed, failures) if outdated else []
        common = defaults(storage)
        for clip in clips:
            with failures.told(str(clip)):
                require_clip(clip)
                settings = settings_of(clip, defaults=common, options=given)
                place = copies.of(clip, settings) if copies else None
                with usage() if "interpolator" in given else nullcontext():
                    needed.add(settings.interpolator)
                tasks.append(_of_clip(clip, settings, place, rate))
        count, not_whole = len(tasks) + failures.count, 0
        if tasks:
            served = needed.served()
            not_whole = make_all(storage, tasks, served, teller, failures, workers=workers, copies=copies)
        failures.end(count)
    if strict and not_whole:
        raise typer.Exit(EXIT_NOT_WHOLE)


def _copies(clips: tuple[Path, ...], *, output: str | None, beside: bool, overwrite: bool) -> "Copies | None":
    from slowmo_pipeline.machine.destination import Beside, Output

    if beside and output is not None:
        raise UsageError("--beside and --output say where a result goes: leave one of them out.")
    if output is not None:
        return Output(clips, overwrite, output)
    return Beside(clips, overwrite) if beside else None


def _of_clip(clip: Path, settings: SlowMotionSettings, place: Path | None, image_rate: Fraction) -> Task:
    return Task(
        str(clip),
        lambda pipeline, progress: pipeline.run_clip(clip, settings, progress, image_rate=image_rate),
        place,
    )


def _made_anew(video_id: str) -> Task:
    return Task(video_id, lambda pipeline, progress: pipeline.run_again(video_id, progress))


def _outdated(storage: "Storage", needed: Needed, failures: "Failures") -> list[Task]:
    """The videos that an older model made than their endpoint runs now."""
    from slowmo_pipeline.steps.video_status import NONE_OUTDATED, VideoStatuses

    tasks, statuses = [], VideoStatuses(storage)
    for video_id in statuses.video_ids:
        with failures.told(video_id):
            status = statuses.of(video_id)
            if status.is_outdated and status.settings:
                needed.add(status.settings.interpolator)
                tasks.append(_made_anew(video_id))
    if not tasks:
        print(NONE_OUTDATED, file=sys.stderr)
    return tasks
