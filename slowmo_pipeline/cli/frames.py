"""`slowmo frames`: the frames of a result as image files."""

from pathlib import Path
from typing import Annotated

import typer

from slowmo_pipeline.environment import current_home


def frames(
    video: Annotated[str, typer.Argument(help="A video id.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option(help="The folder they go to; unset: VIDEO-frames, here.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let them replace frames that are there.")] = False,
) -> None:
    """Write the frames of a result to a folder, frame-0000000.png and so on, and print its path.

    They have 16 bits a sample where the result has more than 8. With --codec ffv1 they are exactly what was made; other
    codecs lose a little. Killed anywhere, the same command goes on where it was.
    """
    from slowmo_pipeline.machine.console import shown_progress
    from slowmo_pipeline.steps.frame_files import write_frames
    from slowmo_pipeline.storage.opening import open_storage

    folder = output or Path(f"{video}-frames")
    storage = open_storage(current_home().storage_url)
    with shown_progress(video) as progress:
        write_frames(storage, video, folder, overwrite=overwrite, progress=progress)
    print(folder)
