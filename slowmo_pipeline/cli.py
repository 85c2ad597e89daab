"""The command line: a verb per step. Data goes to stdout, everything else to stderr."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli_cost import GivenLimits, cost
from slowmo_pipeline.cli_endpoint import endpoint_app
from slowmo_pipeline.cli_model import BlockHeight, BlockWidth, Precision, model_app
from slowmo_pipeline.columns import print_columns
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import SettingsError, SlowmoError, StorageError, UnknownVideoError

if TYPE_CHECKING:
    from slowmo_pipeline.console import Failures
    from slowmo_pipeline.running import Pipeline
    from slowmo_pipeline.settings import SlowMotionSettings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turns ordinary video into super slow motion.",
)
app.add_typer(endpoint_app, name="endpoint")
app.add_typer(model_app, name="model")
app.command()(cost)

Clips = Annotated[list[Path], typer.Argument(help="Video files.", show_default=False, readable=False)]
"""Whether each can be read is told of each, while the others go on."""
OneVideo = Annotated[str | None, typer.Argument(help="A video id; without it, all videos.", show_default=False)]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Worker processes of the local endpoint; unset: one a core, for film one a GPU or one alone."
    ),
]
Interpolators = Annotated[list[str], typer.Option("--interpolator", help="What to serve: flow, film. Repeatable.")]


def _hosts(given: list[str]) -> list[str]:
    from slowmo_pipeline.guard import parse_host

    try:
        return [parse_host(host) for host in given]
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from None


AllowedHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        callback=_hosts,
        help="Another host by which browsers reach the UI, as NAME or NAME:PORT: a tunnel's or a proxy's. Repeatable.",
    ),
]
Model = Annotated[
    str | None, typer.Option(help="Of film: a SavedModel's folder, or the name of a fetched model; unset: film.")
]


@app.command()
def run(
    clips: Clips,
    slowdown: Annotated[str | None, typer.Option(help='How many times slower: 4, "5/2", 2.5. Default: 4.')] = None,
    frame_rate: Annotated[str | None, typer.Option(help="Frames per second; unset: the source's.")] = None,
    output: Annotated[Path | None, typer.Option(help="Put a copy of the result here (one clip only).")] = None,
    codec: Annotated[str | None, typer.Option(help="h264, h265 (MP4), prores (MOV) or ffv1 (MKV).")] = None,
    crf: Annotated[int | None, typer.Option(help="Quality of h264 and h265; lower is better.")] = None,
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

    A clip that fails does not stop the others; the exit code is 1 then. Killed anywhere, the same command goes on
    where it was. A file CLIP.slowmo.json beside a clip holds settings, and the storage's settings.json those of all
    clips; options win over both.
    """
    from slowmo_pipeline.console import INTERRUPTED, Failures, shown_progress, stderr
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
    given = {name: value for name, value in options.items() if value is not None} | parse_limits(limits)
    if output is not None and len(clips) > 1:
        raise StorageError("--output names one file: give one clip, or leave it out.")
    parse_settings(given, origin="The options")
    common = defaults(open_storage(current_home().storage_url))
    failures, used = Failures(), set[str]()
    ready: list[tuple[Path, dict[str, object]]] = []
    endpoints: dict[str, list[str]] = {}
    for clip in clips:
        with failures.told(clip.name):
            file_size(clip)
            settings = _spelled_out(settings_of(clip, defaults=common, options=given))
            name = str(settings["interpolator"])
            used.add(name)
            if name not in endpoints:
                endpoints[name] = _endpoints({name} - _deployed({name}), model, block_height, block_width, precision)
            ready.append((clip, settings))
    _check_for_film(used - _deployed(used), model, block_height, block_width, precision)
    if ready:
        with _pipeline(workers, [*chain(*endpoints.values())]) as pipeline:
            for clip, settings in ready:
                try:
                    with failures.told(clip.name):
                        with shown_progress(clip.name) as progress:
                            key = pipeline.run_clip(clip, settings, progress)
                            if output is not None:
                                pipeline.storage.download(key, output)
                        print(output or pipeline.storage.display_path(key), flush=True)
                except KeyboardInterrupt:
                    stderr.print("Interrupted. The same command goes on where this one was.")
                    raise typer.Exit(INTERRUPTED) from None
    _end(failures, len(clips))


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of Dagster's UI.")] = 3000,
    allow_hosts: AllowedHosts = [],  # noqa: B006  # Typer reads it, and copies
    interpolators: Interpolators = ["flow"],  # noqa: B006  # Typer reads it, and copies
    model: Model = None,
    block_height: BlockHeight = None,
    block_width: BlockWidth = None,
    precision: Precision = None,
    workers: Workers = None,
) -> None:
    """Start the local endpoint and Dagster with its sensors on: drop files into the uploads folder and watch.

    The UI answers browsers on this machine: http://127.0.0.1:3000 or http://localhost:3000. Pages of other sites can
    neither read nor change anything. A tunnel or a proxy to it has a host of its own, which --allow-host lets in.
    """
    from slowmo_pipeline.services import up as serve_all

    _check_for_film(interpolators, model, block_height, block_width, precision)
    endpoints = _endpoints(interpolators, model, block_height, block_width, precision)
    serve_all(current_home(), port=port, workers=workers, endpoints=endpoints, allowed_hosts=allow_hosts)


@app.command()
def upload(clips: Clips) -> None:
    """Copy files to the uploads, each with its settings file if there is one; prints the video ids.

    A file that fails does not stop the others; the exit code is 1 then.
    """
    from slowmo_pipeline.console import Failures, shown_progress
    from slowmo_pipeline.steps.upload import upload_clip
    from slowmo_pipeline.steps.video_ids import video_id_for
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    failures = Failures()
    for clip in clips:
        with failures.told(clip.name):
            with shown_progress(clip.name) as progress:
                key = upload_clip(storage, clip, progress, with_sidecar=True)
            print(video_id_for(storage, key), flush=True)
    _end(failures, len(clips))


@app.command()
def status(video: OneVideo = None) -> None:
    """Show where each video stands: its result, whether its endpoint runs another model by now, or why it failed."""
    from slowmo_pipeline.home import open_instance
    from slowmo_pipeline.running import failure_of
    from slowmo_pipeline.steps.overview import FINISHED, OUTDATED, Overview, known_videos, overview
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    rows: list[Overview] = []
    for video_id in [video] if video else known_videos(storage):
        with _told_on_stderr(video_id, go_on=video is None):
            rows.append(overview(storage, video_id))
    if not rows:
        print("No videos yet: `slowmo run CLIP` makes the first.", file=sys.stderr)
        return
    with open_instance(current_home()) as instance:
        unfinished = [row.video_id for row in rows if row.state not in (FINISHED, OUTDATED)]
        failures = {video_id: failure_of(instance, video_id) for video_id in unfinished}
    print_columns(
        (row.video_id, "failed", reason)
        if (reason := failures.get(row.video_id))
        else (row.video_id, row.state, storage.display_path(row.result) if row.result else "")
        for row in rows
    )


@app.command()
def clean(video: OneVideo = None) -> None:
    """Delete what can be made again: chunks and results of finished videos, plans no longer in force, leftovers."""
    from rich.filesize import decimal

    from slowmo_pipeline.steps.overview import clean as clean_video
    from slowmo_pipeline.steps.overview import known_videos
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    freed = storage.remove_leftovers()
    for video_id in [video] if video else known_videos(storage):
        with _told_on_stderr(video_id, go_on=video is None):
            freed += clean_video(storage, video_id)
    print(f"{decimal(freed)} deleted")


@app.command()
def doctor() -> None:
    """Check that everything the pipeline needs is there; the exit code is 1 if not."""
    from slowmo_pipeline.diagnosis import diagnose

    findings = list(diagnose(current_home()))
    print_columns(("ok" if finding.good else "PROBLEM", finding.what, finding.told) for finding in findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@endpoint_app.command("serve")
def endpoint_serve(
    port: Annotated[int, typer.Option(help="0 takes a free port.")] = 0,
    interpolators: Interpolators = ["flow"],  # noqa: B006  # as above
    model: Model = None,
    block_height: BlockHeight = None,
    block_width: BlockWidth = None,
    precision: Precision = None,
    workers: Workers = None,
) -> None:
    """Serve the local endpoint until Ctrl-C."""
    import logging

    from slowmo_pipeline.serving.local_endpoint import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = current_home()
    _check_for_film(interpolators, model, block_height, block_width, precision)
    endpoints = _endpoints(interpolators, model, block_height, block_width, precision)
    serve(state_dir=home.endpoint, storage_url=home.storage_url, port=port, workers=workers, endpoints=endpoints)


@contextmanager
def _told_on_stderr(video_id: str, *, go_on: bool) -> Iterator[None]:
    """Of many videos, one whose objects are torn or cannot be read is told and stops no other."""
    try:
        yield
    except (StorageError, UnknownVideoError) as error:
        if not go_on:
            raise
        print(f"{video_id}: {error}", file=sys.stderr)


def _end(failures: "Failures", clips: int) -> None:
    """The exit code of a command for many clips."""
    from slowmo_pipeline.console import stderr

    if failures.count:
        stderr.print(f"{failures.count} of {clips} clips failed.", style="red")
        raise typer.Exit(1)


def _deployed(interpolators: Iterable[str]) -> set[str]:
    """Those that Amazon SageMaker runs for the storage."""
    from slowmo_pipeline.endpoint_record import is_deployed
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    return {name for name in interpolators if is_deployed(storage, name)}


def _endpoints(
    interpolators: Iterable[str],
    model: str | None,
    block_height: int | None,
    block_width: int | None,
    precision: str | None,
) -> list[str]:
    """What the local endpoint is to serve: how to make it, unless a live one has it and nothing special is asked."""
    from slowmo_pipeline.interpolation.catalog import recipe_of
    from slowmo_pipeline.models import resolve_model
    from slowmo_pipeline.serving.owner import live_endpoint
    from slowmo_pipeline.serving.served import ServedEndpoint

    options = {"block_height": block_height, "block_width": block_width, "precision": precision}
    given = {name: value for name, value in options.items() if value is not None}
    live = live_endpoint(current_home().endpoint)
    entries = []
    for name in sorted(set(interpolators)):
        special = name == "film" and (model or given)
        if live is not None and live.serves(name) and not special:
            entries.append(name)
        elif name == "film":
            recipe = recipe_of(name, saved_model_dir=str(resolve_model(current_home(), model)), **given)
            entries.append(str(ServedEndpoint(name, recipe)))
        else:
            entries.append(str(ServedEndpoint(name, recipe_of(name))))
    return entries


def _check_for_film(interpolators: Iterable[str], *options: str | int | None) -> None:
    """Refuse options of a local film where there is none."""
    if "film" not in interpolators and any(option is not None for option in options):
        raise SettingsError(
            "--model, --block-height, --block-width and --precision are for a local film: add --interpolator film."
        )


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


def main() -> None:
    """Run the command line: an expected error is one message on stderr and exit code 1."""
    try:
        app()
    except SlowmoError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
