"""The command line: a verb per step. Data goes to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli.compare import compare
from slowmo_pipeline.cli.cost import cost
from slowmo_pipeline.cli.endpoint import endpoint_app
from slowmo_pipeline.cli.frames import frames
from slowmo_pipeline.cli.interpolator_options import Chosen, with_interpolator_options
from slowmo_pipeline.cli.local import Interpolators, Workers, require_taken
from slowmo_pipeline.cli.model import model_app
from slowmo_pipeline.cli.options import Clips, ImageRate, image_rate_of
from slowmo_pipeline.cli.plan import plan
from slowmo_pipeline.cli.run import run
from slowmo_pipeline.cli.tables import print_columns
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import SlowmoError, StorageError, UnknownVideoError, UsageError, usage

if TYPE_CHECKING:
    from slowmo_pipeline.steps.video_status import VideoStatus

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"slowmo {version('slowmo_pipeline')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Turns ordinary video into super slow motion."""


app.add_typer(endpoint_app, name="endpoint")
app.add_typer(model_app, name="model")
app.command()(run)
app.command()(plan)
app.command()(cost)
app.command()(compare)
app.command()(frames)

OneVideo = Annotated[str | None, typer.Argument(help="A video id; without it, all videos.", show_default=False)]
AllowedHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        help="Another host by which browsers reach the UI, as NAME or NAME:PORT: a tunnel's or a proxy's. Repeatable.",
    ),
]


@app.command()
@with_interpolator_options
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Dagster's UI.")] = 3000,
    allow_hosts: AllowedHosts = [],  # noqa: B006  # Typer reads it, and copies
    interpolators: Interpolators = ["flow"],  # noqa: B006  # Typer reads it, and copies
    *,
    chosen: Chosen,
    workers: Workers = None,
) -> None:
    """Start the local endpoint and Dagster with its sensors on: drop files into the uploads folder and watch.

    The UI answers browsers on this machine: http://127.0.0.1:3000 or http://localhost:3000. Pages of other sites can
    neither read nor change anything. A tunnel or a proxy to it has a host of its own, which --allow-host lets in.
    """
    from slowmo_pipeline.machine.guard import parse_host
    from slowmo_pipeline.machine.local_endpoints import local_endpoints
    from slowmo_pipeline.machine.up import up as serve_all

    require_taken(interpolators, chosen)
    with usage():
        hosts = [parse_host(host) for host in allow_hosts]
        endpoints = local_endpoints(interpolators, chosen)
    serve_all(current_home(), port=port, workers=workers, endpoints=endpoints, allowed_hosts=hosts)


@app.command()
def upload(clips: Clips, image_rate: ImageRate = None) -> None:
    """Copy clips to the uploads, each with its settings file if there is one; prints the video ids.

    A folder of images becomes one lossless file, named after the folder. A clip that fails does not stop the others;
    the exit code is 1 then.
    """
    from slowmo_pipeline.machine.console import Failures, shown_progress
    from slowmo_pipeline.steps.clips import named
    from slowmo_pipeline.steps.upload import upload_clip
    from slowmo_pipeline.steps.video_ids import video_id_for
    from slowmo_pipeline.storage.opening import open_storage

    clips = [named(clip) for clip in clips]
    with usage():
        rate = image_rate_of(image_rate, clips)
    storage = open_storage(current_home().storage_url)
    failures = Failures()
    for clip in clips:
        with failures.told(clip.name):
            with shown_progress(clip.name) as progress:
                key = upload_clip(storage, clip, progress, with_sidecar=True, image_rate=rate)
            print(video_id_for(storage, key), flush=True)
    failures.end(len(clips))


@app.command()
def status(
    video: OneVideo = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Only what an older model made than is served now.")
    ] = False,
) -> None:
    """Show where each video stands: its result with what was lost, a newer model of its endpoint, or why it failed."""
    from slowmo_pipeline.steps.video_status import NONE_OUTDATED, VideoStatuses
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    statuses = VideoStatuses(storage, only=video)
    rows: list[VideoStatus] = []
    for video_id in [video] if video else statuses.video_ids:
        with _told_on_stderr(video_id, go_on=video is None):
            status = statuses.of(video_id)
            if status.is_outdated or not outdated:
                rows.append(status)
    if not rows:
        print(NONE_OUTDATED if outdated else "No videos yet: `slowmo run CLIP` makes the first.", file=sys.stderr)
        return
    failures = _failures([row.video_id for row in rows if not row.is_finished])
    print_columns(
        (row.video_id, "failed", reason)
        if (reason := failures.get(row.video_id))
        else (row.video_id, _state(row), storage.display_path(row.result) if row.result else "")
        for row in rows
    )


def _failures(video_ids: Sequence[str]) -> dict[str, str | None]:
    """Why the last run of each failed, as Dagster knows: it is opened only if there is something to ask."""
    if not video_ids:
        return {}
    from slowmo_pipeline.machine.home import open_instance
    from slowmo_pipeline.machine.run import failure_of

    with open_instance(current_home()) as instance:
        return {video_id: failure_of(instance, video_id) for video_id in video_ids}


def _state(row: "VideoStatus") -> str:
    """With how much there is to read in the report."""
    counts = [_counted(row.losses, "loss", "losses"), _counted(row.notes, "note", "notes")]
    return ", ".join((row.state, *filter(None, counts)))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""


@app.command()
def clean(video: OneVideo = None) -> None:
    """Delete what can be made again: chunks and results of finished videos, plans no longer in force, leftovers."""
    from rich.filesize import decimal

    from slowmo_pipeline.steps.cleaning import clean as clean_video
    from slowmo_pipeline.steps.video_status import known_videos
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    freed = storage.remove_leftovers()
    for video_id in [video] if video else known_videos(storage):
        with _told_on_stderr(video_id, go_on=video is None):
            freed += clean_video(storage, video_id)
    print(f"{decimal(freed)} deleted")


@app.command()
def delete(
    videos: Annotated[list[str], typer.Argument(help="Video ids.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete videos whole: upload, settings, chunks, results, final files, and their partitions in Dagster.

    Asks before each. Cut off anywhere, the same command goes on where it was.
    """
    from slowmo_pipeline.machine.console import Failures
    from slowmo_pipeline.machine.home import open_instance
    from slowmo_pipeline.machine.removal import remove_video
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


@app.command()
def doctor() -> None:
    """Check that everything the pipeline needs is there; the exit code is 1 if not."""
    from slowmo_pipeline.cli.doctor import diagnose

    findings = list(diagnose(current_home()))
    print_columns(("ok" if finding.good else "PROBLEM", finding.what, finding.told) for finding in findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@endpoint_app.command("serve")
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


@contextmanager
def _told_on_stderr(video_id: str, *, go_on: bool) -> Iterator[None]:
    """Of many videos, one whose objects are torn or cannot be read is told and stops no other."""
    try:
        yield
    except UnknownVideoError:
        if not go_on:  # what a deleted video leaves: an empty folder, a result that came late
            raise
    except StorageError as error:
        if not go_on:
            raise
        print(f"{video_id}: {error}", file=sys.stderr)


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
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except SlowmoError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
