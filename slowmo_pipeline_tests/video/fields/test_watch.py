from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.fields.watch import Watch
from slowmo_pipeline_tests.support.fields import pulled_down, scene, woven, write_marked
from slowmo_pipeline_tests.support.media import moving_square, noise


def watched(frames: Iterable[Frame], *, pixel_format: str = "yuv420p") -> Watch:
    watch = Watch(looks=True)
    for number, frame in enumerate(frames):
        watch.see(number, picture_of(frame, pixel_format))
    return watch


def picture_of(frame: Frame, pixel_format: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame, np.uint8), "rgb24").reformat(format=pixel_format)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "nv12", "gray"])
@pytest.mark.parametrize("top_first", [True, False])
def test_interlaced_pictures_are_suspected(top_first: bool, pixel_format: str) -> None:
    watch = watched(woven(scene(24), top_first=top_first), pixel_format=pixel_format)
    assert (watch.suspects, watch.flagged) == (True, False)


@pytest.mark.parametrize("first", range(5))
def test_telecined_pictures_are_suspected(first: int) -> None:
    assert watched(woven(pulled_down(scene(16))[2 * first :], top_first=True)).suspects


def test_what_begins_later_is_suspected() -> None:
    assert watched([*scene(120), *woven(scene(24), top_first=True)]).suspects


@pytest.mark.parametrize(
    "frames",
    [scene(80), list(moving_square(20)), [noise(seed) for seed in range(20)], [scene(1)[0]] * 20],
    ids=["moving", "square", "noise", "still"],
)
def test_whole_pictures_are_not(frames: list[Frame]) -> None:
    assert not watched(frames).suspects


def test_pictures_too_small_to_be_interlaced_are_not_looked_at() -> None:
    assert not watched(woven([frame[:32] for frame in scene(24)], top_first=True)).suspects


def test_a_change_of_pixel_format_begins_anew() -> None:
    watch = Watch(looks=True)
    for number, frame in enumerate(scene(24)):
        pixel_format = "yuv420p" if number % 2 else "yuv422p10le"
        watch.see(
            number,
            av.VideoFrame.from_ndarray(np.ascontiguousarray(frame, np.uint8), "rgb24").reformat(format=pixel_format),
        )
    assert not watch.suspects


def test_a_mark_suffices_and_is_heard_without_looking(tmp_path: Path) -> None:
    watch = Watch(looks=False)
    with av.open(str(write_marked(tmp_path / "c.mkv", scene(4), "-c:v", "ffv1", rate=Fraction(25)))) as container:
        for number, picture in enumerate(container.decode(video=0)):
            watch.see(number, picture)
    assert watch.flagged
