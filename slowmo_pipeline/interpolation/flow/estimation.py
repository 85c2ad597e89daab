"""Finding how each pixel of one frame moves to the next, and how far that can be trusted."""

from typing import TypeAlias

import cv2
import cv2.typing
import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.flow.forward_warp import Field, pixel_grid, sample
from slowmo_pipeline.interpolation.flow.parameters import PARAMETERS

Luma: TypeAlias = cv2.typing.MatLike
"""uint8, shape (height, width)."""


def half_luma(frame: Frame) -> Luma:
    """The luma (BT.601) of a frame at half its size, rounded up.

    Eight bits at any depth, which is what DIS takes: so a picture moves the same whether it has 8 bits or 16.
    Half size, as finding motion at full size costs four times as much and gains less than 0.1 dB.
    """
    shallow = frame if frame.dtype == np.uint8 else cv2.convertScaleAbs(frame, alpha=1 / 257)
    luma = cv2.cvtColor(shallow, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    even = cv2.copyMakeBorder(luma, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)


class FlowEstimator:
    """Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016), by OpenCV."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setFinestScale(0)
        self._dis.setPatchSize(PARAMETERS.patch_size)
        self._dis.setPatchStride(PARAMETERS.patch_stride)
        self._dis.setGradientDescentIterations(PARAMETERS.descent_steps)
        self._dis.setVariationalRefinementIterations(PARAMETERS.refinement_steps)

    def estimate(self, start: Luma, end: Luma) -> Field:
        """Where each pixel of `start` lies in `end`, as (dx, dy) in pixels of these lumas."""
        height, width = start.shape
        margin = max(PARAMETERS.least_margin, int(PARAMETERS.margin * max(height, width)))
        wide_start, wide_end = (
            cv2.copyMakeBorder(luma, margin, margin, margin, margin, cv2.BORDER_REPLICATE) for luma in (start, end)
        )
        # The type hints do not tell that without a flow to begin with (None) the search begins at stillness.
        flow = self._dis.calc(wide_start, wide_end, None)  # type: ignore[call-overload]
        return np.ascontiguousarray(flow[margin:-margin, margin:-margin])


def forward_backward_consistency(motion: Field, back: Field) -> Field:
    """How far `motion` is to be trusted, `least_trust` to 1: does `back`, from where it leads, return to the start?

    A pixel that the other frame does not show has nowhere to go, and fails this test.
    """
    height, width = motion.shape[:2]
    miss = motion + sample(back, pixel_grid(height, width) + motion)
    agreement = np.exp((miss[..., 0] ** 2 + miss[..., 1] ** 2) / (-2 * PARAMETERS.agreement_sigma**2))
    trusted: Field = PARAMETERS.least_trust + (1 - PARAMETERS.least_trust) * agreement
    return trusted
