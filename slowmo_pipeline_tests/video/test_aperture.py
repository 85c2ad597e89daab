"""Cropping that a container asks for, or a stream."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.info import Crop, VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline_tests.support.atoms import atom, with_described
from slowmo_pipeline_tests.support.media import grey_frames, rotated, run_ffmpeg, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)

WIDTH, HEIGHT = 64, 48

Aperture = tuple[int, int, int, int, int, int, int, int]
"""Width, height, and how far its centre lies right of and below that of the picture, each over its own denominator."""


def gradient() -> Frame:
    """No two rows or columns are alike."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack((20 + 3 * columns, 20 + 4 * rows, np.full_like(rows, 90)), axis=-1).astype(np.uint8)


def clean(path: Path, aperture: Aperture, *, shape: Fraction = Fraction(1)) -> Path:
    """A clip with that clean aperture, in MP4."""
    write_clip(path, [gradient()] * 3, pixel_format="yuv444p", sample_aspect_ratio=shape, rate=Fraction(25))
    path.write_bytes(with_described(path.read_bytes(), b"avc1", atom(b"clap", struct.pack(">8i", *aperture))))
    return path


def with_pixel_crop(clip: Path, path: Path) -> Path:
    """A copy in Matroska, whose muxer writes the aperture as PixelCrop elements."""
    run_ffmpeg("-i", str(clip), "-c", "copy", str(path))
    return path


def first_frame(path: Path) -> tuple[VideoInfo, Frame]:
    info = probe(path, limits=LIMITS)
    return info, next(read_frames(path, info))[1]


def shown_by_ffmpeg(path: Path, info: VideoInfo) -> Frame:
    """The first frame as ffmpeg makes it of the same file, by itself."""
    raw = run_ffmpeg("-i", str(path), "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    return np.frombuffer(raw, np.uint8).reshape(info.height, info.width, 3)


@pytest.mark.parametrize(
    ("aperture", "crop"),
    [
        ((48, 1, 40, 1, 0, 1, 0, 1), Crop(left=8, right=8, top=4, bottom=4)),
        ((32, 1, 24, 1, 16, 1, -12, 1), Crop(left=32, right=0, top=0, bottom=24)),
        ((33, 1, 25, 1, 1, 2, -1, 2), Crop(left=16, right=15, top=11, bottom=12)),
        ((401, 10, 40, 1, 0, 1, 0, 1), Crop(left=11, right=12, top=4, bottom=4)),
        ((64, 1, 48, 1, 0, 1, 0, 1), Crop()),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_only_what_the_container_leaves_is_used(tmp_path: Path, aperture: Aperture, crop: Crop, container: str) -> None:
    clip = clean(tmp_path / "clip.mp4", aperture)
    clip = clip if container == "mp4" else with_pixel_crop(clip, tmp_path / "clip.mkv")
    info, frame = first_frame(clip)
    assert (info.crop, info.notes) == (crop, ())
    assert frame.shape == (info.height, info.width, 3) == (48 - crop.top - crop.bottom, 64 - crop.left - crop.right, 3)
    assert np.abs(frame.astype(int) - shown_by_ffmpeg(clip, info)).max() <= 3


@pytest.mark.parametrize(("clockwise", "mirrored"), [(90, False), (180, False), (270, True)])
def test_the_coded_picture_is_cropped_then_turned(tmp_path: Path, clockwise: int, mirrored: bool) -> None:
    clip = clean(tmp_path / "clip.mp4", (40, 1, 32, 1, 8, 1, -4, 1), shape=Fraction(16, 11))
    turned = rotated(clip, tmp_path / "turned.mp4", clockwise=clockwise, mirrored=mirrored)
    info, frame = first_frame(turned)
    sideways = clockwise != 180
    assert (info.width, info.height) == ((32, 40) if sideways else (40, 32))
    assert info.sample_aspect_ratio == (Fraction(11, 16) if sideways else Fraction(16, 11))
    assert np.abs(frame.astype(int) - shown_by_ffmpeg(turned, info)).max() <= 3


def test_a_sought_frame_is_cropped_as_well(tmp_path: Path) -> None:
    clip = clean(tmp_path / "clip.mp4", (48, 1, 40, 1, 0, 1, 0, 1))
    info, frame = first_frame(clip)
    [(_, sought)] = frames_at(clip, info, [0])
    np.testing.assert_array_equal(sought, frame)


@pytest.mark.parametrize(
    "aperture",
    [
        (65, 1, 48, 1, 0, 1, 0, 1),
        (-48, 1, 40, 1, 0, 1, 0, 1),
        (48, 1, 40, 1, 100, 1, 0, 1),
        (48, 1, 40, 1, -100, 1, 0, 1),
        (48, 1, 40, 1, 0, 1, -2147483648, 1),
        (48, 0, 40, 0, 0, 0, 0, 0),
        (0, 1, 0, 1, 0, 1, 0, 1),
    ],
)
def test_an_aperture_that_is_none_does_no_harm_and_is_told(tmp_path: Path, aperture: Aperture) -> None:
    for _ in range(2):  # libav tells the same only once
        info, frame = first_frame(clean(tmp_path / "clip.mp4", aperture))
        assert (info.crop, frame.shape) == (Crop(), (48, 64, 3))
        assert any("does not lie inside of the picture" in note for note in info.notes)


def test_elements_that_leave_nothing_are_named_in_the_refusal(tmp_path: Path) -> None:
    clip = with_pixel_crop(clean(tmp_path / "clip.mp4", (48, 1, 40, 1, 0, 1, 0, 1)), tmp_path / "clip.mkv")
    data, left = clip.read_bytes(), b"\x54\xcc\x81\x08"
    assert left in data
    clip.write_bytes(data.replace(left, left[:3] + b"\x3f"))
    with pytest.raises(UnreadableVideoError, match=r"asks for a crop that leaves nothing .* PixelCropLeft"):
        probe(clip, limits=LIMITS)


@pytest.mark.parametrize(("codec", "filter_name"), [("libx264", "h264_metadata"), ("libx265", "hevc_metadata")])
def test_what_a_stream_crops_itself_is_cropped_to_the_pixel(tmp_path: Path, codec: str, filter_name: str) -> None:
    clip = tmp_path / "clip.mp4"
    quiet = {"x265-params": "log-level=error"} if codec == "libx265" else None
    write_clip(clip, [gradient()] * 3, codec=codec, options=quiet, rate=Fraction(25))
    window = f"{filter_name}=crop_left=6:crop_right=2:crop_top=4:crop_bottom=8"
    run_ffmpeg("-i", str(clip), "-c", "copy", "-bsf:v", window, str(tmp_path / "window.mp4"))
    info, frame = first_frame(tmp_path / "window.mp4")
    assert (info.width, info.height, info.crop) == (56, 36, Crop())
    assert np.abs(frame.astype(int) - shown_by_ffmpeg(tmp_path / "window.mp4", info)).mean() < 2


def test_a_file_without_an_aperture_has_none(tmp_path: Path) -> None:
    info, _ = first_frame(write_clip(tmp_path / "clip.mp4", grey_frames(3)))
    assert (info.crop, info.reading) == (Crop(), "")
