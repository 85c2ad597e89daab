"""Where in a sound something begins all at once: a beat, a clap, a consonant.

Slowed like the rest it would be smeared over as long as a window lasts; whoever slows sound keeps windows off it.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from slowmo_pipeline.video.samples import Samples, SoundSource

_WINDOW = 256
_HOP = 64
_LOOK_BACK = 20
"""Windows, 27 ms at 48 kHz: no shorter than the period of a deep voice, whose every pulse is no onset."""
_RISE = 4.0
"""Power over the most of late that counts as new; noise keeps below it."""
_NEW_SHARE = 0.5
_QUIET = 1e-6
"""Mean square of a window in which nothing is heard: 60 dB below full scale."""
_APART = 960
"""Samples; two of one sound are one."""

_AT_ONCE = 512
_HANN = np.hanning(_WINDOW).astype(np.float32)
# High frequencies tell beginnings apart: low ones swell, and carry most of the power.
_WEIGHTS = np.arange(_WINDOW // 2 + 1, dtype=np.float32) ** 2


def onsets(source: SoundSource, begin: int, end: int) -> Iterator[int]:
    """Yield the samples from `begin` to `end` at which something begins, ascending and 20 ms apart or more."""
    previous = begin - _APART
    # A grid of its own: what is found does not depend on where the search begins.
    for block in range(begin // _HOP - _WINDOW // _HOP, -(-end // _HOP), _AT_ONCE):
        sound = source.read((block - _LOOK_BACK) * _HOP, (block + _AT_ONCE - 1) * _HOP + _WINDOW)
        for window in np.flatnonzero(_has_onset(sound)):
            start = int(window + _LOOK_BACK) * _HOP
            found = (block - _LOOK_BACK) * _HOP + start + _rise_within(sound[:, start : start + _WINDOW])
            if begin <= found < end and found >= previous + _APART:
                previous = found
                yield found


def _has_onset(sound: Samples) -> npt.NDArray[np.bool_]:
    """For each window after the first `_LOOK_BACK` whether most of its power is new."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW, axis=1)[:, ::_HOP]
    power = (np.abs(np.fft.rfft(windows * _HANN)) ** 2).sum(axis=0)
    # Also in the neighbouring bins: a voice that slides does not begin.
    wide = power.copy()
    np.maximum(wide[:, 1:], power[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], power[:, 1:], out=wide[:, :-1])
    # The windows just before overlap this one.
    apart = _WINDOW // _HOP
    most = np.lib.stride_tricks.sliding_window_view(wide, _LOOK_BACK - apart + 1, axis=0)[:-apart].max(axis=-1)
    now = power[_LOOK_BACK:] * _WEIGHTS
    new = np.maximum(now - _RISE * most * _WEIGHTS, 0)
    loud = (windows[:, _LOOK_BACK:] ** 2).mean(axis=-1).max(axis=0) > _QUIET
    return np.asarray(loud & (new.sum(axis=1) > _NEW_SHARE * now.sum(axis=1)))


def _rise_within(sound: Samples) -> int:
    """Where a window that holds an onset becomes loud."""
    power = (np.diff(sound, prepend=sound[:, :1]) ** 2).sum(axis=0)
    return int(np.argmax(power > 0.1 * power.max()))
