"""What a plain screen shows of frames: their size, their levels, HDR in its range."""

from fractions import Fraction

import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import BLACK_AND_WHITE, Headroom
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.screen import Screen
from slowmo_pipeline_tests.support.media import colour_bars, in_depth
from slowmo_pipeline_tests.support.stored import changed
from slowmo_pipeline_tests.support.videos import info_of


def info(width: int = 64, height: int = 32, **others: object) -> VideoInfo:
    return changed(info_of(2), width=width, height=height, **others)


def hdr(transfer: str, primaries: str = "bt2020") -> VideoInfo:
    return info(depth=16, colour=changed(info_of(2).colour, transfer=transfer, primaries=primaries))


def flat(*colour: float) -> Frame:
    return np.broadcast_to(np.rint(np.array(colour) * 65535), (32, 64, 3)).astype(np.uint16)


def shown(of: VideoInfo, frame: Frame) -> list[int]:
    return [int(level) for level in Screen(of, width=64, height=32).picture(frame)[16, 32]]


@pytest.mark.parametrize(
    ("size", "pixel", "expected"),
    [
        ((1920, 1080), Fraction(1), (854, 480)),
        ((1080, 1920), Fraction(1), (270, 480)),
        ((720, 576), Fraction(16, 15), (640, 480)),
        ((160, 120), Fraction(1), (160, 120)),
        ((2, 2000), Fraction(1), (2, 480)),
    ],
)
def test_pictures_fit_in_square_pixels_and_never_grow(
    size: tuple[int, int], pixel: Fraction, expected: tuple[int, int]
) -> None:
    screen = Screen.within(info(*size, sample_aspect_ratio=pixel), width=854, height=480)
    assert (screen.width, screen.height) == expected
    assert screen.picture(np.zeros((size[1], size[0], 3), np.uint8)).shape == (*expected[::-1], 3)


@pytest.mark.parametrize("depth", [8, 16])
def test_plain_frames_are_shown_as_they_are(depth: int) -> None:
    bars = colour_bars(width=64, height=32).astype(int)
    picture = Screen(info(depth=depth), width=64, height=32).picture(in_depth(bars, depth))
    assert np.abs(picture - bars).max() <= 1


@pytest.mark.parametrize("headroom", ["codes", "colours"])
def test_black_and_white_are_where_the_headroom_says(headroom: Headroom) -> None:
    for level, expected in zip(BLACK_AND_WHITE[headroom], (0, 255), strict=True):
        frame = np.full((32, 64, 3), round(level * 257), np.uint16)
        assert shown(info(depth=16, headroom=headroom), frame) == pytest.approx([expected] * 3, abs=1)


def test_white_of_hdr_is_light_and_its_peak_is_white() -> None:
    """58 % of PQ and 75 % of HLG are a white page (ITU-R BT.2408, table 1), 75 % of PQ are 1000 cd/m²."""
    assert shown(hdr("smpte2084"), flat(0.5806, 0.5806, 0.5806)) == pytest.approx([191] * 3, abs=2)
    assert shown(hdr("arib-std-b67"), flat(0.75, 0.75, 0.75)) == pytest.approx([191] * 3, abs=2)
    for video, peak in ((hdr("smpte2084"), 0.7518), (hdr("arib-std-b67"), 1.0)):
        assert shown(video, flat(peak, peak, peak)) == pytest.approx([255] * 3, abs=2)
        assert shown(video, flat(0, 0, 0)) == [0, 0, 0]


def test_colours_of_bt2020_are_turned_into_those_of_the_screen() -> None:
    """A red that BT.709 has: in BT.2020 it is 0.627, 0.069, 0.016 (ITU-R BT.2087, 2)."""
    light = np.array([0.6274, 0.0691, 0.0164])  # of a page's white
    root = (light * 203 / 10_000) ** (1305 / 8192)
    code = ((107 / 128 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)
    red, green, blue = shown(hdr("smpte2084"), flat(*code))
    assert red > 200
    assert max(green, blue) < 30
