"""The reference's reply: its frames and ours, in one row, in the storage."""

import io

import cv2
import numpy as np
import pytest

from slowmo_pipeline.chunks.files import ChunkReader, ResultReader
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.steps.all_frames import store_all_frames
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline_tests.support.chunk_samples import chunk_bytes, reference_bytes
from slowmo_pipeline_tests.support.interpolators import Fade


def store(storage: Storage, chunk: bytes, result: bytes) -> list[Frame]:
    """Store them and all of their frames, and read those back."""
    storage.write("in/chunk", chunk)
    storage.write("out/result", result)
    count = store_all_frames(storage, chunk="in/chunk", result="out/result", prefix="frames/shot/")
    keys = [f"frames/shot/frame-{number:07d}.png" for number in range(count)]
    assert sorted(entry.key for entry in storage.list("frames/shot/")) == keys
    images = [cv2.imdecode(np.frombuffer(storage.read(key), np.uint8), cv2.IMREAD_UNCHANGED) for key in keys]
    return [np.asarray(image)[..., ::-1] for image in images]


@pytest.mark.parametrize("chunk", [reference_bytes(), chunk_bytes(), chunk_bytes(depth=16)], ids=["jpg", "8", "16"])
def test_all_frames_lie_there_in_order(storage: Storage, chunk: bytes) -> None:
    result = handle(chunk, Fade())
    sent, made = ChunkReader(io.BytesIO(chunk)), ResultReader(io.BytesIO(result))
    new = [frame for _, frame in made.frames()]
    expected: list[Frame] = []
    for number, frame in sent.frames():
        expected.append(frame)
        expected += [each for want, each in zip(sent.wants, new, strict=True) if want.frame == number]
    np.testing.assert_array_equal(store(storage, chunk, result), expected)


def test_a_result_of_another_chunk_is_refused(folder: Storage) -> None:
    with pytest.raises(ChunkFormatError, match="expected"):
        store(folder, reference_bytes(), handle(chunk_bytes(), Fade()))
