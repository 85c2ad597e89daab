import json
from dataclasses import replace
from fractions import Fraction

import pytest

from slowmo_pipeline.chunks.documents import (
    MAX_CONFIG_BYTES,
    MAX_FRAMES,
    MAX_NUMBER,
    ChunkConfig,
    ImageEntry,
    ResultConfig,
    Want,
    max_result_document_bytes,
)
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import FrameShape

SHAPE = FrameShape(20, 14, 8)
IMAGES = (ImageEntry(120, 1), ImageEntry(121, 2))
CONFIG = ChunkConfig(
    SHAPE, ImageFormat.LOSSLESS, IMAGES, (Want(481, 120, Fraction(1, 4)), Want(482, 120, Fraction(1, 2)))
)
RESULT = ResultConfig(SHAPE, IMAGES, "flow-1", 0.25)
CONFIG_JSON = (
    b'{"depth":8,"format":1,"height":14,"image_format":"lossless",'
    b'"images":[{"crc32":1,"number":120},{"crc32":2,"number":121}],'
    b'"wanted":[{"frame":120,"output":481,"t":"1/4"},{"frame":120,"output":482,"t":"1/2"}],"width":20}'
)


def wanting(*wants: Want, images: tuple[ImageEntry, ...] = IMAGES) -> ChunkConfig:
    return ChunkConfig(SHAPE, ImageFormat.LOSSLESS, images, wants)


def test_config_json_is_canonical() -> None:
    assert CONFIG.to_json() == CONFIG_JSON


def test_what_is_written_is_read() -> None:
    assert ChunkConfig.from_json(CONFIG_JSON) == CONFIG
    assert ResultConfig.from_json(RESULT.to_json()) == RESULT


def test_part_of_a_gap_is_another_format() -> None:
    part = replace(CONFIG, returned=range(482, 500))
    data = part.to_json()

    assert b'"format":2' in data
    assert ChunkConfig.from_json(data) == part
    assert part.returned_wants == range(1, 2)


@pytest.mark.parametrize("returned", [range(481), range(483, 500), range(482, 482), range(482, 481)])
def test_part_that_returns_nothing_is_refused(returned: range) -> None:
    with pytest.raises(ChunkFormatError, match="nothing would come back"):
        replace(CONFIG, returned=returned)


def test_results_have_one_format() -> None:
    data = RESULT.to_json().replace(b'"format":1', b'"format":2')
    with pytest.raises(ChunkFormatError, match="format 2 is not 1"):
        ResultConfig.from_json(data)


@pytest.mark.parametrize(
    ("wants", "message"),
    [
        ((), "0 new frames are wanted"),
        ((Want(1, 121, Fraction(1, 2)),), "lies in no gap"),
        ((Want(1, 119, Fraction(1, 2)),), "lies in no gap"),
        ((Want(1, 120, Fraction(0)),), "lies in no gap"),
        ((Want(1, 120, Fraction(1)),), "lies in no gap"),
        ((Want(10**8, 120, Fraction(1, 2)),), "lies in no gap"),
        ((Want(2, 120, Fraction(1, 4)), Want(2, 120, Fraction(1, 2))), "does not come after"),
        ((Want(1, 120, Fraction(1, 2)), Want(2, 120, Fraction(1, 2))), "does not come after"),
        ((Want(1, 120, Fraction(1, 2)),) * (MAX_FRAMES + 1), "allowed are 1 to"),
    ],
)
def test_wants_that_break_a_rule_are_refused(wants: tuple[Want, ...], message: str) -> None:
    with pytest.raises(ChunkFormatError, match=message):
        wanting(*wants)


def test_wants_of_later_gaps_must_not_come_first() -> None:
    images = (*IMAGES, ImageEntry(122, 3))
    with pytest.raises(ChunkFormatError, match="does not come after"):
        wanting(Want(1, 121, Fraction(1, 4)), Want(2, 120, Fraction(1, 2)), images=images)


@pytest.mark.parametrize("numbers", [(5, 5), (6, 5), (-1, 5), (5, 10**8)])
def test_numbers_of_images_must_ascend_within_bounds(numbers: tuple[int, int]) -> None:
    with pytest.raises(ChunkFormatError, match="must ascend"):
        ResultConfig(SHAPE, tuple(ImageEntry(number, 0) for number in numbers), "m", 0.0)


@pytest.mark.parametrize("shape", [FrameShape(0, 14, 8), FrameShape(1 << 14, 1 << 13, 8), FrameShape(20, 14, 10)])
def test_shapes_out_of_bounds_are_refused(shape: FrameShape) -> None:
    with pytest.raises(ChunkFormatError, match="not supported"):
        ResultConfig(shape, IMAGES, "m", 0.0)


@pytest.mark.parametrize("model_id", ["", "../evil", "a/b", ".hidden", "\ud800", "m" * 129, "m\n"])
def test_model_ids_that_are_no_part_of_a_key_are_refused(model_id: str) -> None:
    with pytest.raises(ChunkFormatError, match="model_id"):
        ResultConfig(SHAPE, IMAGES, model_id, 0.0)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_seconds_must_be_a_duration(seconds: float) -> None:
    with pytest.raises(ChunkFormatError, match="seconds"):
        ResultConfig(SHAPE, IMAGES, "m", seconds)


def test_times_of_more_than_eighteen_digits_are_not_written() -> None:
    with pytest.raises(ChunkFormatError, match="18 digits"):
        wanting(Want(1, 120, Fraction(1, 10**18))).to_json()


def test_the_room_for_a_document_is_large_enough() -> None:
    for count in (1, 3000):
        images = tuple(ImageEntry(MAX_NUMBER - count + index, 2**32 - 1) for index in range(count))
        result = ResultConfig(FrameShape(8191, 8190, 16), images, "m" * 128, 12345.678901234567)
        assert len(result.to_json()) <= max_result_document_bytes(count)


def test_the_largest_document_is_read_again() -> None:
    first = MAX_NUMBER - MAX_FRAMES
    images = tuple(ImageEntry(first + index, 2**32 - 1) for index in range(MAX_FRAMES))
    wants = (Want(first + index, first, Fraction(10**17 + index, 10**18 - 1)) for index in range(MAX_FRAMES))
    data = wanting(*wants, images=images).to_json()
    assert len(data) <= MAX_CONFIG_BYTES
    assert len(ChunkConfig.from_json(data).wants) == MAX_FRAMES


@pytest.mark.parametrize("t", ["1", "0.5", "1/0", "-1/-2", "1/2 ", " 1/2", "1_0/20", "١/٢", "1/2\n", "1" * 19 + "/2"])  # noqa: RUF001 - digits that int() takes
def test_times_are_plain_fractions(t: str) -> None:
    data = CONFIG_JSON.replace(b'"1/2"', json.dumps(t).encode())
    with pytest.raises(ChunkFormatError, match=r"wanted\[1\]: t = .* must be a fraction"):
        ChunkConfig.from_json(data)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"format":1', b'"format":3', "format 3 is not 1 or 2"),
        (b'"format":1', b'"format":2', "'returned' belongs to format 2"),
        (b'"width":20', b'"width":20,"returned":{"end":9,"first":1}', "'returned' belongs to format 2"),
        (b'"format":1,', b"", "'format' is missing"),
        (b'"width":20', b'"width":20,"colour":"red"', "'colour' is not a field"),
        (b'"number":121', b'"number":121,"x":1', r"images\[1\]: 'x' is not a field"),
        (b'"width":20', b'"width":true', "width = True must be an integer"),
        (b'"width":20', b'"width":20.0', "width = 20.0 must be an integer"),
        (b'"width":20', b'"width":-1', "width = -1 must be an integer"),
        (b'"width":20', b'"width":NaN', "NaN is not a number"),
        (b'"width":20', b'"width":1' + b"0" * 5000, "not JSON"),
        (b'"lossless"', b'"gif"', "'gif' is not a valid"),
        (b'"lossless"', b"[]", "image_format = .* must be a string"),
        (b'[{"crc32":1', b'[3,{"crc32":1', r"images\[0\]: must be a JSON object"),
        (CONFIG_JSON, b"[]", "must be a JSON object"),
        (CONFIG_JSON, b"", "not JSON"),
        (CONFIG_JSON, b"\xff", "not JSON"),
        (CONFIG_JSON, b"[" * 10**6, "nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(old: bytes, new: bytes, message: str) -> None:
    with pytest.raises(ChunkFormatError, match=message):
        ChunkConfig.from_json(CONFIG_JSON.replace(old, new))
