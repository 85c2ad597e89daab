"""Any damaged file ends in ChunkFormatError, or in frames of the promised number, size and depth."""

import io
import json
import os
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowmo_pipeline.chunks.files import ChunkReader, ResultReader
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline_tests.support.chunk_samples import (
    chunk_bytes,
    reference_bytes,
    reference_members,
    result_bytes,
    tar_bytes,
    untar,
    with_checksum,
)

Reader = type[ChunkReader] | type[ResultReader]

SAMPLES: dict[str, tuple[Reader, bytes]] = {
    "qoi": (ChunkReader, chunk_bytes(8)),
    "png": (ChunkReader, chunk_bytes(16)),
    "jpeg": (ChunkReader, chunk_bytes(8, ImageFormat.JPEG)),
    "reference": (ChunkReader, reference_bytes()),
    "result": (ResultReader, result_bytes(16)),
}
OWN = sorted(SAMPLES.keys() - {"reference"})
# FUZZ_EXAMPLES=20000 looks further than the same few hundred of every run.
few = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    derandomize=True,
    database=None,
    deadline=None,
)

Edit = tuple[str, float, bytes]
edits = st.lists(
    st.tuples(st.sampled_from(["set", "insert", "delete", "cut"]), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


def edited(data: bytes, changes: list[Edit]) -> bytes:
    for action, place, value in changes:
        at = int(place * len(data))
        match action:
            case "set":
                data = data[:at] + value + data[at + len(value) :]
            case "insert":
                data = data[:at] + value + data[at:]
            case "delete":
                data = data[:at] + data[at + len(value) :]
            case "cut":
                data = data[: max(at, len(data) - 64 * len(value))]
    return data


def read(reader: Reader, data: bytes) -> bool:
    """Whether it was read; then everything promised was delivered."""
    try:
        opened = reader(io.BytesIO(data))
        frames = list(opened.frames())
    except ChunkFormatError:
        return False
    promised = opened.frame_numbers if isinstance(opened, ChunkReader) else opened.outputs
    assert [number for number, _ in frames] == list(promised)
    for _, frame in frames:
        assert frame.shape == (opened.shape.height, opened.shape.width, 3)
        assert frame.dtype == (np.uint8 if opened.shape.depth == 8 else np.uint16)
    if isinstance(opened, ChunkReader):
        assert len(opened.times) == len(frames) - 1
        assert sum(len(times) for times in opened.times) == len(opened.outputs)
    return True


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_samples_are_read(sample: str) -> None:
    assert read(*SAMPLES[sample])


@pytest.mark.parametrize("sample", SAMPLES)
@few
@given(changes=edits)
def test_bytes_changed_anywhere(sample: str, changes: list[Edit]) -> None:
    reader, data = SAMPLES[sample]
    read(reader, edited(data, changes))


@few
@given(changes=edits)
def test_bytes_changed_inside_a_gzip_that_is_whole(changes: list[Edit]) -> None:
    read(ChunkReader, gzip_of(edited(tar_bytes(reference_members()), changes)))


def gzip_of(data: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("sample", OWN)
@few
@given(which=st.integers(0, 3), start=st.integers(0, 511), field=st.binary(min_size=1, max_size=16))
def test_headers_changed_with_their_checksum_set_right(sample: str, which: int, start: int, field: bytes) -> None:
    reader, data = SAMPLES[sample]
    headers = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    at = headers[which % len(headers)]
    header = (data[at : at + start] + field + data[at + start + len(field) :])[:512]
    read(reader, data[:at] + with_checksum(header) + data[at + 512 :])


@pytest.mark.parametrize("sample", SAMPLES)
@few
@given(changes=edits)
def test_images_changed_with_their_checksum_set_right(sample: str, changes: list[Edit]) -> None:
    read(*with_images(sample, lambda image: edited(image, changes)))


wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 7, 8, 16, 10**8, 2**32, 2**63, 10**400])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1/3", "2/2", "0/1", "1/0", "lossless", "jpeg", "../a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("sample", SAMPLES)
@few
@given(path=st.lists(st.integers(0, 9), min_size=1, max_size=3), value=wild)
def test_documents_with_a_wild_value_in_any_field(sample: str, path: list[int], value: object) -> None:
    read(*with_document(sample, lambda data: replaced(data, path, value)))


def with_images(sample: str, change: Callable[[bytes], bytes]) -> tuple[Reader, bytes]:
    """Change all images of a sample, in a document that knows their checksums."""
    reader, members = members_of(sample)
    images = {name: change(data) for name, data in members.items() if not name.endswith(".json")}
    document = next(name for name in members if name.endswith(".json"))
    fields = json.loads(members[document])
    for entry, data in zip(fields.get("images", []), images.values(), strict=False):
        entry["crc32"] = zlib.crc32(data)
    return reader, packed(sample, {document: json.dumps(fields).encode(), **images})


def with_document(sample: str, change: Callable[[bytes], bytes]) -> tuple[Reader, bytes]:
    reader, members = members_of(sample)
    changed = {name: change(data) if name.endswith(".json") else data for name, data in members.items()}
    return reader, packed(sample, changed)


def members_of(sample: str) -> tuple[Reader, dict[str, bytes]]:
    reader, data = SAMPLES[sample]
    return reader, reference_members() if sample == "reference" else untar(data)


def packed(sample: str, members: dict[str, bytes]) -> bytes:
    return gzip_of(tar_bytes(members)) if sample == "reference" else tar_bytes(members)


def replaced(document: bytes, path: list[int], value: object) -> bytes:
    """Put a value where the path leads: each step picks a field or an item, wrapping around."""
    root = node = json.loads(document)
    for depth, step in enumerate(path):
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        key = keys[step % len(keys)]
        if depth == len(path) - 1 or not isinstance(node[key], dict | list):
            node[key] = value
            break
        node = node[key]
    return json.dumps(root).encode()
