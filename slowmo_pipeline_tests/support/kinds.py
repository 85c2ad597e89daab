"""Containers and codecs whose pictures depend on each other, and frames that tell when one is decoded wrongly."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline_tests.support.media import moving_square

COUNT = 40
X264_OPEN = {"qp": "20", "x264-params": "keyint=10:min-keyint=10:scenecut=0:open-gop=1:bframes=3:b-pyramid=normal"}
X265_OPEN = {"x265-params": "log-level=error:qp=20:keyint=10:min-keyint=10:scenecut=0:open-gop=1:bframes=4"}
X265_CLOSED = {"x265-params": "log-level=error:qp=20:keyint=10:min-keyint=10:scenecut=0:open-gop=0:bframes=4"}
MPEG = {"g": "10", "bf": "2", "b": "4000000"}
VPX = {"g": "10", "auto-alt-ref": "1", "lag-in-frames": "8"}


class Kind(NamedTuple):
    suffix: str
    codec: str
    options: Mapping[str, str] = MappingProxyType({})
    pixel_format: str = "yuv420p"

    def __str__(self) -> str:
        return f"{self.codec}{self.suffix}"


SOUGHT = (
    *(Kind(suffix, "libx264", X264_OPEN) for suffix in (".mp4", ".mov", ".mkv", ".ts")),
    *(Kind(suffix, "libx265", options) for suffix in (".mp4", ".mkv", ".ts") for options in (X265_OPEN, X265_CLOSED)),
    Kind(".mp4", "mpeg4", MPEG),
    Kind(".mkv", "mpeg2video", MPEG),
    Kind(".ts", "mpeg2video", MPEG),
    Kind(".webm", "libvpx", VPX),
    Kind(".webm", "libvpx-vp9", VPX),
    Kind(".mkv", "ffv1", {"g": "10"}),
    Kind(".mov", "prores_ks", pixel_format="yuv422p10le"),
)
NOT_SOUGHT = (
    Kind(".avi", "libx264", X264_OPEN),
    Kind(".flv", "flv", {"g": "10"}),
)


def noisy(count: int = COUNT, width: int = 96) -> list[Frame]:
    """Frames that a decoder gets wrong when it lacks the ones before."""
    noise = np.random.default_rng(0).integers(0, 24, (count, 64, width, 3), np.uint8)
    return [frame + each for frame, each in zip(moving_square(count, speed=1, width=width), noise, strict=True)]
