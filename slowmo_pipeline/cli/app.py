"""The command line: a verb per step. Data goes to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import Annotated

import typer

from slowmo_pipeline.cli.compare import compare
from slowmo_pipeline.cli.completion import video_ids
from slowmo_pipeline.cli.cost import cost
from slowmo_pipeline.cli.endpoint import endpoint_app
from slowmo_pipeline.cli.frames import frames
from slowmo_pipeline.cli.interpolator_options import Chosen, with_interpolator_options
from slowmo_pipeline.cli.local import Interpolators, Workers, require_taken
from slowmo_pipeline.cli.model import model_app
from slowmo_pipeline.cli.one_by_one import OneVideo, told_on_stderr
from slowmo_pipeline.cli.options import Clips, ImageRate, image_rate_of
from slowmo_pipeline.cli.plan import plan
from slowmo_pipeline.cli.registering import command
from slowmo_pipeline.cli.run import run
from slowmo_pipeline.cli.status import status
from slowmo_pipeline.cli.tables import print_columns
from slowmo_pipeline.cli.telling import AsJson, Quietly, telling
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import SlowmoError, UsageError, usage

_MATTER, _VIDEOS, _SAGEMAKER = "Commands that matter", "Videos", "Endpoints and models"

_FIRST_STEPS = """\
slowmo turns ordinary video into super slow motion. Three commands matter:

    slowmo run CLIP     makes slow motion of a video, and prints where it lies
    slowmo up           takes what is dropped into a folder, and shows it in the browser
    slowmo doctor       finds what is wrong on this machine, and says what helps

`slowmo --help` lists all commands; `slowmo run --help` tells all of one, with examples."""

app = typer.Typer(pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"slowmo {version('slowmo_pipeline')}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="`slowmo COMMAND --help` ends with examples. What goes where, events for programs: docs/command-line.md.",
)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Turns ordinary video into super slow motion."""
    if context.invoked_subcommand is None:
        print(_FIRST_STEPS)


app.add_typer(endpoint_app, name="endpoint", rich_help_panel=_SAGEMAKER)
app.add_typer(model_app, name="model", rich_help_panel=_SAGEMAKER)
command(
    app,
    "slowmo run clip.mp4",
    "slowmo run clip.mp4 --slowdown 5/2 --frame-rate 60 --output slow.mp4",
    'slowmo run clip.mp4 --from 3.2 --to 7 --speed "4-5:1/8" --beside',
    "slowmo run a.mp4 b.mov --codec prores --output results/ --quiet",
    "slowmo run shots/0042 --image-rate 24",
    "slowmo run clip.mp4 --interpolator film --json",
    "slowmo run --outdated",
    panel=_MATTER,
)(run)
command(app, "slowmo plan clip.mp4", "slowmo plan *.mp4 --slowdown 8 --cuts off", panel=_VIDEOS)(plan)
command(
    app,
    "slowmo status",
    "slowmo status clip-0123456789abcdef",
    "slowmo status --outdated --json",
    panel=_VIDEOS,
)(status)
command(
    app,
    "slowmo cost clip.mp4 --slowdown 4",
    "slowmo cost *.mp4 --instance-type ml.g5.xlarge --seconds-per-megapixel 0.2",
    panel=_SAGEMAKER,
)(cost)
command(
    app,
    "slowmo compare clip-0123456789abcdef",
    "slowmo compare clip-0123456789abcdef --output both.mp4 --overwrite",
    panel=_VIDEOS,
)(compare)
command(
    app,
    "slowmo frames clip-0123456789abcdef --output frames/",
    panel=_VIDEOS,
)(frames)

AllowedHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        help="Another host by which browsers reach the UI, as NAME or NAME:PORT: a tunnel's or a proxy's. Repeatable.",
    ),
]

AllowedGalleryHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-gallery-host", help="The same for the gallery: a host of its own, or its pages could drive the UI."
    ),
]


@command(
    app,
    "slowmo up",
    "slowmo up --port 3001 --interpolator flow --interpolator film",
    "slowmo up --allow-host slowmo.example.com",
    panel=_MATTER,
)
@with_interpolator_options
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Dagster's UI.")] = 3000,
    gallery_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the gallery; unset: the one after --port.")
    ] = None,
    allow_hosts: AllowedHosts = [],  # noqa: B006  # Typer reads it, and copies
    allow_gallery_hosts: AllowedGalleryHosts = [],  # noqa: B006  # Typer reads it, and copies
    interpolators: Interpolators = ["flow"],  # noqa: B006  # Typer reads it, and copies
    *,
    chosen: Chosen,
    workers: Workers = None,
) -> None:
    """Start the local endpoint and Dagster with its sensors on: drop files into the uploads folder and watch.

    The UI answers browsers on this machine: http://127.0.0.1:3000 or http://localhost:3000. The gallery beside it, at
    port 3001, shows all videos and changes nothing. Pages of other sites can neither read nor change anything. A tunnel
    or a proxy has a host of its own, which --allow-host lets in.
    """
    from slowmo_pipeline.machine.local_endpoints import local_endpoints
    from slowmo_pipeline.machine.sites import ui_and_gallery
    from slowmo_pipeline.machine.up import up as serve_all

    require_taken(interpolators, chosen)
    with usage():
        ui, gallery = ui_and_gallery(port, gallery_port, hosts=allow_hosts, gallery_hosts=allow_gallery_hosts)
        endpoints = local_endpoints(interpolators, chosen)
    serve_all(current_home(), ui=ui, gallery=gallery, workers=workers, endpoints=endpoints)


@command(app, "slowmo upload a.mp4 b.mov", "slowmo upload *.mp4 --quiet > ids.txt", panel=_VIDEOS)
def upload(clips: Clips, image_rate: ImageRate = None, quiet: Quietly = False, as_json: AsJson = False) -> None:
    """Copy clips to the uploads, each with its settings file if there is one; prints the video ids.

    A folder of images becomes one lossless file, named after the folder. A clip that fails does not stop the others;
    the exit code is 1 then.
    """
    from slowmo_pipeline.machine.telling import Failures
    from slowmo_pipeline.steps.clips import named
    from slowmo_pipeline.steps.upload import upload_clip
    from slowmo_pipeline.steps.video_ids import video_id_for
    from slowmo_pipeline.storage.opening import open_storage

    clips = [named(clip) for clip in clips]
    with usage():
        rate = image_rate_of(image_rate, clips)
    with telling(as_json=as_json, quiet=quiet) as teller:
        storage, failures = open_storage(current_home().storage_url), Failures(teller)
        for clip in clips:
            with failures.told(str(clip)):
                with teller.progress(str(clip)) as progress:
                    key = upload_clip(storage, clip, progress, with_sidecar=True, image_rate=rate)
                teller.uploaded(str(clip), video_id_for(storage, key))
        failures.end(len(clips))


@command(app, "slowmo clean", "slowmo clean clip-0123456789abcdef", panel=_VIDEOS)
def clean(video: OneVideo = None) -> None:
    """Delete what can be made again: chunks and results of finished videos, plans no longer in force, leftovers."""
    from rich.filesize import decimal

    from slowmo_pipeline.steps.cleaning import clean as clean_video
    from slowmo_pipeline.steps.video_status import known_videos
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    freed = storage.remove_leftovers()
    for video_id in [video] if video else known_videos(storage):
        with told_on_stderr(video_id, go_on=video is None):
            freed += clean_video(storage, video_id)
    print(f"{decimal(freed)} deleted")


@command(app, "slowmo delete clip-0123456789abcdef", "slowmo delete --yes a-0123456789abcdef", panel=_VIDEOS)
def delete(
    videos: Annotated[list[str], typer.Argument(help="Video ids.", show_default=False, autocompletion=video_ids)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete videos whole: upload, settings, chunks, results, final files, and their partitions in Dagster.

    Asks before each. Cut off anywhere, the same command goes on where it was.
    """
    from slowmo_pipeline.machine.home import open_instance
    from slowmo_pipeline.machine.removal import remove_video
    from slowmo_pipeline.machine.telling import Failures
    from slowmo_pipeline.storage.opening import open_storage

    home = current_home()
    storage, failures = open_storage(home.storage_url), Failures()
    with open_instance(home) as instance:
        for video_id in videos:
            with failures.told(video_id):
                if remove_video(home, instance, storage, video_id, sure=lambda what: yes or _confirmed(what)):
                    print(f"{video_id} deleted", flush=True)
    failures.end(len(videos))


def _confirmed(what: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"{what}: nobody can be asked here. Add --yes to delete it.")
    return typer.confirm(f"{what}. Delete?", err=True)


@command(app, "slowmo doctor", "SLOWMO_STORAGE=s3://bucket/prefix slowmo doctor", panel=_MATTER)
def doctor() -> None:
    """Check what can be wrong, each with its remedy: ffmpeg, codecs, disk, home, storage, endpoints, port, GPU.

    The exit code is 1 when there is a problem. A note is of what not everybody needs.
    """
    from slowmo_pipeline.cli.doctor import diagnose

    findings = []
    for finding in diagnose(current_home()):
        findings.append(finding)
        print_columns([(finding.state.ljust(7), finding.what.ljust(19), finding.told)])
    if any(finding.state == "PROBLEM" for finding in findings):
        raise typer.Exit(1)


@command(
    endpoint_app,
    "slowmo endpoint serve",
    "slowmo endpoint serve --port 8080 --interpolator film --model film --workers 1",
    name="serve",
)
@with_interpolator_options
def endpoint_serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 0,
    interpolators: Interpolators = ["flow"],  # noqa: B006  # as above
    *,
    chosen: Chosen,
    workers: Workers = None,
    open_to_all: Annotated[
        bool,
        typer.Option("--open", help="Take requests of any user of this machine, for SDKs that cannot send the token."),
    ] = False,
) -> None:
    """Serve the local endpoint until Ctrl-C."""
    import logging

    from slowmo_pipeline.machine.local_endpoints import local_endpoints
    from slowmo_pipeline.serving.local.server import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = current_home()
    require_taken(interpolators, chosen)
    with usage():
        endpoints = local_endpoints(interpolators, chosen)
    serve(
        state_dir=home.endpoint,
        storage_url=home.storage_url,
        port=port,
        workers=workers,
        endpoints=endpoints,
        open_to_all=open_to_all,
    )


def _hint_at_dashes(words: Sequence[str]) -> None:
    """Refuse a file's name that would be taken for options."""
    for word in takewhile(lambda word: word != "--", words):
        if word.startswith("-") and "." in word and os.path.exists(word):
            raise UsageError(f"{word} begins with a dash, as options do: write ./{word}")


def main() -> None:
    """Run the command line: an expected error is one message on stderr and exit code 1, or 2 when usage is wrong."""
    try:
        _hint_at_dashes(sys.argv[1:])
        app()
    except SlowmoError as error:
        print(error, file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
