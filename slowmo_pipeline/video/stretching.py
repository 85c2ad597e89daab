"""Slowing sound with its pitch kept: a phase vocoder that is told for each hop where in the source it belongs.

A window of the source is read at that place. Each of its frequencies is turned so that it continues what was written
before: by as much as that differs from what precedes the window in the source. All channels are turned alike, so that
directions stay. Where the place moves on as fast as the output does, nothing is turned, and the output is the source.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from slowmo_pipeline.video.sample_warp import Places
from slowmo_pipeline.video.samples import Samples, SoundSource

WINDOW = 2048
"""Samples; 43 ms at 48 kHz. Tones less than four of its bins apart, 94 Hz, beat."""
_HOP = WINDOW // 4

ATTACK = WINDOW // 2 + _HOP
"""Samples after an onset from which on no window needs what lies before it."""

_HOPS_AT_ONCE = 64
# Both windows together, four of which overlap, add up to 3/2.
_HANN = (np.hanning(WINDOW + 1)[:-1] / np.sqrt(1.5)).astype(np.float32)

_Spectrum = npt.NDArray[np.complexfloating]
"""Shape (channels, bins)."""


def stretched(
    source: SoundSource,
    places: Callable[[Places], Places],
    heard: tuple[int | None, int | None],
    begin: int,
    end: int,
) -> Iterator[Samples]:
    """Yield samples `begin` to `end` of the output; `places` has the place in the source that belongs to some of them.

    Of the source nothing is heard but what lies between the samples `heard`; None is no bound.
    """
    at = begin - _HOP - WINDOW // 2
    middles = np.arange(begin - _HOP, end + WINDOW // 2, _HOP)
    overlap = np.zeros((source.channels, WINDOW - _HOP), np.float32)
    written: _Spectrum | None = None
    for hops in np.split(middles, range(_HOPS_AT_ONCE, len(middles), _HOPS_AT_ONCE)):
        there = np.rint(places(hops.astype(np.float64))).astype(np.int64)
        spectra = _spectra(source, there, heard)
        before = _spectra(source, there - _HOP, heard)
        written = before[0] if written is None else written
        for number, precedes in enumerate(before):
            spectra[number] *= _turn(written, precedes)
            written = spectra[number]
        waves = np.fft.irfft(spectra, axis=-1) * _HANN
        sound = np.pad(overlap, ((0, 0), (0, len(hops) * _HOP)))
        for number, wave in enumerate(waves):
            sound[:, number * _HOP : number * _HOP + WINDOW] += wave
        done, overlap = np.split(sound, [len(hops) * _HOP], axis=1)
        yield done[:, max(0, begin - at) : max(0, end - at)]
        at += done.shape[1]


def _spectra(source: SoundSource, places: npt.NDArray[np.int64], heard: tuple[int | None, int | None]) -> _Spectrum:
    """Of the windows around some places: shape (places, channels, bins)."""
    begin, end = int(places.min()) - WINDOW // 2, int(places.max()) + WINDOW // 2
    sound = source.read(begin, end)
    first, last = heard
    if first is not None:
        sound[:, : max(0, first - begin)] = 0
    if last is not None:
        sound[:, max(0, last - begin) :] = 0
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW, axis=1)[:, places - WINDOW // 2 - begin]
    return np.fft.rfft(windows.transpose(1, 0, 2) * _HANN)


def _turn(written: _Spectrum, precedes: _Spectrum) -> _Spectrum:
    """By what each bin is to be turned, of size 1: what its neighbourhood agrees on, the loud more than the quiet."""
    difference = (written * precedes.conj()).sum(axis=0)
    agreed = difference.copy()
    agreed[1:] += difference[:-1]
    agreed[:-1] += difference[1:]
    size = np.abs(agreed)
    audible = size > _NOTHING
    return np.where(audible, agreed / np.where(audible, size, 1), 1)


_NOTHING = 1e-20
"""Squares of what is far below the last bit of a sample."""
