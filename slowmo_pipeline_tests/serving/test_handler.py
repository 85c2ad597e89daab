import io
import json

import numpy as np
import pytest

from slowmo_pipeline.chunks.files import ResultReader
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.serving.failure import Failure
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline_tests.support.interpolators import OUT_OF_MEMORY, Fade, Scripted
from slowmo_pipeline_tests.support.local_server import grey_chunk


def test_result_holds_the_wanted_frames_under_their_numbers() -> None:
    result = ResultReader(io.BytesIO(handle(grey_chunk(100), Fade())))

    assert result.model_id == "fade-1"
    assert result.seconds > 0
    assert result.outputs == [1]
    [(_, frame)] = result.frames()
    assert np.all(frame == 120)


def test_body_may_be_a_file() -> None:
    chunk = grey_chunk(100)

    assert len(handle(io.BytesIO(chunk), Fade())) == len(handle(chunk, Fade()))


@pytest.mark.parametrize("damage", [slice(0, 600), slice(1, None), slice(0, 0)])
def test_damaged_chunk_is_a_chunk_format_error(damage: slice) -> None:
    with pytest.raises(ChunkFormatError):
        handle(grey_chunk(100)[damage], Fade())


def test_an_interpolator_that_makes_too_few_frames_is_no_result() -> None:
    class Idle(Fade):
        def render(self, *_, **__):  # type: ignore[no-untyped-def]  # the arguments do not matter
            return iter(())

    with pytest.raises(ValueError, match="shorter"):
        handle(grey_chunk(100), Idle())


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ChunkFormatError("cut short"), 400),
        (MemoryError(), 507),
        (ResourceExhaustedError("OOM when allocating tensor"), 507),
        (ZeroDivisionError("division by zero"), 500),
    ],
)
def test_every_adapter_maps_exceptions_alike(error: Exception, code: int) -> None:
    failure = json.loads(Failure.of(error).body())

    assert failure == {"code": code, "error": type(error).__name__, "message": str(error)}


def test_a_failing_interpolator_is_no_bad_chunk() -> None:
    with pytest.raises(MemoryError) as caught:
        handle(grey_chunk(OUT_OF_MEMORY), Scripted())

    assert Failure.of(caught.value).code == 507
