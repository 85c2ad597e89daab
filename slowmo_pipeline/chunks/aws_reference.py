"""The reference solution's chunks, read only: a tar.gz of frame-%07d.jpg and a config.json, in any order.

config.json has the integers time_to_interpolate (new frames in each gap: the result plays that plus one times slower),
align, block_height and block_width. The last three are checked and not used: here tiles are an option of the endpoint.
Outputs are numbered along the slowed time line: with n new frames a gap, image k of the tar is output k · (n + 1),
counted from 0 whatever number the first file has.
"""

import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated

from pydantic import AfterValidator

from slowmo_pipeline.chunks.documents import MAX_CONFIG_BYTES, MAX_FRAMES, ChunkConfig, ImageEntry, Natural, Want
from slowmo_pipeline.chunks.images import ImageFormat, jpeg_shape
from slowmo_pipeline.chunks.tar import DIRECTORY, MAX_TAR_BYTES, PAX_RECORD, REGULAR, BoundedReader, TarReader
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.record import WireDocument

logger = logging.getLogger(__name__)

GZIP_MAGIC = b"\x1f\x8b"
MAX_JPEG_BYTES = 64 << 20
"""Of one image; at quality 95 an 8K frame takes about 13 MB."""

_PIECE = 1 << 20
_SPOOL_IN_MEMORY = 64 << 20
_MAX_PAX_BYTES = 64 << 10
_MAX_MEMBERS = 3 * MAX_FRAMES  # an image and its pax record, and room for folders
# "./" and one folder may stand before a name.
_NAME = re.compile(r"(?P<folder>(?:\./)?(?:\w[\w.-]*/)?)(?:frame-(?P<number>[0-9]{7})\.jpg|config\.json)", re.ASCII)
# Python's tarfile puts a record before each file, for the fraction of a second of its time. None may change a path.
_PAX_RECORDS = re.compile(rb"(?:[0-9]+ (?:mtime|atime|ctime|uid|gid|uname|gname)=[^\n]*\n)+")


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("must be at least 1")
    return value


_Positive = Annotated[Natural, AfterValidator(_positive)]


class _ReferenceConfig(WireDocument):
    align: _Positive
    block_height: _Positive
    block_width: _Positive
    time_to_interpolate: _Positive


@dataclass(frozen=True)
class _Place:
    """Where an image lies in the unpacked tar."""

    name: str
    offset: int
    size: int
    crc32: int


def read_reference_chunk(stream: BoundedReader) -> tuple[ChunkConfig, Iterator[tuple[str, bytes]]]:
    """Return what the chunk wants, and its images in order: member name and encoded bytes of each.

    It is unpacked to a temporary file first, since config.json may come last and the images in any order.
    Raises ChunkFormatError if anything is not as described above, or it unpacks to more than MAX_TAR_BYTES.
    """
    spool = SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115 - _stored_images closes it
    try:
        _inflate(stream, spool)
        config, places = _index(spool)
    except BaseException:
        spool.close()
        raise
    return config, _stored_images(spool, places)


def _inflate(stream: BoundedReader, spool: IO[bytes]) -> None:
    gunzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: gzip, with its own checksum
    unpacked = 0
    while not gunzip.eof:
        packed = gunzip.unconsumed_tail or stream.read(_PIECE)
        if not packed:
            raise ChunkFormatError("The tar.gz is cut short.")
        try:
            piece = gunzip.decompress(packed, _PIECE)
        except zlib.error as error:
            raise ChunkFormatError(f"The tar.gz is damaged: {error}.") from error
        unpacked += len(piece)
        if unpacked > MAX_TAR_BYTES:
            raise ChunkFormatError(f"The tar.gz unpacks to more than {MAX_TAR_BYTES} bytes: send fewer frames.")
        spool.write(piece)
    if gunzip.unused_data or stream.read(1):
        raise ChunkFormatError("Something follows the end of the tar.gz.")


def _index(spool: IO[bytes]) -> tuple[ChunkConfig, list[_Place]]:
    config = None
    folders = set()
    places: dict[int, _Place] = {}
    for name, offset, data in _files(spool):
        match = _NAME.fullmatch(name)
        if match is None:
            raise ChunkFormatError(f"{name}: only config.json and files named like frame-0000000.jpg are accepted.")
        folders.add(match["folder"])
        number = match["number"]
        if len(folders) > 1 or (config if number is None else places.get(int(number))) is not None:
            raise ChunkFormatError(f"{name}: is there twice, or in another folder than the rest.")
        if number is None:
            config = data
        else:
            places[int(number)] = _Place(name, offset, len(data), zlib.crc32(data))
    if config is None or not places:
        raise ChunkFormatError("The tar.gz lacks config.json or frame-*.jpg.")
    in_order = [places[number] for number in sorted(places)]
    images = tuple(ImageEntry(number, places[number].crc32) for number in sorted(places))
    new_frames = _new_frames_a_gap(config)
    logger.info(
        "A chunk of the reference solution. time_to_interpolate = %d: that many new frames a gap, as its article says; "
        "its sample code makes 2^%d - 1.",
        new_frames,
        new_frames,
    )
    wants = _wants(new_frames, sorted(places))
    first = in_order[0]
    try:
        shape = jpeg_shape(_stored_data(spool, first))
    except ChunkFormatError as error:
        raise ChunkFormatError(f"{first.name}: {error}.") from error
    return ChunkConfig(shape, ImageFormat.JPEG, images, wants), in_order


def _files(spool: IO[bytes]) -> Iterator[tuple[str, int, bytes]]:
    """Yield name, offset and data of the regular files, reading past folders and harmless pax records."""
    spool.seek(0)
    tar = TarReader(BoundedReader(spool))
    for _ in range(_MAX_MEMBERS):
        member = tar.next_member()
        if member is None:
            return
        offset = spool.tell()
        if member.kind == REGULAR:
            yield member.name, offset, tar.read_data(member, limit=MAX_JPEG_BYTES)
        elif member.kind == DIRECTORY:
            tar.read_data(member, limit=0)
        elif member.kind != PAX_RECORD or not _PAX_RECORDS.fullmatch(tar.read_data(member, limit=_MAX_PAX_BYTES)):
            raise ChunkFormatError(f"{member.name}: links, devices, and records that rename a file are refused.")
    raise ChunkFormatError(f"The tar.gz has more than {_MAX_MEMBERS} members.")


def _new_frames_a_gap(config: bytes) -> int:
    if len(config) > MAX_CONFIG_BYTES:
        raise ChunkFormatError(
            f"config.json: {len(config)} bytes are more than the {MAX_CONFIG_BYTES} that it may have."
        )
    return _ReferenceConfig.from_json(config, where="config.json").time_to_interpolate


def _wants(new_frames: int, numbers: list[int]) -> tuple[Want, ...]:
    slowdown = new_frames + 1
    if new_frames * (len(numbers) - 1) > MAX_FRAMES:
        raise ChunkFormatError(f"time_to_interpolate = {new_frames} asks for more than {MAX_FRAMES} new frames.")
    return tuple(
        Want(output=index * slowdown + step, frame=number, t=Fraction(step, slowdown))
        for index, number in enumerate(numbers[:-1])
        for step in range(1, slowdown)
    )


def _stored_images(spool: IO[bytes], places: list[_Place]) -> Iterator[tuple[str, bytes]]:
    with spool:
        for place in places:
            yield place.name, _stored_data(spool, place)


def _stored_data(spool: IO[bytes], place: _Place) -> bytes:
    spool.seek(place.offset)
    return spool.read(place.size)
