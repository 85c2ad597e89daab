"""What slowing does to sound: when a click begins, how long it takes to become loud, and how pure a tone stays.

Of this project's own way and of ffmpeg's filters `atempo` and `rubberband` (its engines R2 and R3, and R2 with the
options that suit clicks), in the same run. A filter's lead, if it were even, could be taken back; a slow rise not.
Run with `python -m benchmarks.sound`.
"""

import subprocess
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from slowmo_pipeline.planning.warp import even_warp
from slowmo_pipeline.video.binary import ffmpeg_binary
from slowmo_pipeline.video.sample_warp import SampleWarp
from slowmo_pipeline.video.samples import Samples
from slowmo_pipeline.video.sound_pieces import slowed

Wave = npt.NDArray[np.float32]

RATE = 48000
SLOWDOWNS = (Fraction(2), Fraction(5, 2), Fraction(4), Fraction(8), Fraction(100))
RUBBERBAND = {
    "R2": "",
    "R2, short window": ":window=short",
    "R2, mixed transients": ":transients=mixed",
    # ffmpeg has no name for it: the bit of rubberband's own header, through an option that takes any number.
    "R3": ":channels=536870912",
}


class Sound:
    """One channel in memory."""

    channels = 1

    def __init__(self, samples: Wave) -> None:
        self._samples = samples

    def read(self, begin: int, end: int) -> Samples:
        """The samples from one place to another; silence where there are none."""
        sound = np.zeros((1, end - begin), np.float32)
        there = self._samples[max(begin, 0) : max(end, 0)]
        sound[0, max(0, -begin) : max(0, -begin) + len(there)] = there
        return sound


def main() -> None:
    """Print a table."""
    click = np.zeros(RATE, np.float32)
    click[RATE // 2 : RATE // 2 + 960] = tone(0.02)
    print(f"{'':30}{'onset':>10}{'rise':>10}{'peak':>7}{'impurity':>10}")
    for slowdown in SLOWDOWNS:
        expected = round(slowdown * RATE / 2)
        for name, slowed_click, slowed_tone in ways(slowdown, click, tone(1)):
            loudness = np.abs(slowed_click) / np.abs(slowed_click).max()
            onset, loud = (int(np.argmax(loudness > part)) for part in (0.1, 0.7))
            early, rise = ((each / RATE * 1000) for each in (onset - expected, loud - onset))
            peak = np.abs(slowed_click).max() / 0.5
            print(
                f"{float(slowdown):6g}x {name:22}{early:8.1f} ms{rise:7.1f} ms{peak:7.2f}"
                f"{impurity(slowed_tone):7.1f} dB",
                flush=True,
            )


def ways(slowdown: Fraction, click: Wave, steady: Wave) -> Iterator[tuple[str, Wave, Wave]]:
    yield "this project", own(click, slowdown), own(steady, slowdown)
    halves = [2] * (int(slowdown).bit_length() - 1)
    tempos = [Fraction(1, 2)] * len(halves) + [Fraction(2 ** len(halves)) / slowdown]
    atempo = ",".join(f"atempo={float(tempo)!r}" for tempo in tempos if tempo != 1)
    yield "atempo", filtered(click, atempo), filtered(steady, atempo)
    for name, options in RUBBERBAND.items():
        filters = f"rubberband=tempo={float(1 / slowdown)!r}{options}"
        yield name, filtered(click, filters), filtered(steady, filters)


def own(sound: Wave, slowdown: Fraction) -> Wave:
    warp = even_warp(1 / slowdown, Fraction(0), Fraction(len(sound), RATE))
    samples = SampleWarp(warp.segments, rate=RATE, duration=warp.duration)
    made: Wave = np.concatenate(list(slowed(Sound(sound), samples, mode="stretch")), axis=1)[0]
    return made


def filtered(sound: Wave, filters: str) -> Wave:
    raw = ["-f", "f32le", "-ar", str(RATE), "-ac", "1"]
    command = [ffmpeg_binary(), "-v", "error", *raw, "-i", "pipe:", "-af", filters, *raw, "pipe:"]
    made = subprocess.run(command, input=sound.tobytes(), capture_output=True, check=True).stdout
    return np.frombuffer(made, np.float32)


def tone(seconds: float) -> Wave:
    """Of 1 kHz."""
    return (0.5 * np.sin(2 * np.pi * 1000 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def impurity(sound: Wave) -> float:
    """Decibels of what lies further than 5 Hz from 1 kHz, against all."""
    middle = sound[len(sound) // 4 : len(sound) // 4 + RATE]
    power = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    hertz = np.fft.rfftfreq(len(middle), 1 / RATE)
    return float(10 * np.log10(power[np.abs(hertz - 1000) > 5].sum() / power.sum()))


if __name__ == "__main__":
    main()
