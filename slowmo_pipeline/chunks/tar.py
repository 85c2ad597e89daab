"""Strict tar, as a stream: plain members one after another, each read whole, none larger than its reader allows.

The standard library's tarfile is not used for reading: it follows long names, sparse maps and pax records, and damage
does not always end in its TarError (a negative size: ValueError, of a seek). Format: POSIX.1-1988 ustar.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from slowmo_pipeline.errors import ChunkFormatError

MAX_TAR_BYTES = 10**9
"""SageMaker's asynchronous endpoints take payloads of up to 1 GB. A compressed tar may not unpack to more either."""

REGULAR = b"0"
DIRECTORY = b"5"
PAX_RECORD = b"x"

_BLOCK = 512
_END_MARK = bytes(2 * _BLOCK)
_RECORD = 20 * _BLOCK  # tar programs fill their files with zeros up to a multiple of this
_PIECE = 1 << 20

_MAGIC = slice(257, 265)
_MAGICS = (b"ustar\x0000", b"ustar  \x00")  # POSIX; GNU tar's default
_CHECKSUM = slice(148, 156)
_NAME_FIELD = re.compile(rb"([\x21-\x7e]{1,100})\0*")
_SIZE_FIELD = re.compile(rb"([0-7]{11})[\0 ]")
_CHECKSUM_FIELD = re.compile(rb"([0-7]{6})\0 ")


class BoundedReader:
    """Reads a stream, seekable or not, and raises ChunkFormatError once it delivers more bytes than the limit."""

    def __init__(self, file: IO[bytes], *, limit: int = MAX_TAR_BYTES) -> None:
        self._file = file
        self._limit = limit
        self._left = limit
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Return the first bytes of the stream before anything is read; fewer than `size` if it is shorter."""
        self._head = self._pull(size)
        return self._head

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end of the stream."""
        size = min(size, self._left + 1)
        head, self._head = self._head[:size], self._head[size:]
        data = head + self._pull(size - len(head))
        if len(data) > self._left:
            raise ChunkFormatError(f"The file is larger than {self._limit} bytes: plan smaller chunks.")
        self._left -= len(data)
        return data

    def _pull(self, size: int) -> bytes:
        # In pieces: a size field that lies must not make the file object allocate what it promises.
        pieces = []
        while size > 0 and (piece := self._file.read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


@dataclass(frozen=True)
class Member:
    """The header of a member; its data comes next in the stream."""

    name: str
    """Printable ASCII, as it stands in the header."""
    size: int
    """Bytes of data promised."""
    kind: bytes
    """The type flag: REGULAR, or one of those that readers refuse or skip knowingly."""


class TarReader:
    """Reads the members of an uncompressed tar in order. Whatever is wrong with it is a ChunkFormatError."""

    def __init__(self, stream: BoundedReader) -> None:
        self._stream = stream

    def next_member(self) -> Member | None:
        """Read the next header; None after the last member, once nothing but zeros was found behind it."""
        header = self._stream.read(_BLOCK)
        if header == _END_MARK[:_BLOCK]:
            self._expect_end()
            return None
        if len(header) < _BLOCK:
            raise ChunkFormatError("The tar is cut short: it ends without its end mark.")
        return _parse_header(header)

    def read_data(self, member: Member, *, limit: int) -> bytes:
        """Return the data of the member read last, of at most `limit` bytes."""
        if member.size > limit:
            raise ChunkFormatError(f"{member.name}: {member.size} bytes are more than the {limit} that it may have.")
        data = self._stream.read(member.size)
        padding = self._stream.read(-member.size % _BLOCK)
        if len(data) + len(padding) < member.size + -member.size % _BLOCK:
            raise ChunkFormatError(f"{member.name}: the tar is cut short inside it.")
        if any(padding):
            raise ChunkFormatError(f"{member.name}: the bytes that fill its last block are not zero.")
        return data

    def read_file(self, *, expected: str, limit: int) -> tuple[str, bytes]:
        """Return name and data of the next member, which must be a regular file; `expected` says which, in errors."""
        member = self.next_member()
        if member is None:
            raise ChunkFormatError(f"{expected} is missing: the tar ends before it.")
        if member.kind != REGULAR:
            raise ChunkFormatError(f"{member.name}: not a regular file; links, folders and extensions are refused.")
        return member.name, self.read_data(member, limit=limit)

    def expect_no_more(self) -> None:
        """Raise if a member is left."""
        member = self.next_member()
        if member is not None:
            raise ChunkFormatError(f"{member.name}: nothing is expected here, all members were read.")

    def _expect_end(self) -> None:
        rest = self._stream.read(_RECORD + 1)
        if not _BLOCK <= len(rest) <= _RECORD or any(rest):
            raise ChunkFormatError("The end mark of the tar is damaged, or something follows it.")


def _parse_header(header: bytes) -> Member:
    checksum = _CHECKSUM_FIELD.fullmatch(header[_CHECKSUM])
    if checksum is None or int(checksum[1], 8) != _checksum(header) or header[_MAGIC] not in _MAGICS:
        raise ChunkFormatError("A member's tar header is damaged, or is not of the ustar format.")
    name = _NAME_FIELD.fullmatch(header[:100])
    if name is None:
        raise ChunkFormatError(f"{header[:100]!r}: a member's name must be printable ASCII without spaces.")
    size = _SIZE_FIELD.fullmatch(header[124:136])
    if size is None or any(header[345:500]):
        raise ChunkFormatError(f"{name[1].decode()}: its tar header holds no plain size, or continues its name.")
    kind = header[156:157]
    return Member(name[1].decode(), int(size[1], 8), REGULAR if kind == b"\0" else kind)


def _checksum(header: bytes) -> int:
    # The checksum field itself counts as eight spaces.
    return sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ")


class TarWriter:
    """Writes a tar of regular files: the same bytes for the same names and data, without owner or time, mode 0644.

    Raises ChunkFormatError before it writes what would make the tar larger than MAX_TAR_BYTES.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = len(_END_MARK)

    def add(self, name: str, data: bytes) -> None:
        """Write the next member."""
        self._size += _BLOCK + len(data) + -len(data) % _BLOCK
        if self._size > MAX_TAR_BYTES:
            raise ChunkFormatError(
                f"The tar would have {self._size} bytes and more, of {MAX_TAR_BYTES} allowed: plan smaller chunks."
            )
        self._file.write(_header(name, len(data)))
        self._file.write(data)
        self._file.write(bytes(-len(data) % _BLOCK))

    def add_later(self, name: str, size: int) -> Callable[[bytes], None]:
        """Leave room for the next member, in a seekable file; what is returned writes its data of that size there."""
        start = self._file.tell() + _BLOCK
        self.add(name, bytes(size))

        def write(data: bytes) -> None:
            if len(data) != size:
                raise ValueError(f"{name} has {len(data)} bytes, its room is of {size}.")
            end = self._file.tell()
            self._file.seek(start)
            self._file.write(data)
            self._file.seek(end)

        return write

    def close(self) -> None:
        """Write the end mark; the file stays open."""
        self._file.write(_END_MARK)


def _header(name: str, size: int) -> bytes:
    # Not tarfile's: what it writes of a plain file has changed from one Python to another (bpo-18819, bpo-45863).
    fields = (
        (name.encode("ascii"), 100),
        (b"0000644", 8),  # mode
        (b"0000000", 8),  # user
        (b"0000000", 8),  # group
        (b"%011o" % size, 12),
        (b"%011o" % 0, 12),  # time
        (b" " * 8, 8),  # checksum, set below
        (REGULAR, 1),
        (b"", 100),  # link target
        (_MAGICS[0], 8),
        (b"", 247),  # owner's names, device numbers, prefix
    )
    header = b"".join(value.ljust(width, b"\0") for value, width in fields)
    return header[: _CHECKSUM.start] + b"%06o\0 " % _checksum(header) + header[_CHECKSUM.stop :]
