"""`slowmo run`: clips in, slow motion out, and told what came of each."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from slowmo_pipeline.cli_cost import GivenLimits
from slowmo_pipeline.cli_local import Model, Workers, check_for_film, local_endpoints
from slowmo_pipeline.cli_model import BlockHeight, BlockWidth, Precision
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import usage

if TYPE_CHECKING:
    from slowmo_pipeline.running import Pipeline
    from slowmo_pipeline.settings import SlowMotionSettings

NOT_WHOLE = 3
"""The exit code of `--strict` when frames or sound were lost, or a check failed."""

Clips = Annotated[list[Path], typer.Argument(help="Video files.", show_default=False, readable=False)]
"""Whether each can be read is told of each, while the others go on."""


class _Task(NamedTuple):
    clip: Path
    settings: dict[str, object]
    place: Path | None
    """Of `--output`."""


def run(
    clips: Clips,
    slowdown: Annotated[str | None, typer.Option(help='How many times slower: 4, "5/2", 2.5. Default: 4.')] = None,
    frame_rate: Annotated[str | None, typer.Option(help="Frames per second; unset: the source's.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="Put a copy of the result here: a file with the codec's suffix, or a folder, into which it goes under "
            "the clip's name. A missing folder is made."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --output replace a file.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 3 when frames or sound were lost, or a check failed.")
    ] = False,
    codec: Annotated[str | None, typer.Option(help="h264, h265 (MP4), prores (MOV) or ffv1 (MKV).")] = None,
    crf: Annotated[int | None, typer.Option(help="Quality of h264 and h265, of no other; lower is better.")] = None,
    sound: Annotated[str | None, typer.Option(help="stretch (pitch kept) or none.")] = None,
    interpolator: Annotated[str | None, typer.Option(help="What makes the new frames: flow (default) or film.")] = None,
    limits: GivenLimits = [],  # noqa: B006  # Typer reads it, and copies
    model: Model = None,
    block_height: BlockHeight = None,
    block_width: BlockWidth = None,
    precision: Precision = None,
    workers: Workers = None,
) -> None:
    """Make slow motion of video files, and print where the results lie.

    What was lost on the way, and what else is worth knowing of a result, goes to stderr.

    A clip that fails does not stop the others; the exit code is 1 then. Killed anywhere, the same command goes on
    where it was. A file CLIP.slowmo.json beside a clip holds settings, and the storage's settings.json those of all
    clips; options win over both.
    """
    from slowmo_pipeline.console import INTERRUPTED, Failures, shown_progress, stderr, tell
    from slowmo_pipeline.destination import Output
    from slowmo_pipeline.settings import parse_limits, parse_settings
    from slowmo_pipeline.steps.probe import defaults
    from slowmo_pipeline.steps.upload import settings_of
    from slowmo_pipeline.storage.disk_errors import file_size
    from slowmo_pipeline.storage.opening import open_storage

    options = {
        "slowdown": slowdown,
        "frame_rate": frame_rate,
        "codec": codec,
        "crf": crf,
        "sound": sound,
        "interpolator": interpolator,
    }
    with usage():
        given = {name: value for name, value in options.items() if value is not None} | parse_limits(limits)
        parse_settings(given, origin="The options")
        copies = None if output is None else Output(output, tuple(clips), overwrite)
    common = defaults(open_storage(current_home().storage_url))
    failures, used, not_whole = Failures(), set[str](), 0
    tasks: list[_Task] = []
    endpoints: dict[str, list[str]] = {}
    for clip in clips:
        with failures.told(clip.name):
            file_size(clip)
            settings = _spelled_out(settings_of(clip, defaults=common, options=given))
            place = copies.of(clip, codec=str(settings["codec"])) if copies else None
            name = str(settings["interpolator"])
            used.add(name)
            if name not in endpoints:
                wanted = {name} - _deployed({name})
                with usage() if interpolator else nullcontext():
                    endpoints[name] = local_endpoints(wanted, model, block_height, block_width, precision)
            tasks.append(_Task(clip, settings, place))
    if tasks:
        check_for_film(used - _deployed(used), model, block_height, block_width, precision)
        with _pipeline(workers, [*chain(*endpoints.values())]) as pipeline:
            for clip, settings, place in tasks:
                try:
                    with failures.told(clip.name):
                        began = time.monotonic()
                        with shown_progress(clip.name) as progress:
                            outcome = pipeline.run_clip(clip, settings, progress)
                        tell(clip.name, outcome, seconds=time.monotonic() - began)
                        not_whole += bool(outcome.grave)
                        if copies and place:
                            copies.deliver(pipeline.storage, outcome.key, place)
                        print(place or pipeline.storage.display_path(outcome.key), flush=True)
                except KeyboardInterrupt:
                    stderr.print("Interrupted. The same command goes on where this one was.")
                    raise typer.Exit(INTERRUPTED) from None
    failures.end(len(clips))
    if strict and not_whole:
        raise typer.Exit(NOT_WHOLE)


def _deployed(interpolators: Iterable[str]) -> set[str]:
    """Those that Amazon SageMaker runs for the storage."""
    from slowmo_pipeline.endpoint_record import is_deployed
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    return {name for name in interpolators if is_deployed(storage, name)}


@contextmanager
def _pipeline(workers: int | None, endpoints: Sequence[str]) -> Iterator["Pipeline"]:
    # Imports Dagster, which takes a second: not for --help.
    from slowmo_pipeline.home import open_instance
    from slowmo_pipeline.running import Pipeline
    from slowmo_pipeline.serving.owner import use_endpoint
    from slowmo_pipeline.storage.opening import open_storage

    home = current_home()
    storage = open_storage(home.storage_url)
    served = (
        use_endpoint(home.endpoint, storage.url, workers=workers, endpoints=endpoints) if endpoints else nullcontext()
    )
    with open_instance(home) as instance, served:
        yield Pipeline(home, instance, storage)


def _spelled_out(settings: "SlowMotionSettings") -> dict[str, object]:
    """All settings of a clip: the same command makes the same video, whatever was run before."""
    return {name: value for name, value in settings.model_dump(mode="json").items() if value is not None}
