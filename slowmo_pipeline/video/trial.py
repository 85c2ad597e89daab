"""Encoding one frame, to see whether this ffmpeg can."""

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from slowmo_pipeline.errors import EncodeError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.binary import encoders
from slowmo_pipeline.video.info import Colour, VideoInfo
from slowmo_pipeline.video.writer import CODECS, encode

_WIDTH, _HEIGHT = 64, 48
_COLOUR = Colour(matrix="bt709", primaries="bt709", transfer="bt709", range="tv")


def try_codec(codec: str) -> None:
    """Encode a frame of 8 and one of 16 bits a sample. Raises EncodeError; sound is only looked up by its name."""
    for depth in (8, 16):
        black: Frame = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8 if depth == 8 else np.uint16)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"frame{CODECS[codec].suffix}")
            info = _info(depth)
            encode(path, [black], info=info, frame_rate=Fraction(25), codec=codec, crf=None, threads=1)
    sound = CODECS[codec].sound["c:a"]
    if sound not in encoders():
        raise EncodeError(f"There is no encoder {sound} for the sound.")


def _info(depth: int) -> VideoInfo:
    return VideoInfo.model_validate(
        {
            "width": _WIDTH,
            "height": _HEIGHT,
            "depth": depth,
            "source_bits": 8 if depth == 8 else 10,
            "pixel_format": "yuv420p" if depth == 8 else "yuv420p10le",
            "sample_aspect_ratio": Fraction(1),
            "rotation": 0,
            "mirrored": False,
            "colour": _COLOUR,
            "time_base": Fraction(1, 25),
            "ticks": (0, 1),
            "last_duration_ticks": 1,
            "declared_rate": Fraction(25),
            "codec": "h264",
            "container": "mov,mp4,m4a,3gp,3g2,mj2",
            "has_sound": False,
            "creation_time": None,
            "notes": (),
            "losses": (),
        }
    )
