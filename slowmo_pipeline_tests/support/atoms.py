"""QuickTime files written atom by atom, so that their headers can claim what no writer would."""

import struct
from collections.abc import Sequence

Runs = Sequence[tuple[int, ...]]

_MATRIX = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def atom(kind: bytes, *body: bytes) -> bytes:
    data = b"".join(body)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def numbers(*values: int) -> bytes:
    """32 bits each."""
    return struct.pack(f">{len(values)}I", *values)


def full_atom(kind: bytes, *body: bytes, flags: int = 0) -> bytes:
    return atom(kind, numbers(flags), *body)


def table(kind: bytes, rows: Runs) -> bytes:
    return full_atom(kind, numbers(len(rows)), *(numbers(*row) for row in rows))


def pictures(count: int, *, number: int = 1, size: int = 1, offset: int = 0, claimed_ctts: int | None = None) -> bytes:
    """A track of `count` JPEG pictures of `size` bytes each, from `offset` of the file on."""
    entry = (bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">2H", 64, 48), numbers(0x480000, 0x480000, 0))
    described = atom(b"jpeg", *entry, struct.pack(">H", 1), bytes(32), struct.pack(">2H", 24, 0xFFFF))
    extra = table(b"ctts", [(claimed_ctts, 1)]) if claimed_ctts is not None else b""
    return _track(b"vide", full_atom(b"vmhd", bytes(8)), described, count, number, size, offset, extra)


def sound(count: int, *, number: int = 2) -> bytes:
    """A track of `count` packets of AAC, a byte each."""
    entry = (bytes(6), struct.pack(">H", 1), bytes(8), struct.pack(">4H", 1, 16, 0, 0), numbers(48000 << 16))
    return _track(b"soun", full_atom(b"smhd", bytes(4)), atom(b"mp4a", *entry), count, number, 1, 0, b"")


def _track(
    kind: bytes, header: bytes, entry: bytes, count: int, number: int, size: int, offset: int, extra: bytes
) -> bytes:
    runs = [(count, 2)] if count else []
    chunks = [(1, count, 1)] if count else []
    tables = atom(
        b"stbl",
        full_atom(b"stsd", numbers(1), entry),
        table(b"stts", runs),
        table(b"stsc", chunks),
        full_atom(b"stsz", numbers(size, count)),
        table(b"stco", [(offset,)] if count else []),
        extra,
    )
    places = atom(b"dinf", full_atom(b"dref", numbers(1), full_atom(b"url ", flags=1)))
    media = atom(
        b"mdia",
        full_atom(b"mdhd", numbers(0, 0, 1000, 2 * count), bytes(4)),
        full_atom(b"hdlr", numbers(0), kind, bytes(13)),
        atom(b"minf", header, places, tables),
    )
    shown = full_atom(b"tkhd", numbers(0, 0, number, 0, 0), bytes(16), numbers(*_MATRIX, 64 << 16, 48 << 16), flags=3)
    return atom(b"trak", shown, media)


def movie(*tracks: bytes, data: bytes = b"", fragments: bytes = b"") -> bytes:
    """A file of tracks, its data at the end but for fragments, of which the header tells when there are any."""
    extends = atom(b"mvex", full_atom(b"trex", numbers(1, 1, 1, 1, 0))) if fragments else b""
    header = full_atom(b"mvhd", numbers(0, 0, 1000, 1000, 0x10000), bytes(12), numbers(*_MATRIX), bytes(24), numbers(9))
    return b"".join(
        (
            atom(b"ftyp", b"qt  ", bytes(4), b"qt  "),
            atom(b"moov", header, *tracks, extends),
            fragments,
            atom(b"mdat", data),
        )
    )


def with_described(data: bytes, entry: bytes, added: bytes) -> bytes:
    """A file with an atom added to the description of its first track; those around it, and so the file, grow."""
    grown = bytearray(data)
    start = grown.index(entry, grown.index(b"stsd")) - 4
    [size] = struct.unpack_from(">I", grown, start)
    around = [grown.index(kind) - 4 for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")]
    for place in (*around, start):
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", grown, place)[0] + len(added))
    grown[start + size : start + size] = added
    return bytes(grown)


def fragment(claimed: int, *, runs: int) -> bytes:
    """A fragment of runs that each claim so many samples, of which nothing stands in the file."""
    empty = full_atom(b"trun", numbers(claimed, 0), flags=1)
    return atom(
        b"moof",
        full_atom(b"mfhd", numbers(1)),
        atom(b"traf", full_atom(b"tfhd", numbers(1), flags=0x20000), *[empty] * runs),
    )
