"""What every interpolator promises, and the walk over frames and times that all of them share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""An RGB image of shape (height, width, 3) that uses the full range of its type."""

Prepared = TypeVar("Prepared")


class Interpolator(Protocol):
    """Makes new frames out of pairs of neighbouring frames."""

    @property
    def model_id(self) -> str:
        """`<name>-<version>-<hash>` in the characters `[a-z0-9._-]`; the hash covers all that decides the pixels."""
        ...

    def render(self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]]) -> Iterator[Frame]:
        """Yield the new frames in order, at the shape and depth of `frames`.

            frames   0 ─────────────── 1 ─────────────── 2
            times       [1/3, 2/3]           [1/2]            an entry for each gap
            yields        a    b               c

        `frames` are one or more, all of one shape and depth. An entry of `times` holds the times wanted in its gap,
        ascending, 0 < t < 1, or none; entries beyond the last gap are not read. The work is streamed: no more than
        two frames are held, and frame i + 1 is read only when the new frames of the gap before i are taken.

        Raises ValueError, while being iterated, for frames or times that break these rules.
        """
        ...


class _Neighbour(Generic[Prepared]):
    """A frame and what an interpolator makes of it, made when first asked for."""

    def __init__(self, frame: Frame, prepare: Callable[[Frame], Prepared]) -> None:
        self.frame = frame
        self._prepare = prepare

    @cached_property
    def prepared(self) -> Prepared:
        return self._prepare(self.frame)


def render_gaps(
    frames: Iterable[Frame],
    times: Iterable[Sequence[Fraction]],
    *,
    prepare: Callable[[Frame], Prepared],
    make: Callable[[Prepared, Prepared, Sequence[Fraction]], Iterator[Frame]],
) -> Iterator[Frame]:
    """Yield what `make(before, after, times)` yields for each gap that wants new frames: the body of a `render`.

    `make` receives frames as `prepare` made them: once each, for both of their gaps, and not at all where nothing is
    wanted. So work that concerns one frame alone belongs into `prepare`.

    Raises ValueError as `Interpolator.render` promises.
    """
    entries = iter(times)
    before: _Neighbour[Prepared] | None = None
    for number, frame in enumerate(frames):
        _check_frame(frame, number)
        after = _Neighbour(frame, prepare)
        if before is not None:
            _check_alike(before.frame, frame, number)
            wanted = next(entries, None)
            if wanted is None:
                raise ValueError(f"times ends before the gap between frames {number - 1} and {number}.")
            _check_times(wanted, number - 1)
            if wanted:
                yield from make(before.prepared, after.prepared, wanted)
        before = after
    if before is None:
        raise ValueError("frames is empty: at least one frame is needed.")


def _check_frame(frame: Frame, number: int) -> None:
    if frame.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"Frame {number} has type {frame.dtype}: it must be uint8 or uint16.")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ValueError(f"Frame {number} has shape {frame.shape}: it must be (height, width, 3).")


def _check_alike(before: Frame, frame: Frame, number: int) -> None:
    if frame.shape != before.shape or frame.dtype != before.dtype:
        raise ValueError(
            f"Frame {number} is {frame.dtype} {frame.shape}, frame {number - 1} is {before.dtype} {before.shape}: "
            "all must have one shape and depth."
        )


def _check_times(wanted: Sequence[Fraction], gap: int) -> None:
    for earlier, later in zip([Fraction(0), *wanted], [*wanted, Fraction(1)], strict=True):
        if earlier >= later:
            raise ValueError(f"times[{gap}] = [{', '.join(map(str, wanted))}]: 0 < t < 1 must hold, and they ascend.")
