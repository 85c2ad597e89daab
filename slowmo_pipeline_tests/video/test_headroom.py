"""Codes beyond black and white, and colours that RGB has no place for, on their way through the pipeline."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline.video.info import Colour, VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.writer import CODECS, encode
from slowmo_pipeline_tests.support.media import (
    BT709,
    FILM_RATE,
    UNTAGGED,
    colour_bars,
    plane_samples,
    write_clip,
    write_planes,
)
from slowmo_pipeline_tests.support.stored import changed

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)
PATCH = 32

Planes = list[npt.NDArray[np.integer]]


def patches(codes: npt.NDArray[np.integer]) -> Planes:
    """A plane for each of luma and differences, of one patch for each row of codes, six patches abreast."""
    rows = codes.reshape(-1, 6, 3)
    return [np.kron(rows[..., plane], np.ones((PATCH, PATCH), int)) for plane in range(3)]


def middles(planes: Planes) -> npt.NDArray[np.integer]:
    """The codes in the middle of each patch."""
    columns = [plane[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].ravel() for plane in planes]
    return np.stack(columns, axis=-1)


def clip_of(path: Path, codes: npt.NDArray[np.integer], *, pixel_format: str = "yuv444p", colour: Colour) -> Path:
    planes = patches(codes)
    height, width = planes[0].shape
    return write_planes(path, planes, pixel_format=pixel_format, colour=colour, size=(width, height))


def greys(codes: range, middle: int = 128) -> npt.NDArray[np.integer]:
    return np.stack([codes, np.full(len(codes), middle), np.full(len(codes), middle)], axis=-1)


def anything(bits: int) -> npt.NDArray[np.integer]:
    """Colours all over what codes of so many bits can name."""
    return np.random.default_rng(bits).integers(1, 2**bits - 1, (36, 3))


def made_of(clip: Path, codec: str) -> tuple[VideoInfo, Path]:
    info = probe(clip, limits=LIMITS)
    made = clip.with_name(f"made{CODECS[codec].suffix}")
    frames = (frame for _, frame in read_frames(clip, info))
    encode(made, frames, info=info, frame_rate=FILM_RATE, codec=codec, crf=CRF.get(codec), threads=1)
    return info, made


CRF: Mapping[str, int] = {"h264": 1, "h265": 1}


def codes_of(path: Path, *, bits: int) -> npt.NDArray[np.float64]:
    """The codes of the patches, as those of so many bits; of halved chroma as well."""
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    stored = max(component.bits for component in picture.format.components)
    planes = [plane_samples(plane) for plane in picture.planes]
    full = planes[0].shape
    spread = [np.kron(p, np.ones((full[0] // p.shape[0], full[1] // p.shape[1]), int)) for p in planes]
    codes: npt.NDArray[np.float64] = middles(spread) * 2.0 ** (bits - stored)
    return codes


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("colour", [BT709, UNTAGGED])
def test_whiter_than_white_and_blacker_than_black_arrive(tmp_path: Path, codec: str, colour: Colour) -> None:
    codes = greys(range(2, 254, 7))
    info, made = made_of(clip_of(tmp_path / "greys.mkv", codes, colour=colour), codec)
    assert (info.headroom, info.depth) == ("codes", 8)
    assert codes_of(made, bits=8) == pytest.approx(codes, abs=1)
    assert probe(made, limits=LIMITS).colour.range != "pc"


@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv444p10le", 10), ("yuv420p10le", 10), ("yuv422p12le", 12)])
@pytest.mark.parametrize("codec", ["h265", "ffv1"])
def test_they_arrive_from_deeper_sources(tmp_path: Path, pixel_format: str, bits: int, codec: str) -> None:
    codes = greys(range(4, 2**bits, 2**bits // 36 + 1), middle=2 ** (bits - 1))[:30]
    planes = patches(codes)
    halves = {"yuv420p10le": (2, 2), "yuv422p12le": (1, 2)}.get(pixel_format, (1, 1))
    clip = write_planes(
        tmp_path / "greys.mkv",
        [planes[0], *(plane[:: halves[0], :: halves[1]] for plane in planes[1:])],
        pixel_format=pixel_format,
        colour=BT709,
        size=(planes[0].shape[1], planes[0].shape[0]),
    )
    info, made = made_of(clip, codec)
    assert (info.headroom, info.depth) == ("codes", 16)
    # Of 12 bits, 10 are stored; 10 bits of an encoder with losses are right up to one.
    assert codes_of(made, bits=10) == pytest.approx(codes / 2 ** (bits - 10), abs=1)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv444p", 8), ("yuv444p10le", 10)])
@pytest.mark.parametrize("codec", ["ffv1", "prores"])
def test_colours_that_rgb_cannot_hold_arrive(
    tmp_path: Path, matrix: str, pixel_format: str, bits: int, codec: str
) -> None:
    codes, colour = anything(bits), changed(BT709, matrix=matrix)
    info, made = made_of(clip_of(tmp_path / "colours.mkv", codes, pixel_format=pixel_format, colour=colour), codec)
    assert (info.headroom, info.depth) == ("colours", 16)
    assert any("16 bits" in note for note in info.notes)
    assert codes_of(made, bits=bits) == pytest.approx(codes, abs=1)


def test_an_overshoot_at_an_edge_is_not_worth_it(tmp_path: Path) -> None:
    luma = np.full((64, 96), 235)
    luma[:, 48:] = 16
    luma[:, 44:46], luma[:, 46:48], luma[:, 48:50], luma[:, 50:52] = 228, 245, 6, 23
    clip = write_planes(tmp_path / "edge.mkv", [luma, 128, 128], pixel_format="yuv444p", colour=BT709, size=(96, 64))
    assert probe(clip, limits=LIMITS).headroom == "none"


@pytest.mark.parametrize(("range_", "depth"), [*product(("tv", "pc"), (8, 16))])
def test_plain_footage_needs_none(tmp_path: Path, range_: str, depth: int) -> None:
    pixel_format = "yuv420p" if depth == 8 else "yuv420p10le"
    colour = changed(BT709, range=range_)
    bars = [colour_bars(depth=depth)] * 2
    clip = write_clip(tmp_path / "bars.mkv", bars, colour=colour, pixel_format=pixel_format, options={"crf": "30"})
    assert probe(clip, limits=LIMITS).headroom == "none"


def test_white_of_full_range_is_not_beyond_white(tmp_path: Path) -> None:
    colour = changed(BT709, range="pc")
    clip = clip_of(tmp_path / "greys.mkv", greys(range(2, 254, 7)), colour=colour)
    assert probe(clip, limits=LIMITS).headroom == "none"
