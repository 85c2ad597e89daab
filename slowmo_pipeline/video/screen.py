"""What a plain screen shows of a frame: small, in 8 bits, nothing beyond black and white, HDR mapped to its range."""

from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import BLACK_AND_WHITE
from slowmo_pipeline.video.info import VideoInfo

_Picture = npt.NDArray[np.uint8]
_Light = npt.NDArray[np.float32]

_WHITE = 203.0
"""Candela a square metre of a white page in HDR (ITU-R BT.2408, 5.1)."""

_PEAK = 1000.0
"""Candela a square metre that are still told from what is brighter; also the peak of HLG's display."""

_STEPS = 4096
"""Of the tables that stand for curves: one for each code of 12 bits."""

# ITU-R BT.2087, 4: linear light from the primaries of BT.2020 to those of BT.709.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)

_HDR: dict[str, Literal["pq", "hlg"]] = {"smpte2084": "pq", "arib-std-b67": "hlg"}
"""By ffmpeg's names of transfer curves."""


class Screen:
    """Shows the frames of one video in one size."""

    def __init__(self, info: VideoInfo, *, width: int, height: int) -> None:
        """Show them in just this size."""
        self.width, self.height = width, height
        self._levels = BLACK_AND_WHITE[info.headroom]
        self._hdr = _HDR.get(info.colour.transfer or "")
        self._reformatter = VideoReformatter()
        self._wide = info.colour.primaries == "bt2020"

    @classmethod
    def within(cls, info: VideoInfo, *, width: int, height: int) -> "Screen":
        """Show them at most this large, in square pixels and even numbers of them, and never enlarged."""
        shown_width, shown_height = float(info.width * info.sample_aspect_ratio), info.height
        scale = min(width / shown_width, height / shown_height, 1)
        fitting_width, fitting_height = (max(2 * round(side * scale / 2), 2) for side in (shown_width, shown_height))
        return cls(info, width=fitting_width, height=fitting_height)

    def picture(self, frame: Frame) -> _Picture:
        """Return what is shown: uint8, (height, width, 3)."""
        deep = self._hdr is not None or self._levels != BLACK_AND_WHITE["none"]
        if frame.dtype == np.uint8 and not deep and frame.shape[:2] == (self.height, self.width):
            return frame.astype(np.uint8, copy=False)
        pixel_format = "rgb24" if frame.dtype == np.uint8 else "rgb48le"
        small = self._reformatter.reformat(
            VideoFrame.from_ndarray(frame, format=pixel_format),
            width=self.width,
            height=self.height,
            format="rgb48le" if deep else "rgb24",
        )
        codes = small.to_ndarray()
        if not deep:
            return codes.astype(np.uint8, copy=False)
        black, white = (257 * level for level in self._levels)
        shown = np.clip((codes.astype(np.float32) - black) / (white - black), 0, 1)
        if self._hdr is None:
            return _in_8_bits(shown)
        return self._mapped((shown * (_STEPS - 1)).astype(np.uint16))

    def _mapped(self, codes: npt.NDArray[np.uint16]) -> _Picture:
        """Tone mapping by Reinhard's curve of luminance (2002, equation 4), with white at a little over one half."""
        light = self._light[codes]
        if self._hdr == "hlg":
            # The system gamma of a display of 1000 cd/m² (ITU-R BT.2100, table 5).
            scene = light @ np.array([0.2627, 0.678, 0.0593], dtype=np.float32)
            light = light * (_PEAK / _WHITE * np.maximum(scene, 1e-6) ** np.float32(0.2))[..., None]
        if self._wide:
            light = np.maximum(light @ _TO_BT709.T, 0)
        luminance = light @ _LUMINANCE
        factor = (1 + luminance / np.float32(_PEAK / _WHITE) ** 2) / (1 + luminance)
        shown: _Picture = _GAMMA[(np.clip(light * factor[..., None], 0, 1) * (_STEPS - 1)).astype(np.uint16)]
        return shown

    @cached_property
    def _light(self) -> _Light:
        """The light of each code: of PQ in whites, of HLG the scene's, 0 to 1."""
        code = np.linspace(0, 1, _STEPS)
        if self._hdr == "pq":  # SMPTE ST 2084, 5.1
            root = code ** (32 / 2523)
            nits = 10_000 * (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
            return (nits / _WHITE).astype(np.float32)
        a, b, c = 0.17883277, 0.28466892, 0.55991073  # ITU-R BT.2100, table 5
        return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


def _gamma() -> _Picture:
    """The codes of light, by IEC 61966-2-1."""
    light = np.linspace(0, 1, _STEPS)
    return _in_8_bits(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def _in_8_bits(shares: npt.NDArray[np.floating[Any]]) -> _Picture:
    codes: _Picture = np.rint(255 * shares).astype(np.uint8)
    return codes


_GAMMA = _gamma()
