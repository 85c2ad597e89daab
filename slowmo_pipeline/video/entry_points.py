"""Where decoding may begin: at key frames with which a decoder needs nothing that was sent before.

What containers call a key frame is one in most codecs. Not in H.264: the mark also stands where an image only begins to
be refreshed, part by part, and where pictures go on referring to older ones.
"""

import io
from collections.abc import Iterator

from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

# ITU-T H.264, tables 7-1 and D.1.1.
_IDR, _SUPPLEMENT = 5, 6
_RECOVERY_POINT = 6


# Quoted: PyAV's classes are generic in its type hints only.
def entry_tick(packet: "Packet[VideoStream]") -> int | None:
    """From which tick on all that is shown decodes without what was sent before this packet; None: from none surely.

    Uses the packet up.
    """
    tick = packet.pts
    if not packet.is_keyframe:
        return None
    if packet.stream.codec_context.name != "h264":
        return tick
    return tick if any(unit[0] & 31 == _IDR or _says_recovered(unit) for unit in _units(packet)) else None


def _units(packet: "Packet[VideoStream]") -> Iterator[bytes]:
    # MP4 has lengths in front of them, MPEG-TS start codes: these are what the filter makes of either.
    converted = BitStreamFilterContext("h264_mp4toannexb", packet.stream).filter(packet)
    return (unit for piece in converted for unit in bytes(piece).split(b"\0\0\1")[1:] if unit)


def _says_recovered(unit: bytes) -> bool:
    """Whether it says that what is shown from here on is right at once and exactly."""
    messages = _messages(unit) if unit[0] & 31 == _SUPPLEMENT else ()
    # A first bit that is set: after no further picture; a second one: exactly.
    return any(kind == _RECOVERY_POINT and message[:1] >= b"\xc0" for kind, message in messages)


def _messages(supplement: bytes) -> Iterator[tuple[int, bytes]]:
    data = io.BytesIO(supplement[1:].replace(b"\0\0\3", b"\0\0"))
    while (kind := _number(data)) is not None and (size := _number(data)) is not None:
        yield kind, data.read(size)


def _number(data: io.BytesIO) -> int | None:
    """The next number, in bytes of which all but the last are 255; None at the end."""
    number = 0
    while byte := data.read(1):
        number += byte[0]
        if byte[0] != 255:
            return number
    return None
