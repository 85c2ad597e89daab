"""An image file as a frame: of 8 bits a sample, or of 16 where it is deeper."""

from pathlib import Path
from typing import NamedTuple, cast

import av
import av.logging
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import StorageError, UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.colour import RGB_MATRIX
from slowmo_pipeline.video.description import heard
from slowmo_pipeline.video.info import Colour
from slowmo_pipeline.video.picture import RgbConverter
from slowmo_pipeline.video.traits import UPRIGHT, bits_of, converts, has_alpha, orientation_of, tags_of

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "mjpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"SDPX", "dpx"),
    (b"XPDS", "dpx"),
    (b"BM", "bmp"),
)
"""How files of a kind begin, whatever they are called, and ffmpeg's decoder of it."""
_MOST_PIXELS = 2**28


class Still(NamedTuple):
    """An image."""

    frame: Frame
    """Upright, without its transparency."""
    bits: int
    """Bits a sample of the file."""
    colour: Colour
    has_alpha: bool


def read_still(path: Path) -> Still:
    """Read an image file. Raises StorageError where it cannot be opened, UnreadableVideoError where it is no image."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}. Let this user read it.") from error
    picture = _decoded(data)
    if picture is None:
        raise UnreadableVideoError(f"{path} cannot be read as an image: it is damaged, cut off, or of another kind.")
    tags = tags_of(picture)
    if not converts(tags["matrix"], picture.format):
        raise UnreadableVideoError(f"{path} has colours that cannot be read ({tags['matrix']}): save it as RGB.")
    bits = bits_of(picture.format)
    converter = RgbConverter(depth=8 if bits <= 8 else 16, orientation=orientation_of(picture) or UPRIGHT)
    colour = Colour(matrix=RGB_MATRIX, range="pc", primaries=tags["primaries"], transfer=tags["transfer"])
    return Still(converter.frame(picture), bits, colour, has_alpha(picture.format))


def _decoded(data: bytes) -> VideoFrame | None:
    """The picture, or None for what does not decode to its end. No demuxer: those follow names to other files."""
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    decoder = "webp" if is_webp else next((name for magic, name in _MAGIC if data.startswith(magic)), None)
    if decoder is None:
        return None
    context = cast("VideoCodecContext", CodecContext.create(decoder, "r"))
    context.options = {"max_pixels": str(_MOST_PIXELS)}
    if decoder != "tiff":  # there, an unknown tag would be an error
        context.options["err_detect"] = "explode"
    try:
        with heard(av.logging.ERROR) as said:
            pictures = [*context.decode(Packet(data)), *context.decode(None)]
    except av.FFmpegError:
        return None
    return None if said or not pictures or pictures[0].is_corrupt else pictures[0]
