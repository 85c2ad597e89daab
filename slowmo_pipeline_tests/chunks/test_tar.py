import io
import tarfile

import pytest

from slowmo_pipeline.chunks import tar as tarstream
from slowmo_pipeline.chunks.tar import BoundedReader, TarReader, TarWriter
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline_tests.support.chunk_samples import tar_bytes, untar, with_checksum

MEMBERS = [("a", b"1"), ("empty", b""), ("block", bytes(range(256)) * 2)]


def written(members: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    tar = TarWriter(file)
    for member in members:
        tar.add(*member)
    tar.close()
    return file.getvalue()


def read(data: bytes, limit: int = 1000) -> list[tuple[str, bytes]]:
    tar = TarReader(BoundedReader(io.BytesIO(data)))
    files = []
    while (member := tar.next_member()) is not None:
        files.append((member.name, tar.read_data(member, limit=limit)))
    return files


def test_what_is_written_is_read() -> None:
    assert read(written(MEMBERS)) == MEMBERS


def test_what_is_written_later_stands_where_room_was_left() -> None:
    file = io.BytesIO()
    tar = TarWriter(file)
    write = tar.add_later("early", 600)
    tar.add("late", b"2")
    tar.close()
    write(b"x" * 600)

    assert read(file.getvalue()) == [("early", b"x" * 600), ("late", b"2")]


def test_what_is_written_later_fills_its_room() -> None:
    write = TarWriter(io.BytesIO()).add_later("early", 3)
    with pytest.raises(ValueError, match="early has 2 bytes, its room is of 3"):
        write(b"xx")


def test_python_reads_the_same_members() -> None:
    assert untar(written(MEMBERS)) == dict(MEMBERS)


def test_members_carry_neither_owner_nor_time() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(MEMBERS))) as tar:
        for info in tar:
            assert (info.uid, info.gid, info.uname, info.gname, info.mtime, info.mode) == (0, 0, "", "", 0, 0o644)


@pytest.mark.parametrize("count", range(1, 24))
def test_the_padding_of_other_programs_is_accepted(count: int) -> None:
    members = {str(index): b"x" for index in range(count)}
    assert dict(read(tar_bytes(members))) == members


def test_a_member_larger_than_its_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(ChunkFormatError, match="block: 512 bytes are more than the 511"):
        read(written(MEMBERS), limit=511)


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 1024, 1535, 2600])
def test_a_tar_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(ChunkFormatError, match=r"cut short|end mark"):
        read(written(MEMBERS)[:cut])


def test_a_tar_without_its_second_end_block_is_refused() -> None:
    with pytest.raises(ChunkFormatError, match="end mark"):
        read(written(MEMBERS)[:-512])


def test_something_behind_the_end_is_refused() -> None:
    with pytest.raises(ChunkFormatError, match="something follows"):
        read(written(MEMBERS) + b"x")


def test_something_in_the_padding_is_refused() -> None:
    data = bytearray(written(MEMBERS))
    data[1023] = 1
    with pytest.raises(ChunkFormatError, match="a: the bytes that fill"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("start", "field", "message"),
    [
        (124, b"\x80" + bytes(10) + b"\x01", "no plain size"),  # base 256, GNU's way beyond 8 GiB
        (124, b"-0000000001\0", "no plain size"),
        (345, b"folder", "continues its name"),
        (0, b"a b", "must be printable ASCII"),
        (0, "ä".encode(), "must be printable ASCII"),
        (0, b"a\0b", "must be printable ASCII"),
        (257, b"posix\x0000", "not of the ustar format"),
    ],
)
def test_headers_that_are_not_plain_are_refused(start: int, field: bytes, message: str) -> None:
    data = written(MEMBERS)
    header = with_checksum(data[:start] + field + data[start + len(field) : 512])
    with pytest.raises(ChunkFormatError, match=message):
        read(header + data[512:])


def test_a_changed_header_is_refused() -> None:
    data = written(MEMBERS)
    with pytest.raises(ChunkFormatError, match="header is damaged"):
        read(b"b" + data[1:])


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, b"x", b"L", b"S"])
def test_a_file_that_is_none_is_refused(kind: bytes) -> None:
    data = written(MEMBERS)
    tar = TarReader(BoundedReader(io.BytesIO(with_checksum(data[:156] + kind + data[157:512]) + data[512:])))
    with pytest.raises(ChunkFormatError, match="a: not a regular file"):
        tar.read_file(expected="a", limit=100)


def test_a_stream_longer_than_its_limit_is_refused() -> None:
    stream = BoundedReader(io.BytesIO(bytes(11)), limit=10)
    assert stream.peek(2) == bytes(2)
    assert stream.read(6) == bytes(6)
    with pytest.raises(ChunkFormatError, match="larger than 10 bytes"):
        stream.read(6)


def test_a_tar_larger_than_an_endpoint_accepts_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    total = len(written(MEMBERS))
    monkeypatch.setattr(tarstream, "MAX_TAR_BYTES", total)
    assert len(written(MEMBERS)) == total
    monkeypatch.setattr(tarstream, "MAX_TAR_BYTES", total - 1)
    with pytest.raises(ChunkFormatError, match=f"would have {total} bytes and more"):
        written(MEMBERS)
