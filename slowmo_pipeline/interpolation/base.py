"""What every interpolator promises, and the walk over frames and times that all of them share."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from slowmo_pipeline.frames import Frame, FrameShape

Prepared = TypeVar("Prepared")


ALL = range(sys.maxsize)
"""Of the new frames: each is yielded."""


class Interpolator(Protocol):
    """Makes new frames out of pairs of neighbouring frames."""

    @property
    def model_id(self) -> str:
        """`<name>-<version>-<hash>` in the characters `[a-z0-9._-]`; the hash covers all that decides the pixels."""
        ...

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        """Yield the new frames in order, at the shape and depth of `frames`.

            frames   0 ─────────────── 1 ─────────────── 2
            times       [1/3, 2/3]           [1/2]            an entry for each gap
            yields        a    b               c

        `frames` are one or more, all of one shape and depth. An entry of `times` holds the times wanted in its gap,
        ascending, 0 < t < 1, or none; entries beyond the last gap are not read. The work is streamed: no more than
        two frames are held, and the next one is read only when all new frames of the gap before it are taken.

        Of the new frames, counted from 0, those in `returned` are yielded, which has no steps. They are the same as
        when all are: others of their gap are made as far as they are made from them.

        Raises ValueError, while being iterated, for frames or times that break these rules.
        """
        ...


class _Neighbour(Generic[Prepared]):
    """A frame and what an interpolator makes of it, made when first asked for."""

    def __init__(self, frame: Frame, prepare: Callable[[Frame], Prepared]) -> None:
        self.shape = FrameShape.of(frame)
        if frame.size == 0:
            raise ValueError(f"A frame of {self.shape} has no pixels.")
        self._frame = frame
        self._prepare = prepare

    @cached_property
    def prepared(self) -> Prepared:
        return self._prepare(self._frame)


def render_gaps(
    frames: Iterable[Frame],
    times: Iterable[Sequence[Fraction]],
    *,
    returned: range,
    prepare: Callable[[Frame], Prepared],
    make: Callable[[Prepared, Prepared, Sequence[Fraction], range], Iterator[Frame]],
) -> Iterator[Frame]:
    """Yield what `make(before, after, times, returned)` yields for each gap of which frames are returned.

    This is the body of a `render`. `make` is told by their places in `times` which new frames it yields: at least one.
    It receives frames as `prepare` made them: once each, for both of their gaps, and not at all where nothing is
    wanted. Work that concerns one frame alone belongs there.

    Raises ValueError as `Interpolator.render` promises.
    """
    entries = iter(times)
    before: _Neighbour[Prepared] | None = None
    counted = 0
    for number, frame in enumerate(frames):
        after = _Neighbour(frame, prepare)
        if before is not None:
            if after.shape != before.shape:
                raise ValueError(
                    f"Frame {number} is {after.shape}, frame {number - 1} is {before.shape}: all must be alike."
                )
            wanted = next(entries, None)
            if wanted is None:
                raise ValueError(f"times ends before the gap between frames {number - 1} and {number}.")
            _check_times(wanted, number - 1)
            here = range(max(returned.start - counted, 0), min(returned.stop - counted, len(wanted)))
            counted += len(wanted)
            if here:
                yield from make(before.prepared, after.prepared, wanted, here)
        before = after
    if before is None:
        raise ValueError("frames is empty: at least one is needed.")


def _check_times(wanted: Sequence[Fraction], gap: int) -> None:
    for earlier, later in zip([Fraction(0), *wanted], [*wanted, Fraction(1)], strict=True):
        if earlier >= later:
            raise ValueError(f"times[{gap}] = [{', '.join(map(str, wanted))}]: 0 < t < 1 must hold, and they ascend.")
