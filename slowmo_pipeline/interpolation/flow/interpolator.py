"""The `flow` interpolator: dense optical flow both ways, carried to the time wanted. It needs no weights and no GPU.

    before ─┬─► motion there ──► carried to t ─┐
            │                                  ├─► three candidates of what passes each pixel at t:
    after ──┴─► motion back ───► carried to t ─┤   both frames are sampled along each, and mixed
                                 stillness ────┘

A guess counts at a pixel as far as the two frames look alike along it; in it, a frame counts as far as it is near in
time and shows what the guess follows. Swapped frames and 1 - t swap all roles, so the same image comes out.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

import cv2
import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.base import ALL, render_gaps
from slowmo_pipeline.interpolation.flow.estimation import FlowEstimator, Luma, forward_backward_consistency, half_luma
from slowmo_pipeline.interpolation.flow.forward_warp import Field, forward_warp, pixel_grid, sample
from slowmo_pipeline.interpolation.flow.parameters import PARAMETERS

ALGORITHM = 1
"""Raised whenever the arithmetic changes, so that results of before and after are never taken for each other's."""


@dataclass(frozen=True)
class _Prepared:
    """What one frame contributes to both of its gaps."""

    frame: Frame
    image: Field
    """The frame's values as they are, (height, width, 3), each side made even by repeating the edge."""
    luma: Luma
    """Half the size of `image`."""


@dataclass(frozen=True)
class _Candidate:
    """What may pass each pixel at time t, at half size."""

    motion: Field | None
    """From the frame before to the frame after; None stands for stillness."""
    shown_before: Field | float
    """How far the frame before shows what is guessed, 0 to 1."""
    shown_after: Field | float


class FlowInterpolator:
    """Makes new frames by bidirectional dense optical flow.

    It runs on as many threads as `cv2.setNumThreads` allows the process, and gives the same bytes on any number.
    """

    def __init__(self) -> None:
        self._estimator = FlowEstimator()

    @property
    def model_id(self) -> str:
        """`flow-<algorithm>-<hash of the parameters and of OpenCV's version>`."""
        # Under the name that they had at first: another id would put every video that was made out of date.
        parameters = ", ".join(f"{name}={value!r}" for name, value in asdict(PARAMETERS).items())
        decisive = f"Tuning({parameters}) OpenCV {cv2.__version__}"
        return f"flow-{ALGORITHM}-{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"

    def render(
        self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]], *, returned: range = ALL
    ) -> Iterator[Frame]:
        """As `Interpolator.render`. Any size from 1 x 1 up to OpenCV's bound of 32766 pixels a side."""
        return render_gaps(frames, times, returned=returned, prepare=_prepare, make=self._new_frames)

    def _new_frames(
        self, before: _Prepared, after: _Prepared, times: Sequence[Fraction], returned: range
    ) -> Iterator[Frame]:
        there = self._estimator.estimate(before.luma, after.luma)
        back = self._estimator.estimate(after.luma, before.luma)
        trust_there, trust_back = forward_backward_consistency(there, back), forward_backward_consistency(back, there)
        for t in times[returned.start : returned.stop]:
            # Both shares are rounded from exact fractions, so that t and 1 - t mirror each other to the last bit.
            past, ahead = float(t), float(1 - t)
            carried_there, trusted_there = forward_warp(there, past, trust_there)
            carried_back, trusted_back = forward_warp(back, ahead, trust_back)
            candidates = [
                _Candidate(carried_there, shown_before=1.0, shown_after=trusted_there),
                _Candidate(-carried_back, shown_before=trusted_back, shown_after=1.0),
                _Candidate(None, shown_before=1.0, shown_after=1.0),
            ]
            yield _mix(before, after, past, ahead, candidates)


def _prepare(frame: Frame) -> _Prepared:
    height, width = frame.shape[:2]
    even = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return _Prepared(frame, even.astype(np.float32), half_luma(frame))


def _mix(before: _Prepared, after: _Prepared, past: float, ahead: float, candidates: Sequence[_Candidate]) -> Frame:
    """Sample both frames along each candidate at time `past` = 1 - `ahead`, and take the weighted mean."""
    lumas = before.luma.astype(np.float32), after.luma.astype(np.float32)
    weights: list[tuple[Field, Field]] = []
    for guess in candidates:
        match = _match(lumas, past, ahead, guess.motion)
        weights.append((match * guess.shown_before * ahead, match * guess.shown_after * past))
    total = np.add.reduce([weight for pair in weights for weight in pair])

    mixed = np.zeros_like(before.image)
    scratch = np.empty_like(mixed)
    for guess, (weight_before, weight_after) in zip(candidates, weights, strict=True):
        motion = None if guess.motion is None else _full_size(guess.motion)
        for image, share, weight in ((before.image, -past, weight_before), (after.image, ahead, weight_after)):
            # A motion of one pixel at half size is one of two here.
            seen = image if motion is None else _shifted(image, motion, 2 * share, cv2.INTER_CUBIC, scratch)
            cv2.accumulateProduct(seen, cv2.merge([_full_size(weight / total)] * 3), mixed)
    return _as_frame(mixed, before.frame)


def _match(lumas: tuple[Field, Field], past: float, ahead: float, motion: Field | None) -> Field:
    """How alike the frames look along `motion`, around each pixel at time `past`: `least_match` to 1."""
    before, after = lumas
    if motion is not None:
        before, after = _shifted(before, motion, -past), _shifted(after, motion, ahead)
    difference = cv2.GaussianBlur(cv2.absdiff(before, after), (0, 0), PARAMETERS.mismatch_sigma)
    match: Field = np.exp(difference / -PARAMETERS.mismatch) + np.float32(PARAMETERS.least_match)
    return match


def _shifted(image: Field, motion: Field, share: float, how: int = cv2.INTER_LINEAR, out: Field | None = None) -> Field:
    """`image` looked up at each pixel moved by `share` of `motion`."""
    height, width = motion.shape[:2]
    return sample(image, cv2.scaleAdd(motion, share, pixel_grid(height, width)), how, out)


def _full_size(half: Field) -> Field:
    height, width = half.shape[:2]
    return cv2.resize(half, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)


def _as_frame(mixed: Field, model: Frame) -> Frame:
    """Round `mixed`, once, to the type and size of `model`; cubic sampling overshoots, so it is clipped."""
    np.rint(mixed, out=mixed)
    np.clip(mixed, 0, np.iinfo(model.dtype).max, out=mixed)
    height, width = model.shape[:2]
    rounded = mixed[:height, :width]
    return rounded.astype(np.uint8) if model.dtype == np.uint8 else rounded.astype(np.uint16)
