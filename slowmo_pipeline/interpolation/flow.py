"""The `flow` interpolator: dense optical flow both ways, carried to the time wanted. No weights, no GPU."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from slowmo_pipeline.interpolation.base import Frame, render_gaps
from slowmo_pipeline.interpolation.projection import Field, carry, pixel_grid

ALGORITHM = 1
"""Raised with every change to what this module or `projection` computes: results of different numbers never mix."""


@dataclass(frozen=True)
class Tuning:
    """The numbers that decide the pixels. Lengths are pixels of the half-size luma on which motion is found."""

    margin: int = 32
    patch_size: int = 8
    patch_stride: int = 3
    descent_steps: int = 16
    disagreement: float = 1.0
    occluded_weight: float = 0.1
    mismatch: float = 2.0
    mismatch_sigma: float = 2.0
    least_match: float = 1e-3


TUNING = Tuning()


@dataclass(frozen=True)
class _Prepared:
    image: Field
    """(height, width, 3) in the units of the frame's own type."""
    luma: npt.NDArray[np.uint8]
    """Half size, rounded up, with a margin of repeated edge."""
    depth: npt.DTypeLike


class FlowInterpolator:
    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setFinestScale(0)
        self._dis.setPatchSize(TUNING.patch_size)
        self._dis.setPatchStride(TUNING.patch_stride)
        self._dis.setGradientDescentIterations(TUNING.descent_steps)
        self._dis.setVariationalRefinementIterations(0)

    @property
    def model_id(self) -> str:
        decisive = repr((ALGORITHM, asdict(TUNING), cv2.__version__))
        return f"flow-{ALGORITHM}-{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"

    def render(self, frames: Iterable[Frame], times: Iterable[Sequence[Fraction]]) -> Iterator[Frame]:
        return render_gaps(frames, times, prepare=_prepare, make=self._make)

    def _make(self, before, after, times):
        forward, backward = self._motion(before, after), self._motion(after, before)
        cons_f, cons_b = _agreement(forward, backward), _agreement(backward, forward)
        lumas = [_crop(x.luma).astype(np.float32) for x in (before, after)]
        for t in times:
            tf, tb = float(t), float(1 - t)
            mf, vf = carry(forward, tf, cons_f)
            mb, vb = carry(backward, tb, cons_b)
            one = np.ones_like(vf)
            V0=TUNING.vis if hasattr(TUNING,"vis") else 0
            vf=np.maximum(vf,V0); vb=np.maximum(vb,V0)
            cands = [(mf, one, vf), (-mb, vb, one), (np.zeros_like(mf), one, one)]
            grid = pixel_grid(*vf.shape)
            weights = []
            for m, v0, v1 in cands:
                e = np.abs(_sample(lumas[0], cv2.scaleAdd(m, -tf, grid), cv2.INTER_LINEAR) - _sample(lumas[1], cv2.scaleAdd(m, tb, grid), cv2.INTER_LINEAR))
                match = np.exp(cv2.GaussianBlur(e, (0, 0), TUNING.mismatch_sigma) / -TUNING.mismatch) + TUNING.least_match
                weights.append((match * v0 * tb, match * v1 * tf))
            total = sum(w for ws in weights for w in ws)
            h, w = before.image.shape[:2]
            acc = np.zeros_like(before.image)
            grid = pixel_grid(h, w)
            for (m, _, _), ws in zip(cands, weights):
                m = _up(m, h, w) * 2
                for img, k, wt in ((before.image, -tf, ws[0]), (after.image, tb, ws[1])):
                    wt = _up(wt / total, h, w)
                    cv2.accumulateProduct(_sample(img, cv2.scaleAdd(m, k, grid), cv2.INTER_CUBIC), cv2.merge([wt, wt, wt]), acc)
            limit = np.iinfo(before.depth).max
            yield np.clip(np.rint(acc), 0, limit).astype(before.depth)

    def _motion(self, a, b):
        return _crop(self._dis.calc(a.luma, b.luma, None))


def _up(x, h, w):
    return np.ascontiguousarray(cv2.resize(x, (2 * x.shape[1], 2 * x.shape[0]), interpolation=cv2.INTER_LINEAR)[:h, :w])


def _crop(x):
    m = TUNING.margin
    return np.ascontiguousarray(x[m:-m, m:-m])


def _sample(x, m, how):
    return cv2.remap(x, m, None, how, borderMode=cv2.BORDER_REPLICATE)


def _agreement(f, b):
    d = f + _sample(b, pixel_grid(*f.shape[:2]) + f, cv2.INTER_LINEAR)
    return TUNING.occluded_weight + (1 - TUNING.occluded_weight) * np.exp((d * d).sum(axis=2) / (-2 * TUNING.disagreement**2))


def _prepare(frame):
    b8 = frame if frame.dtype == np.uint8 else cv2.convertScaleAbs(frame, alpha=1 / 257)
    luma = cv2.cvtColor(b8, cv2.COLOR_RGB2GRAY)
    h, w = luma.shape
    luma = cv2.copyMakeBorder(luma, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    luma = cv2.resize(luma, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA)
    m = TUNING.margin
    return _Prepared(frame.astype(np.float32), cv2.copyMakeBorder(luma, m, m, m, m, cv2.BORDER_REPLICATE), frame.dtype)
