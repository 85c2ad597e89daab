import io

import av
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.preview import filmstrip
from slowmo_pipeline_tests.support.media import colour_bars, in_depth
from slowmo_pipeline_tests.support.stored import changed
from slowmo_pipeline_tests.support.videos import info_of


def decoded(jpeg: bytes) -> Frame:
    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        picture: Frame = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)
        return picture


@pytest.mark.parametrize("depth", [8, 16])
def test_frames_stand_side_by_side_in_their_colours(depth: int) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    frames = [in_depth(np.full((90, 160, 3), colour), depth) for colour in colours]
    strip = decoded(filmstrip(frames, changed(info_of(2), width=160, height=90, depth=depth)))
    thirds = np.array_split(strip, 3, axis=1)
    for third, colour in zip(thirds, colours, strict=True):
        assert np.abs(third[40, third.shape[1] // 2].astype(int) - colour).max() < 12


def test_six_frames_fit_into_what_the_ui_shows() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    info = changed(info_of(2), width=1920, height=1080)
    assert len(filmstrip([noisy, colour_bars(width=1920, height=1080)] * 3, info)) < 50_000 * 3 / 4


@pytest.mark.parametrize("size", [(2, 2), (2000, 16), (16, 2000)])
def test_odd_shapes_work(size: tuple[int, int]) -> None:
    info = changed(info_of(2), width=size[1], height=size[0])
    assert decoded(filmstrip([np.zeros((*size, 3), np.uint8)], info)).shape[2] == 3
