"""Frames out: exactly those of the result, at their depth, whole or not at all, and nothing else in harm's way."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline import write_frames as write_by_id
from slowmo_pipeline.errors import DiskFullError, StorageError, UnknownVideoError
from slowmo_pipeline.steps.frame_files import write_frames
from slowmo_pipeline.video.image_folder import images_in, write_images
from slowmo_pipeline.video.info import Colour
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.support.disks import resize, small_disk
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.media import BT709, grey_numbers, write_clip, write_planes
from slowmo_pipeline_tests.support.pipeline import LIMITS, TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.videos import quiet


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def video(pipeline: TestPipeline) -> str:
    """A finished video of 24 frames, all grey."""
    video_id = pipeline.drop("frames.mp4")
    assert pipeline.run(video_id, codec="ffv1").success
    return video_id


def read(folder: Path) -> list[npt.NDArray[np.generic]]:
    return [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in sorted(folder.iterdir())]


def test_they_are_those_of_the_result(pipeline: TestPipeline, video: str, tmp_path: Path) -> None:
    done = slowmo("frames", video, "--output", tmp_path / "out")
    assert done.stdout == f"{tmp_path}/out\n"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[::23] == [
        "frame-0000000.png",
        "frame-0000023.png",
    ]
    frames = [frame.astype(np.uint8) for frame in read(tmp_path / "out")]
    assert grey_numbers(frames) == pipeline.final_numbers(video, ".mkv")


def test_deep_results_stay_deep(pipeline: TestPipeline, tmp_path: Path) -> None:
    deep = [np.full((48, 64, 3), (40000, 20001, value), np.uint16) for value in (3, 1003, 2003)]
    clip = write_clip(tmp_path / "deep.mkv", deep, codec="ffv1", pixel_format="gbrp16le", rate=Fraction(25))
    pipeline.storage.upload(clip, "uploads/deep.mkv")
    video_id = pipeline.add("uploads/deep.mkv")
    assert pipeline.run(video_id, codec="ffv1").success
    frames = read(write_by_id(video_id, tmp_path / "out"))
    assert [frame[0, 0].tolist() for frame in frames[::4]] == [[value, 20001, 40000] for value in (3, 1003, 2003)]


def test_black_is_black_where_the_result_has_headroom(pipeline: TestPipeline, tmp_path: Path) -> None:
    luma = np.repeat([16, 235, 250], 32)[np.newaxis].repeat(64, axis=0)
    clip = write_planes(
        tmp_path / "bright.mkv", [luma, 128, 128], pixel_format="yuv444p", colour=BT709, size=(96, 64), count=3
    )
    pipeline.storage.upload(clip, "uploads/bright.mkv")
    video_id = pipeline.add("uploads/bright.mkv")
    assert pipeline.run(video_id, codec="ffv1").success
    frame = read(write_by_id(video_id, tmp_path / "out"))[0]
    assert frame[32, 16::32].tolist() == [[0] * 3, [255] * 3, [255] * 3]


def test_an_image_tells_its_colours_and_takes_them_along(pipeline: TestPipeline, tmp_path: Path) -> None:
    pq = Colour(matrix="bt2020nc", range="tv", primaries="bt2020", transfer="smpte2084")
    frames = [np.full((48, 64, 3), 100, np.uint8)] * 3
    clip = write_clip(tmp_path / "hdr.mkv", frames, codec="ffv1", pixel_format="yuv444p", colour=pq)
    pipeline.storage.upload(clip, "uploads/hdr.mkv")
    video_id = pipeline.add("uploads/hdr.mkv")
    assert pipeline.run(video_id).success
    images = write_by_id(video_id, tmp_path / "out")
    with av.open(str(images / "frame-0000000.png")) as png:
        picture = next(png.decode(video=0))
    assert (picture.color_primaries, picture.color_trc) == (9, 16)
    write_images(images_in(images), tmp_path / "again.mkv", rate=Fraction(25), progress=quiet)
    again = probe(tmp_path / "again.mkv", limits=LIMITS).colour
    assert (again.primaries, again.transfer) == ("bt2020", "smpte2084")


def test_cut_off_it_goes_on_where_it_was(pipeline: TestPipeline, video: str, tmp_path: Path) -> None:
    def until_ten(stage: str, done: int, total: int, unit: str) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_frames(pipeline.storage, video, tmp_path / "out", overwrite=False, progress=until_ten)
    assert not (tmp_path / "out").exists()
    numbers: list[int] = []
    write_frames(
        pipeline.storage, video, tmp_path / "out", overwrite=False, progress=lambda _, done, *more: numbers.append(done)
    )
    assert numbers == [*range(11, 25)]
    assert len(read(tmp_path / "out")) == 24


def test_what_another_result_left_half_written_is_not_taken(pipeline: TestPipeline, video: str, tmp_path: Path) -> None:
    (tmp_path / ".out.part").mkdir()
    for name in ("frame-0000000.png", "result"):
        (tmp_path / ".out.part" / name).write_text("another's")
    write_frames(pipeline.storage, video, tmp_path / "out", overwrite=False, progress=quiet)
    assert grey_numbers([read(tmp_path / "out")[0].astype(np.uint8)]) == [0]


def test_frames_are_replaced_only_when_that_is_said(pipeline: TestPipeline, video: str, tmp_path: Path) -> None:
    (tmp_path / "frame-0000099.png").touch()
    with pytest.raises(StorageError, match=r"exists\. Choose another --output"):
        write_frames(pipeline.storage, video, tmp_path, overwrite=False, progress=quiet)
    write_frames(pipeline.storage, video, tmp_path, overwrite=True, progress=quiet)
    assert len(read(tmp_path)) == 24


@pytest.mark.parametrize("name", ["frame-0000001.tif", "notes.txt"])
def test_a_folder_with_anything_else_is_left_alone(
    pipeline: TestPipeline, video: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    with pytest.raises(StorageError, match=f"holds {name}, which is no such frame"):
        write_frames(pipeline.storage, video, tmp_path, overwrite=True, progress=quiet)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_full_disk_is_told_and_the_rest_follows_once_there_is_room(pipeline: TestPipeline, video: str) -> None:
    with small_disk(megabytes=1) as disk:
        resize(disk, kilobytes=40)
        with pytest.raises(DiskFullError, match="No space left on device"):
            write_frames(pipeline.storage, video, disk / "out", overwrite=False, progress=quiet)
        resize(disk, kilobytes=4000)
        assert write_frames(pipeline.storage, video, disk / "out", overwrite=False, progress=quiet) == 24


def test_what_is_not_finished_is_refused(pipeline: TestPipeline, tmp_path: Path) -> None:
    video_id = pipeline.drop("begun.mp4")
    for asset in ("raw_video", "frame_chunks"):
        assert pipeline.run(video_id, only=asset).success
    with pytest.raises(UnknownVideoError, match=f"{video_id} is not finished"):
        write_frames(pipeline.storage, video_id, tmp_path / "out", overwrite=False, progress=quiet)
    assert not list(tmp_path.iterdir())
