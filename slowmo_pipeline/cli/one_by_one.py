"""What commands share that go through all videos, or look at one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from slowmo_pipeline.cli.completion import video_ids
from slowmo_pipeline.errors import StorageError, UnknownVideoError

OneVideo = Annotated[
    str | None,
    typer.Argument(help="A video id; without it, all videos.", show_default=False, autocompletion=video_ids),
]


@contextmanager
def told_on_stderr(video_id: str, *, go_on: bool) -> Iterator[None]:
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
