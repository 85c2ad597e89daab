from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline.errors import EncodeError
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.sound import add_sound, tempos
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


def source_with(
    tmp_path: Path, sound: npt.NDArray[np.float32], *, suffix: str = ".mp4", sound_start: Fraction = Fraction(0)
) -> Path:
    """One second of pictures, with sound."""
    return write_clip(tmp_path / f"source{suffix}", grey_frames(24), rate=RATE, sound=sound, sound_start=sound_start)


def slowed(source: Path, slowdown: Fraction, *, codec: str = "h264", info: VideoInfo | None = None) -> Path:
    """The source's frames, repeated to play `slowdown` times longer, with the slowed sound."""
    info = info or probe(source, limits=LIMITS)
    video = source.with_name(f"silent{CODECS[codec].suffix}")
    count = round(24 * slowdown)
    encode(video, grey_frames(count), info=info, frame_rate=RATE, codec=codec, crf=None, threads=2)
    final = source.with_name(f"final{CODECS[codec].suffix}")
    add_sound(final, video, source=source, info=info, codec=codec, slowdown=slowdown, duration=count / RATE)
    return final


def loudest_hertz(sound: npt.NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(sound))


def onsets(sound: npt.NDArray[np.float32]) -> list[float]:
    """Seconds at which it becomes loud after at least 0.2 s of quiet."""
    loud = np.flatnonzero(np.abs(sound) > 0.15) / SAMPLE_RATE
    return [float(moment) for moment, before in zip(loud, [-1.0, *loud[:-1]], strict=True) if moment - before > 0.2]


@pytest.mark.parametrize("slowdown", [Fraction(1), Fraction(4), Fraction(5, 2)])
@pytest.mark.parametrize("codec", CODECS)
def test_the_pitch_is_kept_and_the_length_is_the_videos(tmp_path: Path, codec: str, slowdown: Fraction) -> None:
    sound = read_sound(slowed(source_with(tmp_path, tone(1.0)), slowdown, codec=codec))
    assert loudest_hertz(sound) == pytest.approx(440, abs=1.5)
    # AAC comes in packets of 1024 samples.
    assert len(sound) == pytest.approx(SAMPLE_RATE * slowdown, abs=1024)


@pytest.mark.parametrize(
    ("slowdown", "tolerance"), [(Fraction(1), 0.001), (Fraction(2), 0.03), (Fraction(4), 0.03), (Fraction(8), 0.05)]
)
def test_what_was_heard_at_a_time_is_heard_at_its_multiple(
    tmp_path: Path, slowdown: Fraction, tolerance: float
) -> None:
    moments = (0.25, 0.7)
    sound = read_sound(slowed(source_with(tmp_path, clicks(1.0, at=moments)), slowdown))
    assert onsets(sound) == pytest.approx([float(slowdown) * moment for moment in moments], abs=tolerance)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_that_begins_later_stays_later(tmp_path: Path, suffix: str) -> None:
    source = source_with(tmp_path, clicks(0.5, at=[0.1]), suffix=suffix, sound_start=Fraction(2, 5))
    assert onsets(read_sound(slowed(source, Fraction(4)))) == pytest.approx([2.0], abs=0.06)


def test_sound_before_the_first_frame_is_not_heard(tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "source.mkv",
        grey_frames(24),
        ticks=range(500, 1500, 42),
        time_base=Fraction(1, 1000),
        sound=clicks(1.5, at=[0.2, 1.0]),
    )
    assert onsets(read_sound(slowed(source, Fraction(4)))) == pytest.approx([2.0], abs=0.03)


def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path) -> None:
    source = source_with(tmp_path, clicks(1.0, at=[0.1, 0.8]), suffix=".mkv")
    gap = tmp_path / "gap.mkv"
    run_ffmpeg("-i", str(source), "-c:v", "copy", "-af", "aselect=not(between(t\\,0.3\\,0.6))", str(gap))
    assert onsets(read_sound(slowed(gap, Fraction(2)))) == pytest.approx([0.2, 1.6], abs=0.03)


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


def test_failing_sound_leaves_the_video(tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "source.mp4", grey_frames(24), rate=RATE)
    with pytest.raises(EncodeError, match=r"Making the sound of final\.mp4"):
        slowed(silent, Fraction(2))
    assert probe(tmp_path / "silent.mp4", limits=LIMITS).frame_count == 48
    assert not (tmp_path / "final.mp4").exists()


@pytest.mark.parametrize("slowdown", [Fraction(1), Fraction(3, 2), Fraction(4), Fraction(5), Fraction(1000, 7)])
def test_tempos_multiply_to_the_slowdown_in_steps_that_atempo_takes(slowdown: Fraction) -> None:
    steps = list(tempos(slowdown))
    assert prod(steps) == 1 / slowdown
    assert all(Fraction(1, 2) <= step < 1 for step in steps)
