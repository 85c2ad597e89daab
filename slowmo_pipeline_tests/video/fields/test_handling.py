"""Interlaced, telecined and whole sources of known truth: which frames are handed out, when, and what is told."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.planning.clock import FrameTimes, constant_rate, frame_times
from slowmo_pipeline.video.fields.arrangement import Handling
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline_tests.support.fields import pulled_down, scene, woven, write_marked, write_soft_pulldown
from slowmo_pipeline_tests.support.media import FILM_RATE, NTSC_RATE, run_ffmpeg, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=100)
PAL = Fraction(25)

KINDS = {
    "mpeg2 in ts": ("ts", ["-c:v", "mpeg2video", "-q:v", "2"]),
    "mpeg2 in mpg": ("mpg", ["-c:v", "mpeg2video", "-q:v", "2"]),
    "mpeg2 in mxf": ("mxf", ["-c:v", "mpeg2video", "-q:v", "2"]),
    "mpeg4 in avi": ("avi", ["-c:v", "mpeg4", "-q:v", "2"]),
    "h264 in mp4": ("mp4", ["-c:v", "libx264", "-crf", "16"]),
    "h264 in mkv": ("mkv", ["-c:v", "libx264", "-crf", "16"]),
    "prores in mov": ("mov", ["-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"]),
    "ffv1 in mkv": ("mkv", ["-c:v", "ffv1"]),
    "v210 in mov": ("mov", ["-c:v", "v210"]),
    "uyvy in mov": ("mov", ["-c:v", "rawvideo", "-pix_fmt", "uyvy422"]),
}


def looked(path: Path, interlaced: Handling = "auto") -> VideoInfo:
    return probe(path, limits=LIMITS, interlaced=interlaced)


def frames(path: Path, info: VideoInfo) -> list[Frame]:
    return [frame for _, frame in read_frames(path, info)]


def times(info: VideoInfo) -> FrameTimes:
    return frame_times(
        info.ticks, info.time_base, last_duration=info.last_duration_ticks, declared_rate=info.declared_rate
    )


def psnr(one: Frame, other: Frame) -> float:
    return float(-10 * np.log10(np.mean((in_8_bits(one) - other) ** 2) / 255**2 + 1e-10))


def lines_lower(frame: Frame, true: Frame) -> float:
    """By how many lines a frame lies lower than the true one, if that is little; but for its edges."""
    slope = np.gradient(in_8_bits(true), axis=0)[4:-4]
    return float(-np.sum((in_8_bits(frame) - true)[4:-4] * slope) / np.sum(slope**2))


def in_8_bits(frame: Frame) -> npt.NDArray[np.float64]:
    return frame.astype(np.float64) * (255 / np.iinfo(frame.dtype).max)


def assert_shown(made: Sequence[Frame], truth: Sequence[Frame], *, least: float) -> None:
    """Frame by frame the true ones, and in place."""
    assert len(made) == len(truth)
    for frame, true in zip(made, truth, strict=True):
        assert psnr(frame, true) >= least
        # Half a line, up and down, is what frames do that are made by stretching fields.
        assert abs(lines_lower(frame, true)) < 0.1


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_each_field_of_an_interlaced_video_becomes_a_frame(tmp_path: Path, kind: str, top_first: bool) -> None:
    suffix, encoding = KINDS[kind]
    truth = scene(40)
    clip = write_marked(
        tmp_path / f"clip.{suffix}", woven(truth, top_first=top_first), *encoding, rate=PAL, top_first=top_first
    )
    info = looked(clip)

    assert times(info) == constant_rate(Fraction(50), 40)
    assert info.notes[-1].startswith(f"Interlaced, {'top' if top_first else 'bottom'} field first.")
    assert_shown(frames(clip, info), truth, least=34)


def test_dv_is_bottom_field_first(tmp_path: Path) -> None:
    pictures = [np.repeat(np.repeat(each, 6, axis=0), 6, axis=1)[:, :720] for each in scene(24)]
    clip = write_marked(
        tmp_path / "clip.dv",
        woven(pictures, top_first=False),
        *("-c:v", "dvvideo", "-pix_fmt", "yuv420p"),
        rate=PAL,
        top_first=False,
    )
    info = looked(clip)
    assert info.fields is not None
    assert (info.fields.top_first, times(info)) == (False, constant_rate(Fraction(50), 24))


@pytest.mark.parametrize("top_first", [True, False])
def test_fields_are_found_where_nothing_marks_them(tmp_path: Path, top_first: bool) -> None:
    clip = write_clip(tmp_path / "clip.mp4", woven(scene(40), top_first=top_first), rate=NTSC_RATE)
    info = looked(clip)
    assert info.fields is not None
    assert (info.fields.top_first, times(info)) == (top_first, constant_rate(2 * NTSC_RATE, 40))


def test_an_order_that_is_marked_wrongly_is_found_and_told(tmp_path: Path) -> None:
    truth = scene(40)
    clip = write_marked(tmp_path / "c.mkv", woven(truth, top_first=True), "-c:v", "ffv1", rate=PAL, top_first=False)
    info = looked(clip)
    assert info.notes[-1].startswith("Interlaced, top field first, though it says otherwise.")
    assert_shown(frames(clip, info), truth, least=34)


def test_an_order_that_changes_is_refused(tmp_path: Path) -> None:
    parts = [
        write_marked(
            tmp_path / f"{top_first}.ts",
            woven(scene(100), top_first=top_first),
            *("-c:v", "mpeg2video", "-q:v", "2"),
            rate=PAL,
            top_first=top_first,
        )
        for top_first in (True, False)
    ]
    (tmp_path / "list.txt").write_text("".join(f"file '{part}'\n" for part in parts))
    both = tmp_path / "both.ts"
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(tmp_path / "list.txt"), "-c", "copy", str(both))
    with pytest.raises(UnreadableVideoError, match=r"changes the order of its fields near picture (48|72)"):
        looked(both)
    assert looked(both, "keep").frame_count == pytest.approx(100, abs=2)


def test_a_little_that_moves_in_a_still_picture_suffices(tmp_path: Path) -> None:
    still = scene(1)[0]
    truth = [still.copy() for _ in range(60)]
    for number, frame in enumerate(truth):
        frame[70:90, 20 + number : 36 + number] = 250
    info = looked(write_marked(tmp_path / "c.mkv", woven(truth, top_first=True), "-c:v", "ffv1", rate=PAL))
    assert info.frame_count == 60


@pytest.mark.parametrize("first", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("pattern", ["23", "2332"])
def test_telecined_film_is_put_together_again(tmp_path: Path, pattern: str, first: int) -> None:
    """Wherever in the cycle the video begins; all but what is cut off at its ends is there bit for bit."""
    film = scene(32)
    clip = write_marked(
        tmp_path / "clip.mkv",
        woven(pulled_down(film, pattern=pattern)[2 * first :], top_first=True),
        *("-c:v", "libx264", "-qp", "0"),
        rate=NTSC_RATE,
    )
    made, known = frames(clip, looked(clip)), {frame.tobytes() for frame in frames_of_film(tmp_path, film)}
    assert sum(frame.tobytes() in known for frame in made) >= 32 - first - 2
    assert times(looked(clip)).is_constant
    assert times(looked(clip)).rate == FILM_RATE


def frames_of_film(tmp_path: Path, film: list[Frame]) -> list[Frame]:
    """Film as the same encoder gives it back."""
    clip = write_marked(tmp_path / "film.mkv", film, "-c:v", "libx264", "-qp", "0", rate=FILM_RATE)
    return frames(clip, looked(clip, "keep"))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_telecined_film_is_found_where_nothing_marks_it(tmp_path: Path, suffix: str) -> None:
    pictures = woven(pulled_down(scene(32)), top_first=True)
    info = looked(write_clip(tmp_path / f"clip.{suffix}", pictures, rate=NTSC_RATE))
    assert times(info) == constant_rate(FILM_RATE, 32)
    assert info.notes == ("Telecined. Frames that were put together from their fields: 32.",)


def test_film_that_lies_a_field_late_is_put_together_again(tmp_path: Path) -> None:
    """As it comes from a tape that was cut into pictures at the wrong field: each of them is combed."""
    fields = [frame for frame in scene(21) for _ in (0, 1)][1:-1]
    clip = write_marked(tmp_path / "c.mkv", woven(fields, top_first=True), "-c:v", "libx264", "-qp", "0", rate=PAL)
    made = frames(clip, looked(clip))
    known = {frame.tobytes() for frame in frames_of_film(tmp_path, scene(21))}
    assert sum(frame.tobytes() in known for frame in made) == 19
    assert times(looked(clip)) == constant_rate(PAL, 21)


@pytest.mark.parametrize("encoding", [("-c:v", "mpeg2video", "-q:v", "2"), ("-c:v", "libx264"), ("-c:v", "ffv1")])
def test_whole_pictures_marked_as_interlaced_are_not_harmed(tmp_path: Path, encoding: tuple[str, ...]) -> None:
    clip = write_marked(tmp_path / "clip.mkv", scene(30), *encoding, rate=PAL)
    info, kept = looked(clip), looked(clip, "keep")
    assert info.notes == ("Marked as interlaced, but not combed: the frames are used as they are.",)
    assert info.model_copy(update={"notes": kept.notes}) == kept


def test_whole_pictures_with_noise_and_fine_lines_are_not_harmed(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pictures = [
        np.clip(frame + random.normal(0, 6, frame.shape), 0, 255).astype(np.uint8) for frame in scene(30, speed=2)
    ]
    for picture in pictures:
        picture[10:40:4] //= 2
    assert looked(write_marked(tmp_path / "c.mkv", pictures, "-c:v", "ffv1", rate=PAL)).fields is None


def test_whole_pictures_are_looked_at_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", scene(30))
    seen: list[int] = []
    info = probe(clip, limits=LIMITS, interlaced="auto", on_picture=lambda number, _: seen.append(number))
    assert (info, seen) == (looked(clip, "keep"), list(range(30)))


@pytest.mark.parametrize("suffix", ["mpg", "ts", "mkv"])
def test_film_pulled_down_by_flags_is_shown_evenly(tmp_path: Path, suffix: str) -> None:
    clip = write_soft_pulldown(tmp_path / f"clip.{suffix}", scene(24))
    info, kept = looked(clip), looked(clip, "keep")
    assert times(info) == constant_rate(FILM_RATE, 24)
    assert [a.tobytes() for a in frames(clip, info)] == [b.tobytes() for b in frames(clip, kept)]
    assert info.first_frame_time == kept.first_frame_time


def test_a_video_may_be_film_in_part(tmp_path: Path) -> None:
    film, fields = scene(40), scene(80)
    pictures = woven([*pulled_down(film), *fields], top_first=True)
    info = looked(write_marked(tmp_path / "clip.mkv", pictures, "-c:v", "ffv1", rate=NTSC_RATE))
    assert info.fields is not None
    runs = [(run.cadence, run.groups) for run in info.fields.runs]
    assert [cadence for cadence, _ in runs] == ["23", "1"]
    assert [groups for _, groups in runs] == [pytest.approx(40, abs=3), pytest.approx(80, abs=6)]
    assert info.frame_count == sum(groups for _, groups in runs)


def test_it_can_be_refused(tmp_path: Path) -> None:
    interlaced = write_marked(tmp_path / "i.mkv", woven(scene(40), top_first=True), "-c:v", "ffv1", rate=PAL)
    film = write_clip(tmp_path / "f.mkv", woven(pulled_down(scene(32)), top_first=True), rate=NTSC_RATE)
    with pytest.raises(UnreadableVideoError, match=r"i\.mkv is interlaced, which the setting interlaced refuses"):
        probe_apart(interlaced, limits=LIMITS, interlaced="refuse")
    with pytest.raises(UnreadableVideoError, match=r"f\.mkv is telecined"):
        probe_apart(film, limits=LIMITS, interlaced="refuse")
    whole = write_marked(tmp_path / "w.mkv", scene(30), "-c:v", "ffv1", rate=PAL)
    assert probe_apart(whole, limits=LIMITS, interlaced="refuse").frame_count == 30


def test_it_can_be_kept(tmp_path: Path) -> None:
    clip = write_marked(tmp_path / "i.mkv", woven(scene(40), top_first=True), "-c:v", "ffv1", rate=PAL)
    info = looked(clip, "keep")
    assert (info.frame_count, info.fields) == (20, None)
    assert info.notes == ("The frames are interlaced and used as they are.",)


def test_film_can_be_deinterlaced_and_interlaced_video_matched(tmp_path: Path) -> None:
    film = write_marked(
        tmp_path / "f.mkv", woven(pulled_down(scene(32)), top_first=True), "-c:v", "ffv1", rate=NTSC_RATE
    )
    assert times(looked(film, "deinterlace")) == constant_rate(2 * NTSC_RATE, 80)
    interlaced = write_marked(tmp_path / "i.mkv", woven(scene(40), top_first=True), "-c:v", "ffv1", rate=PAL)
    fields = looked(interlaced, "match").fields
    assert fields is None or "1" not in {run.cadence for run in fields.runs[1:-1]}


def test_looking_apart_finds_the_same(tmp_path: Path) -> None:
    clip = write_marked(tmp_path / "i.ts", woven(scene(40), top_first=False), "-c:v", "mpeg2video", rate=PAL)
    assert probe_apart(clip, limits=LIMITS) == looked(clip)


def test_the_limit_counts_the_frames_that_are_made(tmp_path: Path) -> None:
    clip = write_marked(tmp_path / "i.mkv", woven(scene(40), top_first=True), "-c:v", "ffv1", rate=PAL)
    few = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=30, max_seconds=100)
    with pytest.raises(VideoTooLargeError, match="max_frames allows, 30"):
        probe(clip, limits=few, interlaced="auto")


def test_some_frames_are_the_same_as_all(tmp_path: Path) -> None:
    clip = write_marked(tmp_path / "i.mp4", woven(scene(40), top_first=True), "-c:v", "libx264", rate=PAL)
    info = looked(clip)
    every = frames(clip, info)
    for number, frame in frames_at(clip, info, [3, 4, 21, 39]):
        np.testing.assert_array_equal(frame, every[number])


def test_pictures_that_are_not_those_of_the_fields_are_refused(tmp_path: Path) -> None:
    clip, longer = (
        write_marked(tmp_path / f"{count}.mkv", woven(scene(count), top_first=True), "-c:v", "ffv1", rate=PAL)
        for count in (40, 44)
    )
    for path, info in ((clip, looked(longer)), (longer, looked(clip))):
        with pytest.raises(UnreadableVideoError, match="no longer holds the frames that probing found"):
            frames(path, info)


def test_fields_that_are_pictures_of_their_own_are_refused(tmp_path: Path) -> None:
    fields = [frame[number % 2 :: 2] for number, frame in enumerate(scene(40))]
    clip = tmp_path / "fields.mkv"
    plain = write_clip(tmp_path / "plain.mkv", fields, rate=Fraction(50))
    run_ffmpeg("-i", str(plain), "-c:v", "libx265", "-x265-params", "log-level=none:interlace=tff", str(clip))
    with pytest.raises(UnreadableVideoError, match="each field as a picture of its own"):
        looked(clip)
