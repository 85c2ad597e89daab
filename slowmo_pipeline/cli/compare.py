"""`slowmo compare`: clip and result side by side, as a video."""

from pathlib import Path
from typing import Annotated

import typer

from slowmo_pipeline.cli.completion import video_ids
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import StorageError


def compare(
    video: Annotated[str, typer.Argument(help="A video id.", show_default=False, autocompletion=video_ids)],
    output: Annotated[
        Path | None, typer.Option(help="Where it goes; unset: VIDEO-compare.mp4, here.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let it replace a file.")] = False,
) -> None:
    """Make a video of clip and result side by side, in step, with a label each; prints its path.

    The clip is slowed by repeating its frames. H.264 in MP4, without sound.
    """
    from slowmo_pipeline.machine.console import shown_progress
    from slowmo_pipeline.steps.compare import compare as make
    from slowmo_pipeline.storage.disk_errors import replacing
    from slowmo_pipeline.storage.opening import open_storage

    path = output or Path(f"{video}-compare.mp4")
    if path.exists() and not overwrite:
        raise StorageError(f"{path} exists. Choose another --output, or replace it with --overwrite.")
    if path.suffix.lower() != ".mp4":
        raise StorageError(f"{path}: MP4 is made. Name it {path.stem}.mp4.")
    storage = open_storage(current_home().storage_url)
    with replacing(path) as aside, shown_progress(video) as progress:
        make(storage, video, aside, progress=progress)
    print(path)
