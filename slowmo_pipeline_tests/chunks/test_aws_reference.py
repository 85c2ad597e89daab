import gzip
import io
import json
import tarfile
from fractions import Fraction

import numpy as np
import pytest

from slowmo_pipeline.chunks.files import ChunkReader
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import FrameShape
from slowmo_pipeline_tests.support.chunk_samples import (
    HEIGHT,
    REFERENCE_CONFIG,
    WIDTH,
    jpeg_bytes,
    reference_bytes,
    reference_members,
    sample_frame,
    tar_bytes,
)


def read(data: bytes) -> ChunkReader:
    return ChunkReader(io.BytesIO(data))


def test_images_come_in_the_order_of_their_numbers_whatever_the_order_in_the_tar() -> None:
    chunk = read(reference_bytes())
    assert (chunk.shape, chunk.image_format) == (FrameShape(WIDTH, HEIGHT, 8), ImageFormat.JPEG)
    numbers = []
    for number, frame in chunk.frames():
        numbers.append(number)
        assert abs(float(frame[..., 2].mean()) - number) < 2
        assert np.abs(frame.astype(int) - sample_frame(number)).max() < 40
    assert numbers == [1, 2, 3]


def test_outputs_count_along_the_slowed_time_line() -> None:
    chunk = read(reference_bytes())
    assert chunk.outputs == [1, 2, 4, 5]
    assert [want.frame for want in chunk.wants] == [1, 1, 2, 2]
    assert chunk.times == [[Fraction(1, 3), Fraction(2, 3)]] * 2


def test_what_the_two_readings_of_its_factor_are_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    read(with_config(time_to_interpolate=3))

    assert caplog.messages == [
        "A chunk of the reference solution. time_to_interpolate = 3: that many new frames a gap, as its article says; "
        "its sample code makes 2^3 - 1."
    ]


@pytest.mark.parametrize("prefix", ["./", "clip/", "./clip/"])
@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_may_stand_in_a_folder_and_python_may_have_packed_them(prefix: str, tar_format: int) -> None:
    data = gzip.compress(tar_bytes(reference_members(prefix=prefix), tar_format))
    assert [number for number, _ in read(data).frames()] == [1, 2, 3]


def test_a_folder_packed_whole_is_read() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        folder = tarfile.TarInfo("clip/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in reference_members(prefix="clip/").items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert len(list(read(file.getvalue()).frames())) == 3


def with_config(**changes: object) -> bytes:
    config = {**json.loads(REFERENCE_CONFIG), **changes}
    return reference_bytes({**reference_members(), "config.json": json.dumps(config).encode()})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_config(time_to_interpolate=0), "time_to_interpolate = 0 must be at least 1"),
        (with_config(time_to_interpolate=1.5), "time_to_interpolate = 1.5 must be an integer"),
        (with_config(time_to_interpolate=10**6), "asks for more than"),
        (with_config(align="64"), "align = '64' must be an integer"),
        (with_config(codec="png"), "'codec' is not a field"),
        (reference_bytes({"config.json": REFERENCE_CONFIG}), "lacks"),
        (reference_bytes({"frame-0000001.jpg": jpeg_bytes(1)}), "lacks"),
        (reference_bytes({**reference_members(), "../evil": b""}), r"\.\./evil: only"),
        (reference_bytes({**reference_members(), "clip/config.json": b"{}"}), "clip/config.json: is there twice"),
        (reference_bytes({**reference_members(), "frame-0000001.jpg": b"\xff\xd8"}), r"frame-0000001\.jpg: the JPEG"),
        (reference_bytes() + b"x", "Something follows"),
        (reference_bytes()[:-1], "cut short"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    with pytest.raises(ChunkFormatError, match=message):
        read(data)


def test_links_are_refused() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        link = tarfile.TarInfo("frame-0000001.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ChunkFormatError, match="links"):
        read(file.getvalue())


def test_pax_records_that_rename_a_file_are_refused() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("frame-0000001.jpg")
        info.pax_headers = {"path": "frame-0000002.jpg"}
        tar.addfile(info)
    with pytest.raises(ChunkFormatError, match="rename"):
        read(file.getvalue())


def test_images_of_another_size_are_refused() -> None:
    members = reference_members()
    chunk = read(
        reference_bytes(
            {**members, "frame-0000002.jpg": jpeg_bytes(2).replace(b"\x00\x0e\x00\x14", b"\x00\x0f\x00\x14")}
        )
    )
    with pytest.raises(ChunkFormatError, match=r"frame-0000002\.jpg: the image is 20x15, 8 bit, not 20x14, 8 bit"):
        list(chunk.frames())
