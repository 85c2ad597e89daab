"""Sound as numbers: where each moment is heard, and what becomes of it."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from slowmo_pipeline.planning.warp import Speed, Warp, even_warp, ramped_warp
from slowmo_pipeline.video.onsets import onsets
from slowmo_pipeline.video.sample_warp import SampleWarp
from slowmo_pipeline.video.samples import Samples
from slowmo_pipeline.video.sound_pieces import FADE, slowed
from slowmo_pipeline_tests.support.media import SAMPLE_RATE, clicks, tone

QUARTER_FRAME = 1 / 60 / 4
SLOWDOWNS = [Fraction(1), Fraction(2), Fraction(5, 2), Fraction(4), Fraction(8), Fraction(1000, 7), Fraction(1000)]


class Sound:
    """Sound in memory; remembers the most that was asked for at once."""

    def __init__(self, *channels: npt.NDArray[np.floating]) -> None:
        self._sound = np.array(channels, np.float32)
        self.channels = len(channels)
        self.most = 0

    def read(self, begin: int, end: int) -> Samples:
        self.most = max(self.most, end - begin)
        sound = np.zeros((self.channels, end - begin), np.float32)
        there = self._sound[:, max(begin, 0) : max(end, 0)]
        sound[:, max(0, -begin) : max(0, -begin) + there.shape[1]] = there
        return sound


def slowed_sound(
    sound: Sound, warp: Warp, mode: Literal["stretch", "keep"] = "stretch", *, duration: Fraction | None = None
) -> Samples:
    samples = SampleWarp(warp.segments, rate=SAMPLE_RATE, duration=duration or warp.duration)
    return np.concatenate(list(slowed(sound, samples, mode=mode)), axis=1)


def even(slowdown: Fraction, seconds: Fraction = Fraction(1)) -> Warp:
    return even_warp(1 / slowdown, Fraction(0), seconds)


def ramp(ease: Fraction, *, slow: Fraction = Fraction(1, 8)) -> Warp:
    """Seconds 1 to 2 of three are slow."""
    parts = [(0, 1, Fraction(1)), (1, 2, slow), (2, 3, Fraction(1))]
    return ramped_warp([Speed(Fraction(begin), Fraction(end), speed) for begin, end, speed in parts], ease=ease)


def heard(sound: npt.NDArray[np.float32], *, quiet: float = 0.05) -> list[float]:
    """Seconds at which it becomes loud after some quiet."""
    loud = np.flatnonzero(np.abs(sound) > 0.1) / SAMPLE_RATE
    return [float(moment) for moment in loud[np.diff(loud, prepend=-np.inf) > quiet]]


def shown(warp: Warp, moments: Sequence[float]) -> list[float]:
    """The seconds of the result that show moments of the source, found by halving."""
    found = []
    for moment in moments:
        low, high = Fraction(0), warp.duration
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if warp.source_time(middle) < moment else (low, middle)
        found.append(float(low))
    return found


@pytest.mark.parametrize("slowdown", SLOWDOWNS)
def test_each_click_is_heard_once_and_when_its_moment_is_shown(slowdown: Fraction) -> None:
    moments = [0.013, 0.1]
    sound = slowed_sound(Sound(clicks(0.13, at=moments)), even(slowdown, Fraction(13, 100)))[0]
    # Samples of the source lie this far apart in the result.
    tolerance = 0.001 + float(slowdown) * 2 / SAMPLE_RATE
    assert heard(sound, quiet=0.025 * float(slowdown)) == pytest.approx(
        [float(slowdown) * moment for moment in moments], abs=tolerance
    )


@pytest.mark.parametrize("ease", [Fraction(0), Fraction(1, 3), Fraction(4, 5)])
@pytest.mark.parametrize("offset", [0.0, 0.053])
@pytest.mark.parametrize("slow", [Fraction(1, 8), Fraction(7, 100), Fraction(2, 5)])
def test_clicks_through_a_ramp_stay_with_the_pictures(ease: Fraction, offset: float, slow: Fraction) -> None:
    moments = [offset + number / 10 for number in range(30)]
    warp = ramp(ease, slow=slow)
    sound = slowed_sound(Sound(clicks(3, at=moments)), warp)[0]
    assert heard(sound) == pytest.approx(shown(warp, moments), abs=QUARTER_FRAME)


def test_a_click_over_other_sound_is_not_smeared() -> None:
    chord = sum((tone(1, hertz=hertz) for hertz in (220, 277, 330)), np.zeros(SAMPLE_RATE, np.float32)) / 15
    sound = slowed_sound(Sound(chord + clicks(1, at=[0.5])), even(Fraction(8)))[0]
    before = sound[round(3.7 * SAMPLE_RATE) : round(3.99 * SAMPLE_RATE)]
    assert np.abs(before).max() < 0.15
    assert np.abs(sound[4 * SAMPLE_RATE : round(4.02 * SAMPLE_RATE)]).max() > 0.45


@pytest.mark.parametrize("ease", [Fraction(0), Fraction(1, 2)])
@pytest.mark.parametrize("mode", ["stretch", "keep"])
def test_where_the_speed_is_1_no_sample_is_changed(ease: Fraction, mode: Literal["stretch", "keep"]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    warp = ramp(ease)
    sound = slowed_sound(Sound(noise), warp, mode)[0]
    first, last = warp.segments[0], warp.segments[-1]
    head, tail = round(first.duration * SAMPLE_RATE), round(last.duration * SAMPLE_RATE)
    assert np.array_equal(sound[:head], noise[:head])
    assert np.array_equal(sound[-tail:], noise[-tail:])


def test_keep_is_silent_wherever_the_speed_is_not_1() -> None:
    warp = ramp(Fraction(1, 2))
    sound = slowed_sound(Sound(tone(3)), warp, "keep")[0]
    begin, end = round(warp.segments[1].output * SAMPLE_RATE), round(warp.segments[-1].output * SAMPLE_RATE)
    assert not sound[begin + FADE : end - FADE].any()
    assert sound[begin : begin + FADE].any()


@pytest.mark.parametrize("ease", [Fraction(0), Fraction(1, 2)])
@pytest.mark.parametrize("mode", ["stretch", "keep"])
def test_nothing_clicks_where_the_speed_changes(ease: Fraction, mode: Literal["stretch", "keep"]) -> None:
    sine = tone(3, hertz=440)
    sound = slowed_sound(Sound(sine), ramp(ease), mode)[0]
    # A click bends the wave: of a jump by a tenth this would be 60 times as much.
    assert np.abs(np.diff(sound, 2)).max() < 2 * np.abs(np.diff(sine, 2)).max()


@pytest.mark.parametrize("ease", [Fraction(0), Fraction(1, 2)])
def test_a_tone_keeps_its_pitch_and_level_through_a_ramp(ease: Fraction) -> None:
    sound = slowed_sound(Sound(tone(3, hertz=1000)), ramp(ease))[0]
    level = np.sqrt(np.convolve(sound**2, np.ones(960) / 960, "valid") * 2)
    assert (level.min(), level.max()) == pytest.approx((0.5, 0.5), rel=0.1)
    crossings = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    assert len(crossings) / len(sound) * SAMPLE_RATE == pytest.approx(1000, rel=0.002)


@pytest.mark.parametrize("slowdown", [Fraction(2), Fraction(5, 2), Fraction(8), Fraction(100)])
def test_a_tone_that_is_slowed_stays_pure(slowdown: Fraction) -> None:
    sound = slowed_sound(Sound(tone(0.4, hertz=1000)), even(slowdown, Fraction(2, 5)))[0]
    middle = sound[len(sound) // 4 : len(sound) // 4 + 9600]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    assert spectrum.argmax() == 200
    assert spectrum[195:206].sum() / spectrum.sum() > 0.9999


def test_directions_stay() -> None:
    left = tone(0.5, hertz=440)
    sound = slowed_sound(Sound(left, -left, np.zeros_like(left)), even(Fraction(4), Fraction(1, 2)))
    assert np.array_equal(sound[0], -sound[1])
    assert not sound[2].any()


def test_a_part_begins_with_its_first_moment() -> None:
    warp = even_warp(Fraction(1, 4), Fraction(1, 2), Fraction(1))
    sound = slowed_sound(Sound(clicks(1.5, at=[0.45, 0.6, 0.9, 1.1])), warp)[0]
    assert heard(sound, quiet=0.15)[-2:] == pytest.approx([0.4, 1.6], abs=0.001)
    assert len(sound) == 2 * SAMPLE_RATE


def test_the_last_frame_is_filled_with_what_follows() -> None:
    sound = slowed_sound(Sound(tone(2)), even(Fraction(4)), duration=Fraction(97, 24))
    assert sound.shape[1] == round(Fraction(97, 24) * SAMPLE_RATE)
    assert sound[0, -500:].any()


def test_parts_shorter_than_a_fade_are_played_through() -> None:
    speeds = [Speed(Fraction(n, 500), Fraction(n + 1, 500), Fraction(1 + n % 2, 2)) for n in range(100)]
    warp = ramped_warp(speeds, ease=Fraction(0))
    assert slowed_sound(Sound(tone(1)), warp).shape[1] == round(warp.duration * SAMPLE_RATE)


def test_long_sound_is_made_piece_by_piece() -> None:
    source = Sound(tone(30))
    samples = SampleWarp(even(Fraction(1000), Fraction(60)).segments, rate=SAMPLE_RATE, duration=Fraction(60_000))
    made = slowed(source, samples, mode="stretch")
    assert max(next(made).shape[1] for _ in range(3)) <= 2**16
    assert source.most <= 2**16


def test_onsets_are_those_of_sounds_and_not_of_their_waves() -> None:
    """A deep voice is a row of pulses; a voice that slides and noise change all the time."""
    seconds = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    pulse = np.exp(-np.arange(300) / 60) * np.sin(2 * np.pi * 700 * np.arange(300) / SAMPLE_RATE)
    voice = np.convolve(seconds * 80 % 1 < 1 / 600, pulse)[: len(seconds)]
    slide = np.sin(2 * np.pi * (200 * seconds + 500 * seconds**2))
    noise = np.random.default_rng(1).normal(0, 0.1, len(seconds))
    for sound in (voice, slide, noise):
        assert list(onsets(Sound(sound), SAMPLE_RATE, 3 * SAMPLE_RATE)) == []


def test_onsets_are_found_to_the_millisecond_wherever_the_search_begins() -> None:
    moments = [0.5, 0.61, 1.2003]
    source = Sound(clicks(2, at=moments) + np.random.default_rng(2).normal(0, 1e-3, 2 * SAMPLE_RATE))
    for begin in (0, 12_345, 20_001):
        found = [onset / SAMPLE_RATE for onset in onsets(source, begin, 2 * SAMPLE_RATE)]
        assert [moment for moment in found if moment > 0.45] == pytest.approx(moments, abs=0.001)
