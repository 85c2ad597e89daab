"""Images as a video: exact samples at their depth, natural order, the same bytes, and what cannot be is named."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from slowmo_pipeline.errors import StorageError, UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.progress import Quiet
from slowmo_pipeline.video.image_folder import images_in, images_sha256, write_images
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.still import read_still
from slowmo_pipeline_tests.support.media import cut_off, noise

RATE = Fraction(24000, 1001)
LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=100, max_seconds=100)


class Listener(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def deep(seed: int) -> Frame:
    return np.random.default_rng(seed).integers(0, 65536, (48, 64, 3), np.uint16)


def save(path: Path, frame: Frame) -> Path:
    assert cv2.imwrite(str(path), np.ascontiguousarray(frame[..., ::-1]))
    return path


def folder_of(path: Path, frames: list[Frame], pattern: str = "{}.png") -> Path:
    path.mkdir()
    for number, frame in enumerate(frames, start=1):
        save(path / pattern.format(number), frame)
    return path


def made(folder: Path, path: Path) -> tuple[VideoInfo, list[Frame]]:
    write_images(images_in(folder), path, rate=RATE, progress=Quiet())
    info = probe(path, limits=LIMITS)
    return info, [frame for _, frame in read_frames(path, info)]


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_8_bits_are_kept_in_each_lossless_kind(tmp_path: Path, suffix: str) -> None:
    frames = [noise(seed) for seed in range(12)]
    info, found = made(folder_of(tmp_path / "in", frames, f"shot {{}}.{suffix}"), tmp_path / "made.mkv")
    assert (info.codec, info.depth, info.frame_count) == ("ffv1", 8, 12)
    np.testing.assert_array_equal(found, frames)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    frames = [deep(seed) for seed in range(3)]
    info, found = made(folder_of(tmp_path / "in", frames, f"{{}}.{suffix}"), tmp_path / "made.mkv")
    assert info.depth == 16
    np.testing.assert_array_equal(found, frames)


def test_the_rate_is_exact_behind_the_container_that_rounds(tmp_path: Path) -> None:
    info, _ = made(folder_of(tmp_path / "in", [noise(1)] * 30), tmp_path / "made.mkv")
    assert info.declared_rate == RATE


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", [noise(seed) for seed in range(3)])
    for name in ("a.mkv", "b.mkv"):
        made(folder, tmp_path / name)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_they_are_named_by_content_order_and_rate(tmp_path: Path) -> None:
    one, renamed = (folder_of(tmp_path / name, [noise(1), noise(2)], f"{name}{{}}.png") for name in "ab")
    other = folder_of(tmp_path / "c", [noise(2), noise(1)])
    names = [images_sha256(images_in(folder), RATE, Quiet()) for folder in (one, renamed, other)]
    assert names[0] == names[1] != names[2]
    assert images_sha256(images_in(one), Fraction(24), Quiet()) != names[0]


def test_numbers_count_and_other_files_do_not(tmp_path: Path) -> None:
    for name in ("F10.png", "f9.PNG", "f100.png", ".f1.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "f2.png").mkdir()
    assert [path.name for path in images_in(tmp_path)] == ["f9.PNG", "F10.png", "f100.png"]


def test_a_camera_s_rotation_is_honoured(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x112] = 6
    Image.fromarray(noise(1)).save(tmp_path / "1.jpg", exif=turned)
    assert read_still(tmp_path / "1.jpg").frame.shape == (64, 48, 3)


def test_an_image_of_another_size_or_depth_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", [noise(1), noise(2), noise(3)[:40]])
    with pytest.raises(UnreadableVideoError, match=r"3\.png is 64x40, 8 bit, unlike 1\.png, 64x48, 8 bit"):
        made(folder, tmp_path / "made.mkv")
    save(folder / "3.png", deep(3))
    with pytest.raises(UnreadableVideoError, match=r"3\.png is 64x48, 16 bit"):
        made(folder, tmp_path / "made.mkv")
    assert not (tmp_path / "made.mkv").exists()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_an_image_that_is_cut_off_is_named(tmp_path: Path, suffix: str) -> None:
    cut_off(save(tmp_path / f"broken.{suffix}", noise(1)), keep=0.6)
    with pytest.raises(UnreadableVideoError, match=f"broken.{suffix} cannot be read as an image"):
        read_still(tmp_path / f"broken.{suffix}")


def test_text_in_an_image_s_name_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_text("#EXTM3U\nhttp://example.org/1.ts\n")
    with pytest.raises(UnreadableVideoError, match=r"1\.png cannot be read as an image"):
        read_still(tmp_path / "1.png")


@pytest.mark.parametrize(("count", "told"), [(0, "without images"), (1, "one image only")])
def test_too_few_images_are_told(tmp_path: Path, count: int, told: str) -> None:
    with pytest.raises(StorageError, match=told):
        images_in(folder_of(tmp_path / "in", [noise(1)] * count))


def test_a_dropped_alpha_channel_is_told(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        Image.fromarray(noise(1)).convert("RGBA").save(tmp_path / name)
    listener = Listener()
    write_images(images_in(tmp_path), tmp_path / "made.mkv", rate=RATE, progress=listener)
    assert listener.notes == ["The images' alpha channel is dropped."]
