"""The small video of source and result: what its halves show, how large it gets."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.moving_preview import SECONDS, MovingPreview
from slowmo_pipeline_tests.support.media import in_depth
from slowmo_pipeline_tests.support.stored import changed
from slowmo_pipeline_tests.support.videos import info_of


def info(width: int, height: int, depth: int = 8) -> VideoInfo:
    return changed(info_of(2), width=width, height=height, depth=depth)


def grey(level: int, *, width: int = 160, height: int = 90, depth: int = 8) -> Frame:
    return in_depth(np.full((height, width, 3), level), depth)


def decoded(data: bytes) -> list[Frame]:
    with av.open(io.BytesIO(data)) as container:
        return [picture.to_ndarray(format="rgb24").astype(np.uint8) for picture in container.decode(video=0)]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(24000, 1001)])
def test_the_source_is_on_the_left_and_the_result_on_the_right(depth: int, rate: Fraction) -> None:
    video = MovingPreview(info(160, 90, depth), rate=rate)
    sources = [grey(level, depth=depth) for level in (40, 200)]
    for number in range(8):
        video.add(sources[number // 4], grey(20 * number + 30, depth=depth))
    data = video.finish()

    pictures = decoded(data)
    assert [picture.shape for picture in pictures] == [(90, 320, 3)] * 8
    assert [int(picture[45, 80, 0]) for picture in pictures] == pytest.approx([40] * 4 + [200] * 4, abs=4)
    assert [int(picture[45, 240, 0]) for picture in pictures] == pytest.approx(range(30, 190, 20), abs=4)
    with av.open(io.BytesIO(data)) as container:
        assert (container.streams.video[0].codec_context.name, container.streams.video[0].average_rate) == (
            "h264",
            rate,
        )


def test_the_same_frames_give_the_same_bytes() -> None:
    def made() -> bytes:
        video = MovingPreview(info(160, 90), rate=Fraction(25))
        for number in range(10):
            video.add(grey(50), grey(10 * number))
        return video.finish()

    assert made() == made()


def test_nothing_makes_it_too_large_for_a_page() -> None:
    """Noise, which no encoder makes small: in base64 it stays below 5 MB."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (480, 854, 3), np.uint8) for _ in range(20)]
    video = MovingPreview(info(854, 480), rate=Fraction(4))
    for number in range(4 * SECONDS):
        video.add(noise[number % 19], noise[number % 20])
    assert len(video.finish()) < 5_000_000 * 3 / 4
