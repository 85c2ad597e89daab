from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline.errors import EncodeError
from slowmo_pipeline.planning.warp import Speed, Warp, even_warp, ramped_warp
from slowmo_pipeline.video.info import Stretch, VideoInfo
from slowmo_pipeline.video.part import Asked
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.sound import add_sound
from slowmo_pipeline.video.sound_track import sound_track
from slowmo_pipeline.video.writer import CODECS, encode
from slowmo_pipeline_tests.support.media import (
    SAMPLE_RATE,
    clicks,
    grey_frames,
    grey_numbers,
    read_sound,
    run_ffmpeg,
    tone,
    write_clip,
)
from slowmo_pipeline_tests.support.stored import changed

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=1000)
RATE = Fraction(24)
PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=1")


def source_with(
    tmp_path: Path, sound: npt.NDArray[np.float32], *, suffix: str = ".mp4", sound_start: Fraction = Fraction(0)
) -> Path:
    """One second of pictures, with sound."""
    return write_clip(tmp_path / f"source{suffix}", grey_frames(24), rate=RATE, sound=sound, sound_start=sound_start)


def slowed(
    source: Path,
    warp: Fraction | Warp,
    *,
    codec: str = "h264",
    info: VideoInfo | None = None,
    mode: Literal["stretch", "keep"] = "stretch",
    losses: Sequence[str] = (),
) -> Path:
    """The source's first frame for as long as the result lasts, with the slowed sound; one number slows a second."""
    info = info or probe(source, limits=LIMITS)
    if isinstance(warp, Fraction):
        warp = even_warp(1 / warp, Fraction(0), Fraction(1))
    video = source.with_name(f"silent{CODECS[codec].suffix}")
    count = round(24 * warp.duration)
    encode(video, grey_frames(count), info=info, frame_rate=RATE, codec=codec, crf=None, threads=2)
    final = source.with_name(f"final{CODECS[codec].suffix}")
    lost = add_sound(
        final, video, source=source, info=info, codec=codec, warp=warp.segments, duration=count / RATE, mode=mode
    )
    assert lost == list(losses)
    return final


def channels_of(path: Path) -> npt.NDArray[np.float32]:
    """All channels of a result, shape (channels, samples)."""
    count = int(run_ffmpeg("-i", str(path), "-map", "a:0", "-frames:a", "1", "-f", "wav", "-")[22])
    samples = run_ffmpeg("-i", str(path), "-map", "a:0", "-f", "f32le", "-")
    return np.asarray(np.frombuffer(samples, np.float32).reshape(-1, count).T, np.float32)


def loudest_hertz(sound: npt.NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(sound))


def onsets(sound: npt.NDArray[np.float32], *, quiet: float = 0.15) -> list[float]:
    """Seconds at which it becomes loud after some quiet."""
    loud = np.flatnonzero(np.abs(sound) > 0.2) / SAMPLE_RATE
    return [float(moment) for moment in loud[np.diff(loud, prepend=-np.inf) > quiet]]


@pytest.mark.parametrize("slowdown", [Fraction(1), Fraction(4), Fraction(5, 2)])
@pytest.mark.parametrize("codec", CODECS)
def test_the_pitch_is_kept_and_the_length_is_the_videos(tmp_path: Path, codec: str, slowdown: Fraction) -> None:
    sound = read_sound(slowed(source_with(tmp_path, tone(1.0)), slowdown, codec=codec))
    assert loudest_hertz(sound) == pytest.approx(440, abs=1.5)
    # AAC comes in packets of 1024 samples.
    assert len(sound) == pytest.approx(SAMPLE_RATE * slowdown, abs=1024)


@pytest.mark.parametrize("slowdown", [Fraction(1), Fraction(2), Fraction(4), Fraction(8), Fraction(100, 3)])
def test_what_was_heard_at_a_time_is_heard_at_its_multiple(tmp_path: Path, slowdown: Fraction) -> None:
    moments = (0.25, 0.7)
    sound = read_sound(slowed(source_with(tmp_path, clicks(1.0, at=moments)), slowdown))
    # AAC spreads what begins over some milliseconds before it.
    assert onsets(sound) == pytest.approx([float(slowdown) * moment for moment in moments], abs=0.006)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_that_begins_later_stays_later(tmp_path: Path, suffix: str) -> None:
    source = source_with(tmp_path, clicks(0.5, at=[0.1]), suffix=suffix, sound_start=Fraction(2, 5))
    assert onsets(read_sound(slowed(source, Fraction(4)))) == pytest.approx([2.0], abs=0.006)


def test_sound_before_the_first_frame_is_not_heard(tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "source.mkv",
        grey_frames(24),
        ticks=range(500, 1500, 42),
        time_base=Fraction(1, 1000),
        sound=clicks(1.5, at=[0.2, 1.0]),
    )
    assert onsets(read_sound(slowed(source, Fraction(4)))) == pytest.approx([2.0], abs=0.006)


def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path) -> None:
    source = source_with(tmp_path, clicks(1.0, at=[0.1, 0.8]), suffix=".mkv")
    gap = tmp_path / "gap.mkv"
    run_ffmpeg("-i", str(source), "-c:v", "copy", "-af", "aselect=not(between(t\\,0.3\\,0.6))", str(gap))
    assert onsets(read_sound(slowed(gap, Fraction(2)))) == pytest.approx([0.2, 1.6], abs=0.006)


@pytest.mark.parametrize("ease", [Fraction(0), Fraction(1, 8)])
def test_sound_follows_a_ramp_of_a_part(tmp_path: Path, ease: Fraction) -> None:
    speeds = [(Fraction(1, 4), Fraction(1, 2), Fraction(1)), (Fraction(1, 2), Fraction(1), Fraction(1, 5))]
    warp = ramped_warp([Speed(*speed) for speed in speeds], ease=ease)
    sound = read_sound(slowed(source_with(tmp_path, clicks(1, at=[0.1, 0.3, 0.7, 0.9])), warp))
    late = float(warp.duration) - 5
    assert onsets(sound)[-3:] == pytest.approx([0.05, late + 3.5, late + 4.5], abs=0.006)


@pytest.mark.parametrize(("mode", "is_silent"), [("stretch", False), ("keep", True)])
def test_the_file_holds_the_sources_samples_where_the_speed_is_1(
    tmp_path: Path, mode: Literal["stretch", "keep"], is_silent: bool
) -> None:
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32)
    source = source_with(tmp_path, noise, suffix=".mkv")
    speeds = [(Fraction(0), Fraction(1, 2), Fraction(1)), (Fraction(1, 2), Fraction(1), Fraction(1, 4))]
    sound = read_sound(
        slowed(source, ramped_warp([Speed(*speed) for speed in speeds], ease=Fraction(0)), codec="prores", mode=mode)
    )
    assert np.array_equal(sound[: SAMPLE_RATE // 2], read_sound(source)[: SAMPLE_RATE // 2])
    assert (np.abs(sound[SAMPLE_RATE:]).max() == 0) == is_silent


@pytest.mark.parametrize("rate", [11025, 44100, 96000])
@pytest.mark.parametrize("kind", ["pcm_u8", "pcm_s24le", "pcm_f64le"])
def test_samples_of_all_kinds_are_heard_when_they_should(tmp_path: Path, rate: int, kind: str) -> None:
    plain, source = source_with(tmp_path, clicks(1.0, at=[0.1, 0.6]), suffix=".avi"), tmp_path / "kind.mkv"
    run_ffmpeg("-i", str(plain), "-c:v", "copy", "-c:a", kind, "-ar", str(rate), str(source))
    sound = read_sound(slowed(source, Fraction(3), codec="ffv1"))
    assert onsets(sound) == pytest.approx([0.3, 1.8], abs=0.003)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kind", ["libmp3lame", "mp2", "aac", "ac3", "pcm_s16le"])
def test_what_encoders_put_before_sound_does_not_delay_it_in_avi(tmp_path: Path, kind: str) -> None:
    plain, source = source_with(tmp_path, clicks(1.0, at=[0.3]), suffix=".avi"), tmp_path / "kind.avi"
    run_ffmpeg("-i", str(plain), "-c:v", "copy", "-c:a", kind, "-b:a", "192k", str(source))
    assert onsets(read_sound(slowed(source, Fraction(8), codec="ffv1"))) == pytest.approx([2.4], abs=0.02)


def joined_recordings(tmp_path: Path, *later: float) -> tuple[Path, VideoInfo]:
    """Recordings of a second each that start their clocks anew, with a click at 0.3 s of the first."""
    parts = []
    for number, moment in enumerate((0.3, *later)):
        part = source_with(tmp_path, clicks(1.0, at=[moment]), suffix=".ts")
        parts.append(part.rename(tmp_path / f"{number}.ts"))
    info = probe(parts[0], limits=LIMITS)
    source = tmp_path / "source.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    second = round(1 / info.time_base)
    ticks = tuple(tick + number * second for number in range(len(parts)) for tick in info.ticks)
    clock = tuple(Stretch(frame=24 * number, container_tick=info.ticks[0]) for number in range(len(parts)))
    return source, changed(info, ticks=ticks, clock=clock)


def test_the_sound_of_joined_recordings_stays_with_each(tmp_path: Path) -> None:
    source, info = joined_recordings(tmp_path, 0.5, 0.1)
    sound = read_sound(slowed(source, even_warp(Fraction(1, 2), Fraction(0), Fraction(3)), info=info))
    assert onsets(sound) == pytest.approx([0.6, 3.0, 4.2], abs=0.02)


def test_sound_before_a_part_of_joined_recordings_is_not_taken_for_its_own(tmp_path: Path) -> None:
    source, _ = joined_recordings(tmp_path, 0.6)
    info = probe_apart(source, limits=LIMITS, part=Asked(begin=Fraction(5, 4)))
    sound = read_sound(slowed(source, even_warp(Fraction(1, 4), Fraction(0), Fraction(1, 2)), info=info))
    assert onsets(sound) == pytest.approx([1.4], abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_the_sound_of_a_part_far_back_is_sought(tmp_path: Path, suffix: str) -> None:
    """The picture of 25 s is known to begin at a key frame; what lies long before it need not be read."""
    noise = np.random.default_rng(4).uniform(-0.1, 0.1, 30 * SAMPLE_RATE).astype(np.float32)
    sound = noise + clicks(30, at=[25.4, 26.2])
    source = write_clip(tmp_path / f"source{suffix}", grey_frames(30 * 24), rate=RATE, sound=sound, options={"g": "24"})
    info = probe_apart(source, limits=LIMITS, part=Asked(begin=Fraction(25), end=Fraction(27)))
    assert info.part is not None
    assert info.part.start
    with sound_track(source, info, begin=Fraction(0), end=Fraction(2), folder=tmp_path) as track:
        found = track.read(0, 2 * SAMPLE_RATE)[0]
    assert onsets(found) == pytest.approx([0.4, 1.2], abs=0.006)
    assert np.corrcoef(found[:9600], noise[25 * SAMPLE_RATE :][:9600])[0, 1] > 0.6, "AAC keeps no noise as it is"


def test_sound_whose_channels_change_goes_on(tmp_path: Path) -> None:
    parts = []
    for number, count in enumerate((2, 1)):
        part = tmp_path / f"{number}.ts"
        noise = f"sine=440:r=48000:d=1,aformat=channel_layouts={count}c"
        run_ffmpeg(
            *PICTURES, "-f", "lavfi", "-i", noise, "-c:v", "libx264", "-c:a", "mp2", "-output_ts_offset", str(number),
            str(part),
        )  # fmt: skip
        parts.append(part.read_bytes())
    (tmp_path / "source.ts").write_bytes(b"".join(parts))
    info = probe(tmp_path / "source.ts", limits=LIMITS)
    sound = read_sound(slowed(tmp_path / "source.ts", even_warp(Fraction(1, 2), Fraction(0), Fraction(2)), info=info))
    assert np.abs(sound[:SAMPLE_RATE]).max() > 0.05
    assert np.abs(sound[3 * SAMPLE_RATE :]).max() > 0.05


def test_damaged_sound_does_not_take_the_rest_with_it(tmp_path: Path) -> None:
    source = source_with(tmp_path, clicks(1.0, at=[0.1, 0.9]), suffix=".mp4")
    flac = tmp_path / "source.mkv"
    run_ffmpeg("-i", str(source), "-c:v", "copy", "-c:a", "flac", "-frame_size", "960", str(flac))
    data = bytearray(flac.read_bytes())
    # Of the frames of FLAC those in the middle: their sync codes are gone.
    places = [place for place in range(len(data) - 1) if data[place : place + 2] == b"\xff\xf8"]
    for place in places[len(places) // 3 : len(places) // 2]:
        data[place : place + 6] = bytes(6)
    flac.write_bytes(data)
    info = probe(flac, limits=LIMITS)
    final = slowed(
        flac, Fraction(2), info=info, losses=[f"Damaged packets of sound: {lost_count(places)} are left silent."]
    )
    assert onsets(read_sound(final)) == pytest.approx([0.2, 1.8], abs=0.006)


def lost_count(places: Sequence[int]) -> int:
    return len(places) // 2 - len(places) // 3


@pytest.mark.parametrize("codec", ["h264", "prores", "ffv1"])
@pytest.mark.parametrize(("layout", "channels"), [("5.1(side)", 6), ("7.1", 8), ("3.1", 2), ("hexagonal", 2)])
def test_surround_sound_stays_if_players_know_it(tmp_path: Path, codec: str, layout: str, channels: int) -> None:
    """The front left alone sounds: it stays where it is."""
    source = tmp_path / "source.mkv"
    run_ffmpeg(*PICTURES, "-f", "lavfi", "-i", f"sine=d=1:r=48000,pan={layout}|FL=c0", "-c:a", "flac", str(source))
    found = channels_of(slowed(source, Fraction(2), codec=codec))
    loud = np.abs(found[:, 10_000:90_000]).max(axis=1)
    assert len(found) == channels
    assert loud[0] > 0.03
    assert loud[1:].max() < 0.002


@pytest.mark.parametrize("codec", CODECS)
def test_the_pictures_are_copied_as_they_are(tmp_path: Path, codec: str) -> None:
    final = slowed(source_with(tmp_path, tone(1.0)), Fraction(2), codec=codec)
    info = probe(final, limits=LIMITS)
    assert info.has_sound
    assert [(tick - info.ticks[0]) * info.time_base for tick in info.ticks] == pytest.approx(
        [n / RATE for n in range(48)], abs=5e-4
    )
    assert grey_numbers(frame for _, frame in read_frames(final, info)) == [n % 12 for n in range(48)]


def test_short_sound_is_followed_by_silence(tmp_path: Path) -> None:
    sound = read_sound(slowed(source_with(tmp_path, tone(0.5)), Fraction(4)))
    assert len(sound) == pytest.approx(4 * SAMPLE_RATE, abs=1024)
    assert np.abs(sound[3 * SAMPLE_RATE :]).max() < 0.01


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_sound_gives_the_same_bytes(tmp_path: Path, codec: str) -> None:
    source = source_with(tmp_path, tone(1.0))
    assert (
        slowed(source, Fraction(3), codec=codec).read_bytes() == slowed(source, Fraction(3), codec=codec).read_bytes()
    )


def test_the_creation_time_is_kept(tmp_path: Path) -> None:
    source = source_with(tmp_path, tone(1.0))
    info = changed(probe(source, limits=LIMITS), creation_time="2020-01-02T03:04:05.000000Z")
    assert probe(slowed(source, Fraction(2), info=info), limits=LIMITS).creation_time == info.creation_time


def test_failing_sound_leaves_the_video_and_nothing_else(tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "source.mp4", grey_frames(24), rate=RATE)
    with pytest.raises(EncodeError, match=r"Making the sound of final\.mp4: no decoder"):
        slowed(silent, Fraction(2))
    assert probe(tmp_path / "silent.mp4", limits=LIMITS).frame_count == 48
    assert {path.name for path in tmp_path.iterdir()} == {"source.mp4", "silent.mp4"}


def test_what_ffmpeg_says_of_sound_becomes_one_sentence(tmp_path: Path) -> None:
    source = source_with(tmp_path, tone(1.0))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(source.read_bytes()[:2000])
    warp = even_warp(Fraction(1), Fraction(0), Fraction(1))
    with pytest.raises(EncodeError, match=r"moov atom not found") as told:
        add_sound(
            tmp_path / "final.mp4",
            broken,
            source=source,
            info=probe(source, limits=LIMITS),
            codec="h264",
            warp=warp.segments,
            duration=Fraction(1),
            mode="stretch",
        )
    assert "\n" not in str(told.value)
    assert "0x" not in str(told.value)
