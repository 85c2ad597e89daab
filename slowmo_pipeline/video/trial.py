"""Encoding one frame, to see whether this ffmpeg can."""

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from slowmo_pipeline.errors import EncodeError
from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline.video.binary import encoders
from slowmo_pipeline.video.info import Colour, info_of_frames
from slowmo_pipeline.video.writer import CODECS, encode

_WIDTH, _HEIGHT = 64, 48
_RATE = Fraction(25)
_COLOUR = Colour(matrix="bt709", primaries="bt709", transfer="bt709", range="tv")


def try_codec(codec: str) -> None:
    """Encode a frame of 8 and one of 16 bits a sample. Raises EncodeError; sound is only looked up by its name."""
    for depth in (8, 16):
        black: Frame = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8 if depth == 8 else np.uint16)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"frame{CODECS[codec].suffix}")
            info = info_of_frames(FrameShape.of(black), rate=_RATE, count=1, source_bits=depth, colour=_COLOUR)
            encode(path, [black], info=info, frame_rate=_RATE, codec=codec, crf=None, threads=1)
    sound = CODECS[codec].sound["c:a"]
    if sound not in encoders():
        raise EncodeError(f"There is no encoder {sound} for the sound.")
