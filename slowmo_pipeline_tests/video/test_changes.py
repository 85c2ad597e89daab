"""Streams whose pictures change on the way: broadcasts and recordings that were put one behind the other."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.info import Colour
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline_tests.support.media import (
    BAR_COLOURS,
    BT709,
    UNTAGGED,
    bar_colours,
    colour_bars,
    grey_frames,
    run_ffmpeg,
    write_clip,
)
from slowmo_pipeline_tests.support.stored import changed

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)

NTSC = Colour(matrix="smpte170m", range="tv", primaries="smpte170m", transfer="smpte170m")
PAL = Colour(matrix="bt470bg", range="tv", primaries="bt470bg", transfer="bt709")
HDR = Colour(matrix="bt2020nc", range="tv", primaries="bt2020", transfer="smpte2084")

_OPTIONS = {"libx264": {"bf": "0"}, "libx265": {"crf": "5", "x265-params": "log-level=error:bframes=0"}}


def one_behind_the_other(
    folder: Path, *parts: Colour, deep: tuple[bool, ...] = (), frames: int = 4, codec: str = "libx264"
) -> Path:
    """Bars of the same colours, written in each of the ways, in one stream of MPEG-TS."""
    path = folder / "joined.ts"
    with path.open("wb") as joined:
        for number, colour in enumerate(parts):
            part = folder / f"{number}.ts"
            is_deep = deep[number : number + 1] == (True,)
            write_clip(
                part,
                [colour_bars(depth=16 if is_deep else 8)] * frames,
                colour=colour,
                pixel_format="yuv444p10le" if is_deep else "yuv444p",
                ticks=[90_000 + 3_600 * (number * frames + frame) for frame in range(frames)],
                time_base=Fraction(1, 90_000),
                rate=Fraction(25),
                codec=codec,
                options=_OPTIONS[codec],
            )
            joined.write(part.read_bytes())
    return path


@pytest.mark.parametrize(
    ("first", "then"), [(NTSC, BT709), (BT709, changed(BT709, range="pc")), (changed(PAL, range="pc"), UNTAGGED)]
)
def test_each_frame_is_read_by_its_own_matrix_and_range(tmp_path: Path, first: Colour, then: Colour) -> None:
    # Of an H.264 stream whose tags end, libavcodec goes on telling the last ones.
    clip = one_behind_the_other(tmp_path, first, then, codec="libx265" if then == UNTAGGED else "libx264")
    info = probe(clip, limits=LIMITS)
    read = [bar_colours(frame) for _, frame in read_frames(clip, info)]
    assert len(read) == 8
    for colours in read:
        assert colours == pytest.approx(BAR_COLOURS, abs=2)
    assert any(note.startswith("Frame 4 has the ") for note in info.notes)
    assert info.colour.matrix == first.matrix


def test_seeking_reads_them_so_as_well(tmp_path: Path) -> None:
    clip = one_behind_the_other(tmp_path, NTSC, BT709)
    [(_, sought)] = frames_at(clip, probe(clip, limits=LIMITS), [6])
    assert bar_colours(sought) == pytest.approx(BAR_COLOURS, abs=2)


def test_one_matrix_by_two_names_is_no_change(tmp_path: Path) -> None:
    clip = one_behind_the_other(tmp_path, NTSC, changed(NTSC, matrix="bt470bg"))
    info = probe(clip, limits=LIMITS)
    assert (info.notes, info.reading) == ((), "")


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (BT709, HDR, "colour primaries from bt709 to bt2020 at frame 4"),
        (UNTAGGED, changed(BT709, transfer="arib-std-b67"), "colour transfer from untagged to arib-std-b67 at frame 4"),
        (HDR, changed(HDR, transfer="arib-std-b67"), "colour transfer from smpte2084 to arib-std-b67 at frame 4"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_frame(
    tmp_path: Path, first: Colour, then: Colour, told: str
) -> None:
    with pytest.raises(UnreadableVideoError, match=f"^joined.ts changes {told}: split it there.$"):
        probe(one_behind_the_other(tmp_path, first, then, codec="libx265"), limits=LIMITS)


def test_a_matrix_that_is_not_known_is_refused_with_its_frame(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideoError, match="the colour matrix ictcp of frame 4 is not known"):
        probe(one_behind_the_other(tmp_path, BT709, changed(BT709, matrix="ictcp")), limits=LIMITS)


@pytest.mark.parametrize("deep", [(False, True), (True, False)])
def test_frames_have_the_depth_of_the_deepest(tmp_path: Path, deep: tuple[bool, bool]) -> None:
    clip = one_behind_the_other(tmp_path, BT709, BT709, deep=deep)
    info = probe(clip, limits=LIMITS)
    frames = [frame for _, frame in read_frames(clip, info)]
    assert (info.depth, info.source_bits) == (16, 10)
    assert any("pixel format" in note for note in info.notes)
    for frame in frames:
        assert frame.dtype == np.uint16
        assert bar_colours(frame) == pytest.approx(BAR_COLOURS, abs=2)


def white(folder: Path, *parts: tuple[str, str]) -> Path:
    """Pictures of the luma 250 with those matrices and ranges, one behind the other."""
    joined = folder / "white.ts"
    with joined.open("wb") as file:
        for number, (matrix, colour_range) in enumerate(parts):
            tags = f"setparams=colorspace={matrix}:range={colour_range}"
            run_ffmpeg(
                *("-f", "lavfi", "-i", f"color=s=64x48:r=25:d=0.16,format=yuv444p,geq=lum=250:cb=128:cr=128,{tags}"),
                *("-c:v", "libx264", "-qp", "0", "-bf", "0", "-output_ts_offset", str(number)),
                str(folder / f"white{number}.ts"),
            )
            file.write((folder / f"white{number}.ts").read_bytes())
    return joined


def test_headroom_outlives_a_change_of_matrix(tmp_path: Path) -> None:
    clip = white(tmp_path, ("bt709", "tv"), ("smpte170m", "tv"))
    info = probe(clip, limits=LIMITS)
    assert (info.headroom, info.reading) == ("codes", "headroom codes, each its colours")
    assert {int(frame.max()) for _, frame in read_frames(clip, info)} == {250}


def test_where_the_range_changes_what_is_beyond_is_clipped_and_told(tmp_path: Path) -> None:
    clip = white(tmp_path, ("bt709", "tv"), ("bt709", "pc"))
    info = probe(clip, limits=LIMITS)
    assert info.headroom == "none"
    assert any("whiter than white is clipped" in note for note in info.notes)
    assert [int(frame.max()) for _, frame in read_frames(clip, info)] == [255] * 4 + [250] * 4


def with_rotation(clip: Path, path: Path) -> Path:
    """A copy whose stream itself asks for a quarter turn, as H.264 says it: at some pictures only."""
    asked = "h264_metadata=rotate=90:display_orientation=insert"
    run_ffmpeg("-i", str(clip), "-c", "copy", "-copyts", "-bsf:v", asked, str(path))
    return path


def test_a_rotation_that_is_said_at_some_pictures_holds_for_all(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "upright.mp4", grey_frames(8), rate=Fraction(25), options={"g": "3", "bf": "0"})
    turned = with_rotation(clip, tmp_path / "turned.mkv")
    info = probe(turned, limits=LIMITS)
    assert (info.width, info.height) == (48, 64)
    assert {frame.shape for _, frame in read_frames(turned, info)} == {(64, 48, 3)}


def test_a_rotation_that_begins_on_the_way_is_refused_with_its_frame(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 4)):
        ticks = [90_000 + 3_600 * (start + number) for number in range(4)]
        write_clip(
            tmp_path / f"{name}.ts",
            grey_frames(4),
            rate=Fraction(25),
            ticks=ticks,
            time_base=Fraction(1, 90_000),
            options={"bf": "0"},
        )
    turned = with_rotation(tmp_path / "b.ts", tmp_path / "turned.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + turned.read_bytes())
    with pytest.raises(UnreadableVideoError, match="rotation from 0 degrees to 270 degrees at frame 4"):
        probe(joined, limits=LIMITS)
