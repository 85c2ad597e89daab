import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.planning.clock import constant_rate, frame_times
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline_tests.support.media import (
    BT709,
    FILM_RATE,
    NTSC_RATE,
    cut_off,
    damaged,
    grey_frames,
    grey_numbers,
    joined,
    moving_square,
    run_ffmpeg,
    tone,
    write_clip,
)

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=100)


def numbers_in(path: Path) -> list[int]:
    """Which frames of `grey_frames` a file holds."""
    frames = list(read_frames(path, probe(path, limits=LIMITS)))
    assert [number for number, _ in frames] == list(range(len(frames)))
    return grey_numbers(frame for _, frame in frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
@pytest.mark.parametrize("rate", [FILM_RATE, NTSC_RATE])
def test_every_container_gives_every_frame_once_and_its_exact_rate(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    clip = write_clip(tmp_path / f"grey{suffix}", grey_frames(12), rate=rate)
    assert numbers_in(clip) == list(range(12))
    info = probe(clip, limits=LIMITS)
    times = frame_times(
        info.ticks, info.time_base, last_duration=info.last_duration_ticks, declared_rate=info.declared_rate
    )
    assert times == constant_rate(rate, 12)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_gives_every_frame_once_also_when_they_are_reordered(tmp_path: Path, codec: str) -> None:
    clip = write_clip(tmp_path / "grey.avi", grey_frames(12), codec=codec, options={"bf": "2"})
    assert numbers_in(clip) == list(range(12))


@pytest.mark.parametrize(("suffix", "codec"), [(".h264", "libx264"), (".hevc", "libx265")])
def test_a_bare_stream_is_numbered_by_its_rate(tmp_path: Path, suffix: str, codec: str) -> None:
    clip = write_clip(tmp_path / "square.mkv", moving_square(12), codec=codec, options={"qp": "10"})
    bare = tmp_path / f"square{suffix}"
    run_ffmpeg("-i", str(clip), "-c", "copy", str(bare))
    info = probe(bare, limits=LIMITS)
    assert (info.ticks, info.time_base) == (tuple(range(12)), 1 / FILM_RATE)
    assert len(list(read_frames(bare, info))) == 12
    assert any("numbered by the rate" in note for note in info.notes)


def test_variable_times_are_kept(tmp_path: Path) -> None:
    ticks = [0, 3000, 4500, 12000, 12090, 30000]
    clip = write_clip(tmp_path / "vfr.mp4", grey_frames(6), ticks=ticks, time_base=Fraction(1, 90000))
    info = probe(clip, limits=LIMITS)
    assert [(tick - info.ticks[0]) * info.time_base for tick in info.ticks] == [Fraction(t, 90000) for t in ticks]


def test_what_probing_finds(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "a.mp4", grey_frames(4), colour=BT709, sample_aspect_ratio=Fraction(16, 11), sound=tone(0.2)
    )
    info = probe(clip, limits=LIMITS)
    assert (info.width, info.height, info.depth, info.source_bits, info.pixel_format) == (64, 48, 8, 8, "yuv420p")
    assert (info.codec, info.container, info.has_sound) == ("h264", "mov,mp4,m4a,3gp,3g2,mj2", True)
    assert (info.sample_aspect_ratio, info.colour, info.notes) == (Fraction(16, 11), BT709, ())


def test_ten_bit_sources_give_sixteen_bit_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "deep.mp4", grey_frames(12, depth=16), pixel_format="yuv420p10le")
    assert (probe(clip, limits=LIMITS).depth, probe(clip, limits=LIMITS).source_bits) == (16, 10)
    assert numbers_in(clip) == list(range(12))


def test_odd_sizes_read(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "odd.mkv", grey_frames(3, width=63, height=35), pixel_format="yuv444p", codec="ffv1")
    info = probe(clip, limits=LIMITS)
    assert (info.width, info.height) == (63, 35)
    assert next(read_frames(clip, info))[1].shape == (35, 63, 3)


def test_of_several_video_streams_the_first_is_used_with_a_note(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "first.mp4", grey_frames(5))
    second = write_clip(tmp_path / "second.mp4", grey_frames(7, width=32))
    both = joined(tmp_path / "both.mp4", first, second)
    assert numbers_in(both) == list(range(5))
    assert probe(both, limits=LIMITS).notes == ("2 video streams: the first is used.",)


def test_probing_shows_every_picture(tmp_path: Path) -> None:
    seen: list[int] = []
    clip = write_clip(tmp_path / "a.mp4", grey_frames(5))
    probe(clip, limits=LIMITS, on_picture=lambda number, _: seen.append(number))
    assert seen == [0, 1, 2, 3, 4]


def test_damage_in_the_middle_is_skipped_and_told(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", moving_square(40), options={"g": "5", "bf": "0"})
    info = probe(damaged(clip, at=0.5, length=1000), limits=LIMITS)
    assert info.frame_count >= 2
    assert any("amaged" in note or "errors" in note for note in info.losses)
    assert len(list(read_frames(clip, info))) == info.frame_count


def test_frames_whose_time_stands_still_are_left_out_and_told(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", grey_frames(6), codec="ffv1", ticks=[0, 1, 2, 2, 4, 5])
    assert numbers_in(clip) == [0, 1, 2, 4, 5]
    assert any("1 were left out" in note for note in probe(clip, limits=LIMITS).losses)


def test_a_file_that_breaks_off_gives_the_frames_before(tmp_path: Path) -> None:
    clip = cut_off(write_clip(tmp_path / "a.mkv", moving_square(20)), keep=0.7)
    assert 2 <= probe(clip, limits=LIMITS).frame_count < 20


def test_reading_another_file_than_was_probed_is_refused(tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", grey_frames(5))
    long = write_clip(tmp_path / "long.mp4", grey_frames(6))
    for probed, read in ((short, long), (long, short)):
        with pytest.raises(UnreadableVideoError, match="probe it again"):
            list(read_frames(read, probe(probed, limits=LIMITS)))


def test_a_change_of_size_is_refused_with_the_frame(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "a.ts", grey_frames(5))
    second = write_clip(tmp_path / "b.ts", grey_frames(5, width=96), ticks=range(10, 15))
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(UnreadableVideoError, match="64x48 to 96x48 at frame"):
        probe(both, limits=LIMITS)


@pytest.mark.parametrize(
    ("bound", "value"), [("max_bytes", 100), ("max_pixels", 64 * 48 - 1), ("max_frames", 11), ("max_seconds", 0)]
)
def test_a_video_over_a_bound_is_refused_with_the_settings_name(tmp_path: Path, bound: str, value: int) -> None:
    clip = write_clip(tmp_path / "a.mp4", grey_frames(12))
    with pytest.raises(VideoTooLargeError, match=bound):
        probe(clip, limits=replace(LIMITS, **{bound: value}))


def test_a_video_at_its_bounds_is_accepted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", grey_frames(12))
    limits = Limits(max_bytes=clip.stat().st_size, max_pixels=64 * 48, max_frames=12, max_seconds=1)
    assert probe(clip, limits=limits).frame_count == 12


def test_a_header_cannot_hide_a_large_picture(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", grey_frames(3, width=1024, height=768))
    # The sample entry of an MP4 and its track header state the size; the stream itself knows better.
    lie = clip.read_bytes().replace(b"\x04\x00\x03\x00", b"\x00\x10\x00\x10")
    assert lie != clip.read_bytes()
    clip.write_bytes(lie)
    with pytest.raises((VideoTooLargeError, UnreadableVideoError)):
        probe(clip, limits=replace(LIMITS, max_pixels=640 * 480))


def test_one_frame_is_too_few(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "one.mp4", grey_frames(1))
    with pytest.raises(UnreadableVideoError, match=r"one frame only.*Put a longer clip in its place\."):
        probe(clip, limits=LIMITS)


def test_the_reader_needs_neither_dagster_nor_opencv() -> None:
    check = "import sys, slowmo_pipeline.video.reader; sys.exit(bool({'cv2', 'dagster', 'ffmpeg'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_what_a_file_calls_its_creation_time_is_kept_only_if_it_is_one(tmp_path: Path) -> None:
    clip, odd = write_clip(tmp_path / "a.mov", grey_frames(3)), tmp_path / "odd.mov"
    tag = f"creation_time={'x' * 100_000}"
    run_ffmpeg("-i", str(clip), "-c", "copy", "-metadata", tag, "-movflags", "use_metadata_tags", str(odd))
    assert probe(odd, limits=LIMITS).creation_time is None
