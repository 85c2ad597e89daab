import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.chunks.documents import Want
from slowmo_pipeline.chunks.files import ChunkReader, ResultReader, write_chunk, write_result
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline_tests.support.chunk_samples import (
    HEIGHT,
    NUMBERS,
    WANTS,
    WIDTH,
    chunk_bytes,
    result_bytes,
    sample_frame,
    tar_bytes,
    untar,
)


def chunk_of(frames: Sequence[tuple[int, Frame]], wants: tuple[Want, ...] = WANTS) -> io.BytesIO:
    file = io.BytesIO()
    write_chunk(file, frames, wants, image_format=ImageFormat.LOSSLESS)
    file.seek(0)
    return file


class OneByteAtATime(io.RawIOBase):
    """A socket-like stream: not seekable, and each read returns less than was asked for."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 1))


@pytest.mark.parametrize("depth", [8, 16])
def test_lossless_frames_come_back_as_they_were(depth: int) -> None:
    chunk = ChunkReader(io.BytesIO(chunk_bytes(depth)))
    frames = list(chunk.frames())
    assert [number for number, _ in frames] == list(NUMBERS)
    for number, frame in frames:
        np.testing.assert_array_equal(frame, sample_frame(number, depth), strict=True)


def test_all_sixteen_bits_survive() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    frames = [(0, noise), (1, noise)]
    (_, frame), _ = ChunkReader(chunk_of(frames, (Want(1, 0, Fraction(1, 2)),))).frames()
    np.testing.assert_array_equal(frame, noise, strict=True)


def test_jpeg_frames_come_back_nearly_as_they_were() -> None:
    chunk = ChunkReader(io.BytesIO(chunk_bytes(image_format=ImageFormat.JPEG)))
    assert chunk.image_format is ImageFormat.JPEG
    for number, frame in chunk.frames():
        assert np.abs(frame.astype(int) - sample_frame(number)).max() <= 6


def test_views_that_are_not_contiguous_are_written_as_they_look() -> None:
    mirrored = [(number, sample_frame(number)[:, ::-1]) for number in NUMBERS]
    _, frame = next(ChunkReader(chunk_of(mirrored)).frames())
    np.testing.assert_array_equal(frame, sample_frame(NUMBERS[0])[:, ::-1])


def test_a_chunk_says_what_it_wants_before_its_frames_are_read() -> None:
    chunk = ChunkReader(io.BytesIO(chunk_bytes()))
    assert chunk.shape == FrameShape(WIDTH, HEIGHT, 8)
    assert chunk.frame_numbers == NUMBERS
    assert chunk.wants == WANTS
    assert chunk.outputs == [28, 30, 33]


def test_gaps_lie_between_neighbouring_images_and_may_want_nothing() -> None:
    frames = [(number, sample_frame(number)) for number in (0, 1, 5, 6)]
    wants = (Want(2, 1, Fraction(1, 3)), Want(3, 1, Fraction(2, 3)))
    assert ChunkReader(chunk_of(frames, wants)).times == [[], [Fraction(1, 3), Fraction(2, 3)], []]


def test_a_result_comes_back_with_who_made_it() -> None:
    result = ResultReader(io.BytesIO(result_bytes(16)))
    assert (result.model_id, result.seconds, result.outputs) == ("flow-1", 0.5, [28, 30, 33])
    for number, frame in result.frames():
        np.testing.assert_array_equal(frame, sample_frame(number, 16), strict=True)


def test_the_seconds_of_a_result_are_asked_for_after_its_last_frame() -> None:
    made: list[int] = []
    frames = ((number, sample_frame(number)) for number in (1, 2) if made.append(number) is None)  # type: ignore[func-returns-value]  # notes what was taken
    file = io.BytesIO()
    write_result(
        file, frames, count=2, model_id="m", seconds=lambda: float(len(made)), image_format=ImageFormat.LOSSLESS
    )
    file.seek(0)
    assert ResultReader(file).seconds == 2


@pytest.mark.parametrize("depth", [8, 16])
def test_equal_input_gives_equal_bytes(depth: int) -> None:
    assert chunk_bytes(depth) == chunk_bytes(depth)
    assert result_bytes(depth) == result_bytes(depth)


def test_other_tar_programs_read_a_chunk_in_its_order() -> None:
    assert list(untar(chunk_bytes())) == ["config.json", *(f"frame-{number:08d}.qoi" for number in NUMBERS)]
    listed = subprocess.run(["tar", "-tf", "-"], input=result_bytes(16), capture_output=True, check=True).stdout
    assert listed.split()[:2] == [b"result.json", b"output-00000028.png"]


def test_chunks_packed_by_another_tar_program_are_read() -> None:
    chunk = ChunkReader(io.BytesIO(tar_bytes(untar(chunk_bytes()))))
    assert [number for number, _ in chunk.frames()] == list(NUMBERS)


def test_streams_that_trickle_are_read() -> None:
    chunk = ChunkReader(OneByteAtATime(chunk_bytes()))  # type: ignore[arg-type]  # RawIOBase reads bytes, like IO
    assert [number for number, _ in chunk.frames()] == list(NUMBERS)


def test_frames_of_another_size_are_not_written() -> None:
    frames = [(0, sample_frame(0)), (1, sample_frame(1)[:-1])]
    with pytest.raises(ChunkFormatError, match="Frame 1 is 20x13, 8 bit, unlike those before: 20x14, 8 bit"):
        chunk_of(frames)


def test_nothing_is_written_when_a_rule_is_broken() -> None:
    file = io.BytesIO()
    with pytest.raises(ChunkFormatError, match="There are 1 images"):
        write_chunk(file, [(7, sample_frame(7))], WANTS, image_format=ImageFormat.LOSSLESS)
    assert file.getvalue() == b""


def test_jpeg_refuses_frames_of_sixteen_bit() -> None:
    with pytest.raises(ChunkFormatError, match="choose the lossless"):
        chunk_bytes(16, ImageFormat.JPEG)


def test_no_frames_make_no_result() -> None:
    with pytest.raises(ChunkFormatError, match="no frames"):
        write_result(io.BytesIO(), [], count=0, model_id="m", seconds=lambda: 0.0, image_format=ImageFormat.LOSSLESS)


def test_a_result_of_fewer_frames_than_announced_is_none() -> None:
    frames = [(1, sample_frame(1))]
    with pytest.raises(ChunkFormatError, match="1 frames to write, 2 were announced"):
        write_result(
            io.BytesIO(), frames, count=2, model_id="m", seconds=lambda: 0.0, image_format=ImageFormat.LOSSLESS
        )


def test_each_frame_of_a_result_is_written_before_the_next_is_made() -> None:
    file = io.BytesIO()
    written = []

    def frames() -> Iterator[tuple[int, Frame]]:
        for number in range(3):
            written.append(file.getbuffer().nbytes)
            yield number, sample_frame(number)

    write_result(file, frames(), count=3, model_id="m", seconds=lambda: 0.0, image_format=ImageFormat.LOSSLESS)

    assert written[0] < written[1] < written[2]


def test_a_result_of_before_is_read() -> None:
    """Its document had no spaces at its end: it was written once all frames were there."""
    members = untar(result_bytes())
    members["result.json"] = members["result.json"].rstrip()

    assert [number for number, _ in ResultReader(io.BytesIO(tar_bytes(members))).frames()] == [28, 30, 33]


def test_a_part_of_a_gap_lists_all_times_and_returns_some() -> None:
    file = io.BytesIO()
    frames = [(number, sample_frame(number)) for number in NUMBERS]
    write_chunk(file, frames, WANTS, image_format=ImageFormat.LOSSLESS, returned=range(29, 34))
    file.seek(0)
    chunk = ChunkReader(file)

    assert chunk.wants == WANTS
    assert (chunk.returned, chunk.outputs) == (range(1, 3), [30, 33])


def read_members(members: dict[str, bytes]) -> list[tuple[int, Frame]]:
    return list(ChunkReader(io.BytesIO(tar_bytes(members))).frames())


def test_a_changed_image_is_named() -> None:
    members = untar(chunk_bytes())
    members["frame-00000008.qoi"] = members["frame-00000007.qoi"]
    with pytest.raises(ChunkFormatError, match=r"frame-00000008\.qoi: its checksum"):
        read_members(members)


def test_images_in_another_order_are_refused() -> None:
    members = untar(chunk_bytes())
    members = dict(
        sorted(members.items(), key=lambda item: (item[0] != "config.json", item[0] == "frame-00000007.qoi"))
    )
    with pytest.raises(ChunkFormatError, match=r"frame-00000008\.qoi: frame-00000007 is expected"):
        read_members(members)


def test_a_missing_image_is_named() -> None:
    members = untar(chunk_bytes())
    del members["frame-00000012.qoi"]
    with pytest.raises(ChunkFormatError, match="frame-00000012 is missing"):
        read_members(members)


def test_a_member_too_many_is_named() -> None:
    with pytest.raises(ChunkFormatError, match=r"frame-00000013\.qoi: nothing is expected"):
        read_members({**untar(chunk_bytes()), "frame-00000013.qoi": b"x"})


def test_config_json_must_come_first() -> None:
    members = untar(chunk_bytes())
    config = members.pop("config.json")
    with pytest.raises(ChunkFormatError, match=r"frame-00000007\.qoi: the first member must be config\.json"):
        read_members({**members, "config.json": config})


def test_a_result_is_not_a_chunk() -> None:
    with pytest.raises(ChunkFormatError, match=r"first member must be config\.json"):
        ChunkReader(io.BytesIO(result_bytes()))


def test_an_empty_file_is_cut_short() -> None:
    with pytest.raises(ChunkFormatError, match="cut short"):
        ChunkReader(io.BytesIO())


@pytest.mark.parametrize(
    ("outputs", "shape", "message"),
    [
        ([28, 30, 33], FrameShape(WIDTH, HEIGHT, 16), "has frames of 20x14, 8 bit; expected are 20x14, 16 bit"),
        ([28, 30], FrameShape(WIDTH, HEIGHT, 8), "has 3 frames; expected are 2"),
        ([28, 31, 33], FrameShape(WIDTH, HEIGHT, 8), "has output 30 where 31 is expected"),
    ],
)
def test_a_result_is_held_against_what_is_expected(outputs: list[int], shape: FrameShape, message: str) -> None:
    result = ResultReader(io.BytesIO(result_bytes()))
    result.expect(outputs=[28, 30, 33], shape=FrameShape(WIDTH, HEIGHT, 8))
    with pytest.raises(ChunkFormatError, match=message):
        result.expect(outputs=outputs, shape=shape)


def test_reading_and_writing_qoi_does_not_import_opencv(tmp_path: Path) -> None:
    (tmp_path / "chunk.tar").write_bytes(chunk_bytes())
    program = (
        "import sys; from slowmo_pipeline.chunks.files import ChunkReader; "
        "assert len(list(ChunkReader(open(sys.argv[1], 'rb')).frames())) == 3; assert 'cv2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "chunk.tar")], check=True)
