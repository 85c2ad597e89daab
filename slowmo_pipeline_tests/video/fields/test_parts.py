"""What else is found in a video whose frames are made of fields: parts, cuts, a clock that starts again."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.settings import parse_settings
from slowmo_pipeline.steps.planning import timeline_of
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.part import Asked, Moment
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.reader import Limits, read_frames
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline_tests.support.fields import pulled_down, scene, woven, write_marked
from slowmo_pipeline_tests.support.media import FILM_RATE, NTSC_RATE

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)
PAL = Fraction(25)
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "12")
FFV1 = ("-c:v", "ffv1")


def looked(path: Path, begin: Moment | None = None, end: Moment | None = None, *, cuts: bool = False) -> VideoInfo:
    return probe_apart(path, limits=LIMITS, part=Asked(begin, end), cuts=cuts)


def frames(path: Path, info: VideoInfo) -> list[Frame]:
    return [frame for _, frame in read_frames(path, info)]


def seconds(info: VideoInfo) -> list[Fraction]:
    """After the clip's first frame."""
    return [(tick - info.clip_tick) * info.time_base for tick in info.ticks]


def interlaced(path: Path, fields: Sequence[Frame], *encoding: str) -> Path:
    return write_marked(path, woven(fields, top_first=True), *encoding, rate=PAL)


@pytest.mark.parametrize(("begin", "end"), [(Fraction(1), Fraction(2)), (25, 50), (Fraction(1), None), (None, 50)])
@pytest.mark.parametrize(("suffix", "encoding"), [("ts", MPEG2), ("mkv", FFV1), ("mpg", MPEG2), ("avi", FFV1)])
def test_a_part_has_the_frames_of_the_whole(
    tmp_path: Path, suffix: str, encoding: tuple[str, ...], begin: Moment | None, end: Moment | None
) -> None:
    clip = interlaced(tmp_path / f"clip.{suffix}", scene(160), *encoding)
    whole, part = looked(clip), looked(clip, begin, end)
    first = 50 if begin else 0
    assert seconds(part) == seconds(whole)[first:][: part.frame_count]
    assert part.frame_count == (102 if end else 160) - first

    made, known = frames(clip, part), frames(clip, whole)[first:]
    # The fields at the ends lack those beyond them.
    for frame, other in zip(made[2:-2], known[2:-2], strict=False):
        np.testing.assert_array_equal(frame, other)
    for number, frame in frames_at(clip, part, [3, 17]):
        np.testing.assert_array_equal(frame, made[number])


def test_numbers_of_frames_count_pictures(tmp_path: Path) -> None:
    """As players and editors do, so that a part is the same by either way to name it."""
    clip = interlaced(tmp_path / "clip.mkv", scene(100), *FFV1)
    for begin, end in (("f10", "f30"), (0.4, 1.2)):
        settings = parse_settings({"from": begin, "to": end}, origin="test")
        timeline = timeline_of(looked(clip, settings.from_, settings.to), settings)
        assert timeline.frame_rate == 50
        assert timeline.output_count == 4 * 40


def test_a_part_of_telecined_film_is_film(tmp_path: Path) -> None:
    clip = write_marked(tmp_path / "clip.ts", woven(pulled_down(scene(80)), top_first=True), *MPEG2, rate=NTSC_RATE)
    whole, part = looked(clip), looked(clip, Fraction(1), Fraction(2))
    assert part.frame_count == pytest.approx(FILM_RATE, abs=3)
    assert set(seconds(part)[1:-1]) < set(seconds(whole))


@pytest.mark.parametrize("place", [40, 41])
def test_a_cut_is_found_between_the_frames_that_fields_make(tmp_path: Path, place: int) -> None:
    """Also between two fields of one picture."""
    bricks = np.random.default_rng(1).integers(0, 255, (12, 60, 1), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    other = [bricks[:, 3 * number : 3 * number + 128].repeat(3, axis=2) for number in range(100)]
    clip = interlaced(tmp_path / "clip.mkv", [*scene(place), *other[place:]], *FFV1)
    info = looked(clip, cuts=True)
    assert len(info.cut_scores) == 99
    assert [gap for gap, score in enumerate(info.cut_scores) if score >= 50] == [place - 1]


@pytest.mark.parametrize("rate", [PAL, NTSC_RATE])
def test_frames_of_fields_go_on_where_the_clock_starts_again(tmp_path: Path, rate: Fraction) -> None:
    part = write_marked(tmp_path / "part.ts", woven(scene(48), top_first=True), *MPEG2, "-bf", "0", rate=rate)
    both = tmp_path / "both.ts"
    both.write_bytes(part.read_bytes() * 2)
    info = looked(both)
    assert info.frame_count == 96
    assert [stretch.frame for stretch in info.stretches] == [0, 48]
    first, second = info.stretches
    assert first.container_tick == second.container_tick
    assert float(seconds(info)[48]) == pytest.approx(float(24 / rate), abs=1e-3)


def test_reading_changes_with_what_is_made_of_fields(tmp_path: Path) -> None:
    """New frames of one arrangement never go with those of another."""
    clip = interlaced(tmp_path / "clip.mkv", scene(40), *FFV1)
    mended, kept = looked(clip), probe_apart(clip, limits=LIMITS, interlaced="keep")
    assert mended.reading.startswith("fields ")
    assert kept.reading == ""
