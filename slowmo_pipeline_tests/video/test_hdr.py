"""HDR10's metadata from the source to the result, and what is told of the rest."""

from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.info import Colour, LightLevel, MasteringDisplay, VideoInfo
from slowmo_pipeline.video.labelling import Times, left_out
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.writer import CODECS, encode
from slowmo_pipeline_tests.support.atoms import atom, with_described
from slowmo_pipeline_tests.support.media import grey_frames, run_ffmpeg, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)

PQ = Colour(matrix="bt2020nc", range="tv", primaries="bt2020", transfer="smpte2084")

DISPLAY = MasteringDisplay(
    red=(35_400, 14_600),
    green=(8_500, 39_850),
    blue=(6_550, 2_300),
    white=(15_635, 16_450),
    darkest=1,
    brightest=40_000_000,
)
TIMES = Times(at=lambda seconds: seconds, duration=Fraction(1), frame_rate=Fraction(25), source_rate=Fraction(25))
LIGHT = LightLevel(pixel=1234, frame=321)
TOLD = "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,1):max-cll=1234,321"


def hdr10(path: Path, told: str = TOLD, *, transfer: str = "smpte2084") -> Path:
    colour = Colour(matrix="bt2020nc", range="tv", primaries="bt2020", transfer=transfer)
    return write_clip(
        path,
        grey_frames(4, depth=16),
        codec="libx265",
        pixel_format="yuv420p10le",
        colour=colour,
        rate=Fraction(25),
        options={"x265-params": f"log-level=error:{told}".rstrip(":")},
    )


def made_of(clip: Path, codec: str) -> tuple[VideoInfo, Path]:
    info = probe(clip, limits=LIMITS)
    made = clip.with_name(f"made{CODECS[codec].suffix}")
    frames = (frame for _, frame in read_frames(clip, info))
    encode(made, frames, info=info, frame_rate=Fraction(25), codec=codec, crf=None, threads=1)
    return info, made


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_mastering_display_and_light_level_are_carried(tmp_path: Path, codec: str, suffix: str) -> None:
    info, made = made_of(hdr10(tmp_path / f"clip{suffix}"), codec)
    found = probe(made, limits=LIMITS)
    assert (found.mastering_display, found.light_level) == (info.mastering_display, info.light_level)
    assert (found.mastering_display, found.light_level) == (DISPLAY, LIGHT)
    assert found.colour == PQ
    assert (info.notes, [*left_out(info, codec, TIMES)]) == ((), [])


def test_those_that_only_the_container_tells_are_carried(tmp_path: Path) -> None:
    """FFV1 has no place for them: Matroska's elements tell them, as floating-point numbers."""
    clip = tmp_path / "clip.mkv"
    run_ffmpeg("-i", str(hdr10(tmp_path / "a.mp4")), "-c:v", "ffv1", str(clip))
    info, made = made_of(clip, "h265")
    assert info.codec == "ffv1"
    assert probe(made, limits=LIMITS).mastering_display == DISPLAY


@pytest.mark.parametrize("codec", ["prores", "ffv1"])
def test_where_no_encoder_takes_them_that_is_told(tmp_path: Path, codec: str) -> None:
    info, made = made_of(hdr10(tmp_path / "clip.mp4"), codec)
    assert probe(made, limits=LIMITS).mastering_display is None
    [told] = left_out(info, codec, TIMES)
    assert told.startswith("Mastering display and light level are left out")


def test_a_light_level_alone_is_carried_alone(tmp_path: Path) -> None:
    _, made = made_of(hdr10(tmp_path / "clip.mp4", "max-cll=600,0"), "h265")
    found = probe(made, limits=LIMITS)
    assert (found.mastering_display, found.light_level) == (None, LightLevel(pixel=600, frame=0))


def test_hlg_stays_hlg_and_nothing_is_invented(tmp_path: Path) -> None:
    _, made = made_of(hdr10(tmp_path / "clip.mp4", "", transfer="arib-std-b67"), "h265")
    found = probe(made, limits=LIMITS)
    assert (found.colour.transfer, found.mastering_display, found.light_level) == ("arib-std-b67", None, None)


def test_a_mastering_display_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    nonsense = "master-display=G(8500,39850)B(6550,2300)R(65000,14600)WP(15635,16450)L(1,40000000)"
    info, _ = made_of(hdr10(tmp_path / "clip.mp4", nonsense), "h265")
    assert info.mastering_display is None
    assert [note for note in info.notes if "mastering display makes no sense" in note]


def hdr10_plus(bits: str = "") -> bytes:
    """A message of H.265 with HDR10+ metadata of one window (SMPTE ST 2094-40, application 4, version 1)."""
    bits += "01" + f"{1000:027b}" + "0" + f"{500:017b}" * 3 + f"{250:017b}" + "0" * 4 + "0" * 10 + "0" + "0" + "0"
    bits += "0" * (-len(bits) % 8)
    payload = bytes.fromhex("b5003c00010401") + int(bits, 2).to_bytes(len(bits) // 8, "big")
    message = bytes([4, len(payload)]) + payload + b"\x80"
    escaped = message.replace(b"\0\0\0", b"\0\0\3\0").replace(b"\0\0\1", b"\0\0\3\1")
    return b"\0\0\0\1\x4e\1" + escaped


def test_hdr10_plus_is_told_as_left_out(tmp_path: Path) -> None:
    run_ffmpeg("-i", str(hdr10(tmp_path / "clip.mp4")), "-c", "copy", str(tmp_path / "clip.hevc"))
    stream = (tmp_path / "clip.hevc").read_bytes()
    # In front of the first picture, a random access point: units of type 19 or 20.
    picture = min(place for kind in (b"\x26\1", b"\x28\1") if (place := stream.find(b"\0\0\1" + kind)) > 0)
    (tmp_path / "plus.hevc").write_bytes(stream[:picture] + hdr10_plus() + stream[picture:])
    info = probe(tmp_path / "plus.hevc", limits=LIMITS)
    assert any(note.endswith("is left out: HDR10+.") for note in info.notes)
    assert info.mastering_display == DISPLAY


def dolby_vision(clip: Path, *, profile: int, compatibility: int) -> Path:
    """Say so in the description of the track, as MP4 does; no metadata is in the stream."""
    level, base_layer, metadata = 6, 1, 4
    record = bytes([1, 0, profile << 1 | level >> 5, (level << 3 & 255) | metadata | base_layer, compatibility << 4])
    added = atom(b"dvcC" if profile < 8 else b"dvvC", record.ljust(24, b"\0"))
    clip.write_bytes(with_described(clip.read_bytes(), b"hev1", added))
    return clip


def test_dolby_vision_over_hdr10_is_told_as_left_out(tmp_path: Path) -> None:
    info = probe(dolby_vision(hdr10(tmp_path / "clip.mp4"), profile=8, compatibility=1), limits=LIMITS)
    assert any(note.endswith("is left out: Dolby Vision.") for note in info.notes)
    assert info.mastering_display == DISPLAY


def test_dolby_vision_without_anything_else_to_show_is_refused(tmp_path: Path) -> None:
    clip = dolby_vision(hdr10(tmp_path / "clip.mp4"), profile=5, compatibility=0)
    with pytest.raises(UnreadableVideoError, match="Dolby Vision only"):
        probe(clip, limits=LIMITS)
