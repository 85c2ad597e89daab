import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path

import ffmpeg
import numpy as np
import psutil
import pytest

from slowmo_pipeline.errors import EncodeError, EncoderKilledError
from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline.video.binary import ffmpeg_binary, run_graph
from slowmo_pipeline.video.info import Colour, VideoInfo, info_of_frames
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.writer import CODECS, encode, require_encoder
from slowmo_pipeline_tests.support.media import (
    BAR_COLOURS,
    BT709,
    FILM_RATE,
    UNTAGGED,
    bar_colours,
    colour_bars,
    grey_frames,
    grey_numbers,
    in_depth,
    moving_square,
)
from slowmo_pipeline_tests.support.stored import changed

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=1000)

INFO = info_of_frames(FrameShape(64, 48, 8), rate=FILM_RATE, count=2, source_bits=8, colour=BT709)


def write(
    path: Path, frames: Iterator[Frame], *, info: VideoInfo = INFO, codec: str = "h264", threads: int = 2
) -> Path:
    first = next(frames)
    info = changed(info, width=first.shape[1], height=first.shape[0], depth=8 * first.dtype.itemsize)
    target = path.with_suffix(CODECS[codec].suffix)

    def all_frames() -> Iterator[Frame]:
        yield first
        yield from frames

    encode(target, all_frames(), info=info, frame_rate=FILM_RATE, codec=codec, crf=None, threads=threads)
    return target


@pytest.mark.parametrize(("codec", "depth"), [*product(CODECS, (8, 16))])
def test_every_frame_is_in_the_file_once_and_in_order(tmp_path: Path, codec: str, depth: int) -> None:
    clip = write(tmp_path / "grey", grey_frames(30, depth=depth), codec=codec)
    info = probe(clip, limits=LIMITS)
    assert grey_numbers(frame for _, frame in read_frames(clip, info)) == [number % 12 for number in range(30)]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30), Fraction(25, 2), Fraction(240000, 1001)])
@pytest.mark.parametrize("codec", ["h264", "h265", "prores"])
def test_frame_times_are_exact(tmp_path: Path, codec: str, rate: Fraction) -> None:
    target = tmp_path / f"grey{CODECS[codec].suffix}"
    written = encode(target, grey_frames(20), info=INFO, frame_rate=rate, codec=codec, crf=None, threads=2)
    info = probe(target, limits=LIMITS)
    assert written == 20
    assert [(tick - info.ticks[0]) * info.time_base for tick in info.ticks] == [n / rate for n in range(20)]
    assert info.declared_rate == rate


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "colour",
    [
        BT709,
        Colour(matrix="smpte170m", range="tv", primaries="smpte170m", transfer="smpte170m"),
        Colour(matrix="smpte170m", range="pc", primaries="bt470bg", transfer="iec61966-2-1"),
        Colour(matrix="bt2020nc", range="tv", primaries="bt2020", transfer="smpte2084"),
        UNTAGGED,
    ],
)
@pytest.mark.parametrize("depth", [8, 16])
def test_colours_survive_encoding(tmp_path: Path, codec: str, colour: Colour, depth: int) -> None:
    bars = colour_bars(depth=depth)
    clip = write(tmp_path / "bars", iter([bars] * 3), info=changed(INFO, colour=colour), codec=codec)
    info = probe(clip, limits=LIMITS)
    assert bar_colours(next(read_frames(clip, info))[1]) == pytest.approx(BAR_COLOURS, abs=3)


@pytest.mark.parametrize(
    "colour", [BT709, Colour(matrix="bt2020nc", range="tv", primaries="bt2020", transfer="arib-std-b67"), UNTAGGED]
)
def test_colour_tags_are_carried_and_none_is_invented(tmp_path: Path, colour: Colour) -> None:
    clip = write(tmp_path / "grey", grey_frames(3), info=changed(INFO, colour=colour))
    assert probe(clip, limits=LIMITS).colour == colour


def test_full_range_is_carried(tmp_path: Path) -> None:
    colour = Colour(matrix="bt709", range="pc", primaries="bt709", transfer="bt709")
    clip = write(tmp_path / "grey", grey_frames(3), info=changed(INFO, colour=colour))
    assert probe(clip, limits=LIMITS).colour == colour


def test_an_rgb_source_gets_a_matrix_and_says_which(tmp_path: Path) -> None:
    clip = write(
        tmp_path / "bars",
        iter([colour_bars()] * 3),
        info=changed(INFO, colour=Colour(matrix="gbr", range="pc", primaries=None, transfer=None)),
    )
    info = probe(clip, limits=LIMITS)
    assert info.colour.matrix == "bt470bg"
    assert bar_colours(next(read_frames(clip, info))[1]) == pytest.approx(BAR_COLOURS, abs=3)


@pytest.mark.parametrize("depth", [8, 16])
def test_ffv1_loses_nothing(tmp_path: Path, depth: int) -> None:
    noise = np.random.default_rng(0).integers(0, 2**depth, (35, 63, 3)).astype(np.uint8 if depth == 8 else np.uint16)
    clip = write(tmp_path / "noise", iter([noise, noise]), codec="ffv1")
    np.testing.assert_array_equal(next(read_frames(clip, probe(clip, limits=LIMITS)))[1], noise)


def test_white_and_black_stay_white_and_black_in_ten_bits(tmp_path: Path) -> None:
    flat = [in_depth(np.full((48, 64, 3), level), 16) for level in (255, 255, 0, 0)]
    clip = write(tmp_path / "flat", iter(flat), codec="prores")
    frames = [frame for _, frame in read_frames(clip, probe(clip, limits=LIMITS))]
    assert [round(float(frame.mean()) / 257, 1) for frame in frames] == [255, 255, 0, 0]


@pytest.mark.parametrize(("codec", "size"), [("h264", (64, 36)), ("prores", (64, 36)), ("ffv1", (63, 35))])
def test_odd_sizes_repeat_their_edge_where_they_must_be_even(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    clip = write(tmp_path / "odd", moving_square(3, width=63, height=35), codec=codec)
    info = probe(clip, limits=LIMITS)
    frame = next(read_frames(clip, info))[1].astype(int)
    assert (info.width, info.height) == size
    assert abs(frame[:, -1] - frame[:, -2]).max() < (12 if info.depth == 8 else 12 * 257)


def test_the_shape_of_a_pixel_is_carried_exactly(tmp_path: Path) -> None:
    for shape in (Fraction(16, 15), Fraction(4320, 4739)):
        clip = write(tmp_path / "grey", grey_frames(3), info=changed(INFO, sample_aspect_ratio=shape))
        assert probe(clip, limits=LIMITS).sample_aspect_ratio == shape


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, codec: str) -> None:
    first, second = (write(tmp_path / name, moving_square(40), codec=codec).read_bytes() for name in ("a", "b"))
    assert first == second


def test_the_creation_time_is_copied_and_none_is_invented(tmp_path: Path) -> None:
    moment = "2020-01-02T03:04:05.000000Z"
    for codec, creation_time in product(("h264", "ffv1"), (None, moment)):
        clip = write(tmp_path / "grey", grey_frames(3), info=changed(INFO, creation_time=creation_time), codec=codec)
        assert probe(clip, limits=LIMITS).creation_time == creation_time


def test_a_lower_crf_makes_a_larger_file(tmp_path: Path) -> None:
    sizes = []
    for crf in (10, 40):
        target = tmp_path / f"{crf}.mp4"
        frames = moving_square(20)
        info = changed(INFO, width=96, height=64)
        encode(target, frames, info=info, frame_rate=FILM_RATE, codec="h264", crf=crf, threads=1)
        sizes.append(target.stat().st_size)
    assert sizes[0] > sizes[1]


def test_a_frame_of_another_shape_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    frames = [*grey_frames(3), *grey_frames(1, width=32)]
    with pytest.raises(ValueError, match="Output frame 3 is 32x48, 8 bit; it must be 64x48, 8 bit"):
        write(tmp_path / "grey", iter(frames))
    assert list(tmp_path.iterdir()) == []


def test_no_frames_make_no_video(tmp_path: Path) -> None:
    with pytest.raises(EncodeError):
        encode(tmp_path / "a.mp4", [], info=INFO, frame_rate=FILM_RATE, codec="h264", crf=None, threads=1)
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_says_is_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="No such file or directory"):
        write(tmp_path / "no" / "such" / "folder", grey_frames(3))


def test_an_ffmpeg_that_dies_midway_is_an_error_and_no_hang(tmp_path: Path) -> None:
    others = set(psutil.Process().children())

    def frames() -> Iterator[Frame]:
        for number, frame in enumerate(grey_frames(200, width=640, height=480)):
            if number == 3:
                for encoder in set(psutil.Process().children()) - others:
                    encoder.kill()
            yield frame

    with pytest.raises(EncoderKilledError, match="ended by SIGKILL"):
        write(tmp_path / "grey", frames())


def test_frames_that_fail_leave_no_file_and_no_process(tmp_path: Path) -> None:
    def frames() -> Iterator[Frame]:
        yield from grey_frames(5)
        raise LookupError("chunk 3 is gone")

    before = psutil.Process().children()
    with pytest.raises(LookupError, match="chunk 3 is gone"):
        write(tmp_path / "grey", frames())
    assert list(tmp_path.iterdir()) == []
    assert set(psutil.Process().children()) <= set(before), "those that other tests have left"


def test_frames_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    """Nothing piles up: the iterator is not far ahead of what ffmpeg has taken, whose memory is bounded."""
    peak = 0

    def frames() -> Iterator[Frame]:
        nonlocal peak
        for frame in grey_frames(60, width=1280, height=720):
            peak = max(peak, psutil.Process().memory_info().rss)
            yield frame

    before = psutil.Process().memory_info().rss
    write(tmp_path / "grey", frames())
    assert peak - before < 40_000_000  # 60 frames would be 166 MB


def test_a_stuck_ffmpeg_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = tmp_path / "ffmpeg"
    stuck.write_text("#!/bin/sh\necho I am stuck >&2\nexec sleep 3600\n")
    stuck.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(stuck))
    graph = ffmpeg.input("a").output("b")
    with pytest.raises(EncodeError, match=r"Testing: ffmpeg did not end within 3 seconds\. I am stuck"):
        run_graph(graph, purpose="Testing", timeout=3)
    assert not [child for child in psutil.Process().children() if "sleep" in child.name()]


def test_a_binary_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ffmpeg_binary()
    monkeypatch.setenv("FFMPEG_BINARY", found)
    assert ffmpeg_binary() == found
    monkeypatch.setenv("FFMPEG_BINARY", os.devnull)
    with pytest.raises(EncodeError, match="FFMPEG_BINARY"):
        ffmpeg_binary()


@pytest.mark.parametrize(
    ("codec", "size", "reason"),
    [
        ("h265", (64, 14), "Image size is too small"),
        ("h264", (16386, 16), "invalid width x height"),
        ("prores", (65540, 16), "too large for mov"),
    ],
)
def test_what_an_encoder_refuses_is_told_before_there_are_frames(
    codec: str, size: tuple[int, int], reason: str
) -> None:
    info = changed(INFO, width=size[0], height=size[1])
    with pytest.raises(
        EncodeError, match=rf"^{codec} does not hold {size[0]}x{size[1]} at 25 frames .*{reason}.* Choose"
    ):
        require_encoder(info=info, frame_rate=Fraction(25), codec=codec, crf=None, threads=1)


@pytest.mark.parametrize(("codec", "depth"), [*product(CODECS, (8, 16))])
def test_every_codec_holds_8192x4320(codec: str, depth: int) -> None:
    """FFV1 refuses it in the four slices that serve smaller pictures."""
    info = changed(INFO, width=8192, height=4320, depth=depth)
    require_encoder(info=info, frame_rate=Fraction(25), codec=codec, crf=None, threads=1)


@pytest.mark.parametrize(("codec", "size"), [*product(CODECS, [(1, 1), (2, 14), (16, 17)])])
def test_what_opens_also_encodes_and_nothing_else(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    width, height = size
    info = changed(INFO, width=width, height=height)

    def opened() -> None:
        require_encoder(info=info, frame_rate=FILM_RATE, codec=codec, crf=None, threads=2)

    def written() -> None:
        write(tmp_path / "tiny", grey_frames(2, width=width, height=height), codec=codec)

    assert is_refused(opened) == is_refused(written) == (codec == "h265" and height < 16)


def is_refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except EncodeError:
        return True
    return False
