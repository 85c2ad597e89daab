"""Which sound streams are used, and what is told of it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.planning.warp import even_warp
from slowmo_pipeline.video.container import open_video
from slowmo_pipeline.video.reader import Limits, probe
from slowmo_pipeline.video.sample_warp import SampleWarp
from slowmo_pipeline.video.sound_pieces import slowed
from slowmo_pipeline.video.sound_streams import sound_notes
from slowmo_pipeline.video.sound_track import sound_track
from slowmo_pipeline_tests.support.media import run_ffmpeg

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=1000)
HERTZ = (300, 500, 700, 900, 1100, 1300, 1500, 1700)


def clip(tmp_path: Path, name: str, tracks: int, *arguments: str, filters: str = "anull") -> Path:
    """A second of pictures and tracks that sound at 300 Hz, 500 Hz, 700 Hz and so on."""
    inputs = [part for hertz in HERTZ[:tracks] for part in ("-f", "lavfi", "-i", f"sine={hertz}:r=48000:d=1,{filters}")]
    maps = [part for number in range(tracks + 1) for part in ("-map", str(number))]
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1")
    run_ffmpeg(*picture, *inputs, *maps, *arguments, str(tmp_path / name))
    return tmp_path / name


def heard(path: Path) -> list[set[int]]:
    """For each channel of the result the tones that are in it."""
    info = probe(path, limits=LIMITS)
    warp = even_warp(Fraction(1), Fraction(0), Fraction(1)).segments
    with sound_track(path, info, begin=Fraction(0), end=Fraction(1), folder=path.parent) as track:
        samples = SampleWarp(warp, rate=track.rate, duration=Fraction(1))
        sound = np.concatenate(list(slowed(track, samples, mode="stretch")), axis=1)
        middle = sound[:, : track.rate // 2 * 2]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.shape[1])))
    return [{hertz for hertz in HERTZ if channel[hertz] > 50} for channel in spectrum]


def notes(path: Path) -> list[str]:
    with open_video(path, max_pixels=10**6) as video:
        return list(sound_notes(video))


def test_one_stream_is_nothing_to_tell(tmp_path: Path) -> None:
    path = clip(tmp_path, "one.mp4", 1)
    assert heard(path) == [{300}]
    assert notes(path) == []


def test_the_default_stream_is_used(tmp_path: Path) -> None:
    path = clip(
        tmp_path, "default.mkv", 3, "-disposition:a", "0", "-disposition:a:1", "default",
        filters="aformat=channel_layouts=stereo",
    )  # fmt: skip
    assert heard(path) == [{500}, {500}]
    assert notes(path) == ["3 sound streams: number 2, the default one, is used."]


def test_without_a_default_stream_the_first_is_used(tmp_path: Path) -> None:
    path = clip(tmp_path, "none.mkv", 2, "-disposition:a", "0", filters="aformat=channel_layouts=stereo")
    assert heard(path) == [{300}, {300}]
    assert notes(path) == ["2 sound streams: the first is used."]


@pytest.mark.parametrize("name", ["two.mov", "two.mxf", "two.mkv"])
def test_two_streams_of_one_channel_are_left_and_right(tmp_path: Path, name: str) -> None:
    path = clip(tmp_path, name, 2, "-c:v", "mpeg2video", "-c:a", "pcm_s16le")
    assert heard(path) == [{300}, {500}]
    assert notes(path) == ["2 sound streams of one channel each: they are used as left and right."]


@pytest.mark.parametrize("count", [4, 8])
def test_more_streams_of_one_channel_are_mixed_in_turn(tmp_path: Path, count: int) -> None:
    path = clip(tmp_path, "many.mxf", count, "-c:v", "mpeg2video", "-c:a", "pcm_s24le")
    assert heard(path) == [set(HERTZ[0:count:2]), set(HERTZ[1:count:2])]
    assert notes(path) == [f"{count} sound streams of one channel each: in turn they are mixed into left and right."]


def test_streams_that_name_their_channel_go_there(tmp_path: Path) -> None:
    names = ("FC", "LFE", "FR", "FL", "BL", "BR")
    placed = [f"-filter:a:{number}=pan=1c|c0=c0,aformat=channel_layouts={name}" for number, name in enumerate(names)]
    arguments = [part for each in placed for part in each.split("=", 1)]
    path = clip(tmp_path, "six.mov", 6, *arguments, "-c:a", "pcm_s16le")
    assert heard(path) == [{900}, {700}, {300}, {500}, {1100}, {1300}]
    assert notes(path) == ["6 sound streams of one channel each: they are used as one of surround sound."]


def test_another_language_is_no_other_channel(tmp_path: Path) -> None:
    languages = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    path = clip(tmp_path, "languages.mp4", 2, *languages)
    assert heard(path) == [{300}]
    assert notes(path) == ["2 sound streams: the first is used."]


def test_a_commentary_is_no_other_channel(tmp_path: Path) -> None:
    path = clip(tmp_path, "comment.mkv", 2, "-disposition:a:1", "comment")
    assert heard(path) == [{300}]


@pytest.mark.parametrize(("count", "name"), [(12, "many.mov"), (4, "unplaced.mxf")])
def test_channels_without_a_place_are_mixed_in_turn(tmp_path: Path, count: int, name: str) -> None:
    mixed = "|".join(f"c{number}={'c0' if number in (0, 3) else '0*c0'}" for number in range(count))
    path = clip(tmp_path, name, 1, "-c:v", "mpeg2video", "-c:a", "pcm_s24le", filters=f"pan={count}c|{mixed}")
    assert heard(path) == [{300}, {300}]
    assert notes(path) == [f"The sound has {count} channels: it is mixed down to stereo."]


def test_sound_of_no_known_kind_is_told(tmp_path: Path) -> None:
    path = clip(tmp_path, "odd.mkv", 1, "-c:a", "pcm_s16le")
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XXXXXXXXXXX"))
    assert notes(path) == ["No decoder for its sound is known: the result is silent."]
