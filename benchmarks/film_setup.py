"""What the FILM benchmarks share: a model, and frames."""

from itertools import islice
from pathlib import Path

import av
import numpy as np

from benchmarks.clips import clip
from slowmo_pipeline.frames import Frame
from slowmo_pipeline_tests.support.plain_film import PlainFilm


def write_model(folder: Path) -> int:
    """Write a SavedModel of the published network's full size with random weights; return how many there are."""
    film = PlainFilm()
    film.export(folder)
    return sum(int(np.prod(variable.shape)) for variable in film.variables)


def read_frames(count: int, height: int, width: int) -> list[Frame]:
    """The first frames of bigbuckbunny.mp4, scaled; at 16 bits, so that results show differences of 1/65535."""
    with av.open(str(clip("bigbuckbunny.mp4"))) as container:
        pictures = islice(container.decode(video=0), count)
        return [
            picture.to_ndarray(format="rgb48le", width=width, height=height).astype(np.uint16, copy=False)
            for picture in pictures
        ]
