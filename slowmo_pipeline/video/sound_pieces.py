"""The sound of the result in pieces that fade into each other: the source's as it is, slowed, or silence.

    speed       1          1/8                                     1
    pieces      unchanged  stretched  |  from an onset  |  another unchanged
    fades                 x           x                 x         x          each FADE samples long

Where the speed is 1 nothing is changed: the fades lie beside it. An onset begins a piece, so that it stays one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise
from typing import Literal

import numpy as np

from slowmo_pipeline.video.onsets import onsets
from slowmo_pipeline.video.sample_warp import Places, Run, SampleWarp
from slowmo_pipeline.video.samples import Samples, SoundSource
from slowmo_pipeline.video.stretching import ATTACK, WINDOW, stretched

FADE = 192
"""Samples; 4 ms at 48 kHz."""

_AT_ONCE = 2**16


@dataclass(frozen=True)
class _Piece:
    begin: int
    """Sample of the result at which it begins to fade in."""
    make: Callable[[int, int], Iterator[Samples]]
    """Yields its samples from one to another."""


def slowed(source: SoundSource, warp: SampleWarp, *, mode: Literal["stretch", "keep"]) -> Iterator[Samples]:
    """Yield the sound of the result, from its first sample to its last.

    "stretch" slows it like the pictures; "keep" is silent where the speed is not 1, changes of speed included.
    """
    yield from _joined(_long_enough(_pieces(source, warp, mode)), warp.total)


def _pieces(source: SoundSource, warp: SampleWarp, mode: str) -> Iterator[_Piece]:
    for run in warp.runs():
        if run.is_unchanged:
            yield _Piece(max(0, run.begin - FADE), partial(_unchanged, source, run.source - run.begin))
        elif mode == "keep":
            yield _Piece(run.begin, partial(_silence, source))
        else:
            yield from _stretched(source, warp, run)


def _unchanged(source: SoundSource, shift: int, begin: int, end: int) -> Iterator[Samples]:
    for at in range(begin, end, _AT_ONCE):
        yield source.read(at + shift, min(at + _AT_ONCE, end) + shift)


def _silence(source: SoundSource, begin: int, end: int) -> Iterator[Samples]:
    for at in range(begin, end, _AT_ONCE):
        yield np.zeros((source.channels, min(_AT_ONCE, end - at)), np.float32)


@dataclass(frozen=True)
class _Start:
    """Where a stretched piece begins."""

    output: int
    source: int


def _stretched(source: SoundSource, warp: SampleWarp, run: Run) -> Iterator[_Piece]:
    """The pieces of a run: from its begin, and from each onset on, to the next onset or its end."""
    first, last = (int(place) for place in warp.places(np.array([run.begin, run.end], np.float64)))
    start: _Start | None = None
    begin = run.begin
    for onset in onsets(source, first - ATTACK, last + WINDOW // 2 + FADE):
        following = _Start(round(warp.output_of(onset)) - FADE, onset - FADE)
        if following.output >= run.begin + FADE:
            yield _Piece(begin, partial(stretched, source, _places(warp, start, following), _heard(start, following)))
            if following.output > run.end - 2 * FADE:
                return
            begin = following.output
        start = following
    yield _Piece(begin, partial(stretched, source, _places(warp, start, None), _heard(start, None)))


def _heard(start: _Start | None, following: _Start | None) -> tuple[int | None, int | None]:
    return (None if start is None else start.source, None if following is None else following.source)


def _places(warp: SampleWarp, start: _Start | None, following: _Start | None) -> Callable[[Places], Places]:
    """The places of a piece in the source: no window reaches across the onsets at its ends."""

    def places(outputs: Places) -> Places:
        found = warp.places(outputs)
        if following is not None:
            found = np.minimum(found, following.source - WINDOW // 2)
        if start is None:
            return found
        attack = ATTACK if following is None else min(ATTACK, (following.source - start.source) // 2)
        passed = outputs - start.output
        return np.where(passed < attack, start.source + passed, np.maximum(found, start.source + attack))

    return places


def _long_enough(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """Leave out what would end before it is faded in: what follows takes its time."""
    held: _Piece | None = None
    for piece in pieces:
        if held is None or piece.begin >= held.begin + FADE:
            if held is not None:
                yield held
            held = piece
        else:
            held = replace(piece, begin=held.begin)
    if held is not None:
        yield held


def _joined(pieces: Iterator[_Piece], total: int) -> Iterator[Samples]:
    tail: Samples | None = None
    for piece, following in pairwise(chain(pieces, (None,))):
        if piece is None:
            break
        end = total if following is None else min(following.begin + FADE, total)
        kept = 0 if following is None else end - following.begin
        held: Samples | None = None
        for block in piece.make(piece.begin, end):
            held = block if held is None else np.concatenate((held, block), axis=1)
            if tail is not None and held.shape[1] >= tail.shape[1]:
                held = _faded(tail, held)
                tail = None
            if tail is None and held.shape[1] > kept:
                yield held[:, : held.shape[1] - kept]
                held = held[:, held.shape[1] - kept :]
        tail = held


def _faded(tail: Samples, head: Samples) -> Samples:
    length = tail.shape[1]
    share = (np.arange(length, dtype=np.float32) + 0.5) / length
    return np.concatenate((tail * (1 - share) + head[:, :length] * share, head[:, length:]), axis=1)
