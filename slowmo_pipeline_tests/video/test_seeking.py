"""Frames that are sought, held against those of the same file decoded from its start."""

from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline_tests.support.kinds import COUNT, NOT_SOUGHT, SOUGHT, X264_OPEN, Kind, noisy
from slowmo_pipeline_tests.support.media import damaged, rotated, run_ffmpeg, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)


def clip(folder: Path, kind: Kind) -> tuple[Path, VideoInfo]:
    path = write_clip(
        folder / f"noisy{kind.suffix}", noisy(), codec=kind.codec, options=kind.options, pixel_format=kind.pixel_format
    )
    return path, probe(path, limits=LIMITS)


def wrong_frames(path: Path, info: VideoInfo, *, start: int, step: int) -> list[int]:
    """Which of every `step`-th frame from `start` on are others when they are sought."""
    wanted = range(start, info.frame_count, step)
    sought = dict(frames_at(path, info, wanted))
    assert list(sought) == list(wanted)
    return [n for n, frame in read_frames(path, info) if n in sought and not np.array_equal(frame, sought[n])]


@pytest.mark.parametrize("kind", [*SOUGHT, *NOT_SOUGHT], ids=str)
def test_frames_are_those_of_decoding_from_the_start(tmp_path: Path, kind: Kind) -> None:
    path, info = clip(tmp_path, kind)
    assert info.losses == ()
    assert wrong_frames(path, info, start=0, step=7) == []
    assert [wrong_frames(path, info, start=start, step=COUNT) for start in range(0, COUNT, 3)] == [[]] * 14


@pytest.mark.parametrize("width", [96, 160])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_where_a_key_frame_only_begins_to_refresh_the_image_they_are_the_same(
    tmp_path: Path, width: int, suffix: str
) -> None:
    options = {"qp": "20", "x264-params": "keyint=24:intra-refresh=1:bframes=0"}
    path = write_clip(tmp_path / f"refreshed{suffix}", noisy(120, width=width), options=options)
    info = probe(path, limits=LIMITS)
    assert [wrong_frames(path, info, start=start, step=120) for start in (78, 90, 110)] == [[], [], []]


@pytest.mark.parametrize("kind", SOUGHT, ids=str)
def test_what_lies_before_is_not_decoded(tmp_path: Path, kind: Kind) -> None:
    path, info = clip(tmp_path, kind)
    [(_, whole)] = frames_at(path, info, [COUNT - 2])
    damaged(path, at=0.25, length=path.stat().st_size // 8)
    [(_, sought)] = frames_at(path, info, [COUNT - 2])
    assert np.array_equal(sought, whole)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bare.h264", []),
        ("without_index.mkv", ["-f", "matroska", "-live", "1"]),
        ("fragments.mp4", ["-movflags", "frag_keyframe+empty_moov"]),
        ("trimmed.mp4", ["-ss", "0.7"]),
        ("later.ts", ["-output_ts_offset", "5000"]),
    ],
)
def test_however_the_stream_is_packed_the_frames_are_the_same(tmp_path: Path, name: str, options: list[str]) -> None:
    source, _ = clip(tmp_path, Kind(".mp4", "libx264", X264_OPEN))
    ss = options if "-ss" in options else []
    run_ffmpeg(*ss, "-i", str(source), "-c", "copy", *([] if ss else options), str(tmp_path / name))
    info = probe(tmp_path / name, limits=LIMITS)
    assert wrong_frames(tmp_path / name, info, start=1, step=6) == []


@pytest.mark.parametrize("offset", ["0", "20"])
def test_of_a_stream_whose_clock_starts_again_or_jumps_they_are_the_same(tmp_path: Path, offset: str) -> None:
    first, _ = clip(tmp_path, Kind(".ts", "libx264", X264_OPEN))
    second, both = tmp_path / "second.ts", tmp_path / "both.ts"
    run_ffmpeg("-i", str(first), "-c", "copy", "-output_ts_offset", offset, str(second))
    both.write_bytes(first.read_bytes() + second.read_bytes())
    info = probe(both, limits=LIMITS)
    assert (info.losses, len(info.stretches), info.frame_count) == ((), 2, 2 * COUNT)
    assert wrong_frames(both, info, start=2, step=9) == []


def test_a_turned_video_is_upright_as_well(tmp_path: Path) -> None:
    source, _ = clip(tmp_path, Kind(".mp4", "libx264", X264_OPEN))
    turned = rotated(source, tmp_path / "turned.mp4", clockwise=90)
    assert wrong_frames(turned, probe(turned, limits=LIMITS), start=5, step=10) == []


@pytest.mark.parametrize("numbers", [[], [3], [39, 0, 20, 21]])
def test_frames_come_in_order_and_none_besides(tmp_path: Path, numbers: list[int]) -> None:
    path, info = clip(tmp_path, Kind(".mp4", "libx264", X264_OPEN))
    assert [number for number, _ in frames_at(path, info, numbers)] == sorted(numbers)
