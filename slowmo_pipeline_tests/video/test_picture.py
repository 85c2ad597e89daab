from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.info import Colour, VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline_tests.support.media import UNTAGGED, grey_frames, rotated, run_ffmpeg, write_clip, write_planes

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=100)

# Of ITU-R BT.601, BT.709 and BT.2020: what red and blue weigh in luma.
WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
}


def coded(rgb: tuple[float, float, float], *, matrix: str, full: bool, bits: int) -> list[int]:
    """The numbers that those standards give a colour of 0..1: luma, blue and red difference."""
    red, blue = WEIGHTS[matrix]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    differences = (rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red)
    step = 2 ** (bits - 8)
    if full:
        return [round(luma * (2**bits - 1))] + [round(d * (2**bits - 1) + 128 * step) for d in differences]
    return [round((16 + 219 * luma) * step)] + [round((128 + 224 * d) * step) for d in differences]


def first_frame(path: Path) -> tuple[VideoInfo, Frame]:
    info = probe(path, limits=LIMITS)
    return info, next(read_frames(path, info))[1]


def middle(path: Path) -> npt.NDArray[np.float64]:
    """The colour in the middle of the first frame, 0..1."""
    frame = first_frame(path)[1]
    colour: npt.NDArray[np.float64] = frame[frame.shape[0] // 2, frame.shape[1] // 2] / np.iinfo(frame.dtype).max
    return colour


@pytest.mark.parametrize("rgb", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.8, 0.3, 0.1), (0.1, 0.5, 0.9)])
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv420p", 8), ("yuv420p10le", 10), ("yuv422p12le", 12)])
@pytest.mark.parametrize(("matrix", "full"), [*product(("bt709", "smpte170m", "bt2020nc"), (False, True))])
def test_colours_are_what_the_standards_say(
    tmp_path: Path, rgb: tuple[float, float, float], pixel_format: str, bits: int, matrix: str, full: bool
) -> None:
    colour = Colour(matrix=matrix, range="pc" if full else "tv", primaries=None, transfer=None)
    planes = coded(rgb, matrix=matrix, full=full, bits=bits)
    clip = write_planes(tmp_path / "flat.mkv", planes, pixel_format=pixel_format, colour=colour, size=(64, 48))
    # The numbers in the file are rounded, so a colour is off by up to one and a half of its steps.
    assert middle(clip) == pytest.approx(rgb, abs=1.6 / 2**bits)


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), "bt470bg"), ((1280, 64), "bt709")])
def test_an_untagged_picture_is_read_as_players_do_and_stays_untagged(
    tmp_path: Path, size: tuple[int, int], matrix: str
) -> None:
    rgb = (0.8, 0.3, 0.1)
    planes = coded(rgb, matrix=matrix, full=False, bits=8)
    clip = write_planes(tmp_path / "flat.mkv", planes, pixel_format="yuv420p", colour=UNTAGGED, size=size)
    assert middle(clip) == pytest.approx(rgb, abs=1.6 / 255)
    assert first_frame(clip)[0].colour.matrix is None


@pytest.mark.parametrize(("pixel_format", "white"), [("gray", 255), ("gray10le", 1023), ("gray16le", 65535)])
def test_grey_sources_use_the_full_range(tmp_path: Path, pixel_format: str, white: int) -> None:
    clip = write_planes(tmp_path / "grey.mkv", [white], pixel_format=pixel_format, colour=UNTAGGED, size=(64, 48))
    assert middle(clip) == pytest.approx((1, 1, 1), abs=0)


@pytest.mark.parametrize(
    ("pixel_format", "green_blue_red"), [("gbrp10le", (512, 0, 1023)), ("gbrp16le", (32768, 0, 65535))]
)
def test_deep_rgb_sources_keep_their_values(
    tmp_path: Path, pixel_format: str, green_blue_red: tuple[int, int, int]
) -> None:
    clip = write_planes(tmp_path / "rgb.mkv", green_blue_red, pixel_format=pixel_format, colour=UNTAGGED, size=(64, 48))
    assert middle(clip) == pytest.approx((1, 0.5, 0), abs=1e-3)


def test_alpha_is_dropped_with_a_note(tmp_path: Path) -> None:
    clip = write_planes(
        tmp_path / "alpha.mkv", [235, 128, 128, 0], pixel_format="yuva420p", colour=UNTAGGED, size=(64, 48)
    )
    info, frame = first_frame(clip)
    assert frame.shape == (48, 64, 3)
    assert frame.min() == 255
    assert "The alpha channel is dropped." in info.notes


def test_a_palette_gif_reads(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "grey.mkv", grey_frames(4))
    run_ffmpeg("-i", str(clip), str(tmp_path / "grey.gif"))
    assert abs(float(first_frame(tmp_path / "grey.gif")[1].mean()) - 10) < 2


def test_interlaced_sources_carry_a_note(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", grey_frames(4))
    run_ffmpeg(
        "-i", str(clip), "-c:v", "libx264", "-flags", "+ilme+ildct", "-vf", "setfield=tff", str(tmp_path / "i.mkv")
    )
    assert any("interlaced" in note for note in first_frame(tmp_path / "i.mkv")[0].notes)


def test_an_unknown_matrix_is_refused_by_name(tmp_path: Path) -> None:
    clip = write_planes(
        tmp_path / "odd.mkv",
        [99, 99, 99],
        pixel_format="yuv420p",
        colour=Colour(matrix="ictcp", range="tv", primaries=None, transfer=None),
        size=(64, 48),
    )
    with pytest.raises(UnreadableVideoError, match="ictcp"):
        probe(clip, limits=LIMITS)


@pytest.mark.parametrize(("clockwise", "mirrored"), [*product((0, 90, 180, 270), (False, True))])
def test_frames_come_out_upright(tmp_path: Path, clockwise: int, mirrored: bool) -> None:
    corner = np.zeros((48, 64, 3), np.uint8)
    corner[:16, :24] = 200
    clip = write_clip(tmp_path / "corner.mp4", [corner, corner])
    turned = rotated(clip, tmp_path / "turned.mp4", clockwise=clockwise, mirrored=mirrored)
    info, frame = first_frame(turned)
    # ffmpeg turns pictures by itself when it decodes: an independent reading of the same matrix.
    raw = run_ffmpeg("-i", str(turned), "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-")
    upright = np.frombuffer(raw, np.uint8).reshape(info.height, info.width)
    assert frame.shape == (info.height, info.width, 3)
    np.testing.assert_array_equal(frame[..., 0] > 100, upright > 100)
    assert info.mirrored == mirrored


def test_a_turned_picture_turns_its_pixels_too(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "wide.mp4", grey_frames(3), sample_aspect_ratio=Fraction(16, 11))
    info = probe(rotated(clip, tmp_path / "tall.mp4", clockwise=90), limits=LIMITS)
    assert (info.width, info.height, info.sample_aspect_ratio) == (48, 64, Fraction(11, 16))


def test_a_crooked_rotation_is_left_out_with_a_note(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", grey_frames(3))
    info = probe(rotated(clip, tmp_path / "crooked.mp4", clockwise=30), limits=LIMITS)
    assert info.rotation == 0
    assert any("quarter turn" in note for note in info.notes)
