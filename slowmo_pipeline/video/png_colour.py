"""What the numbers in a PNG mean: its chunk cICP (W3C's PNG specification, third edition, 11.3.2.6)."""

import struct
import zlib

from slowmo_pipeline.video.colour import PRIMARIES, TRANSFERS
from slowmo_pipeline.video.info import Colour

_HEADER_END = 33
"""Signature and IHDR; what tells of colour stands before the pixels."""
_UNSPECIFIED = 2
_PRIMARIES = {name: number for number, name in PRIMARIES.items()}
_TRANSFERS = {name: number for number, name in TRANSFERS.items()}


def with_colour(png: bytes, colour: Colour) -> bytes:
    """Return a PNG that tells its primaries and its transfer; what is untagged stays untagged."""
    if colour.primaries is None and colour.transfer is None:
        return png
    primaries = _PRIMARIES.get(colour.primaries or "", _UNSPECIFIED)
    transfer = _TRANSFERS.get(colour.transfer or "", _UNSPECIFIED)
    content = b"cICP" + bytes([primaries, transfer, 0, 1])  # no matrix, full range
    chunk = struct.pack(">I", 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:_HEADER_END] + chunk + png[_HEADER_END:]
