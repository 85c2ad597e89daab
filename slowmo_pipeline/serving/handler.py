"""What an endpoint does with a request: a chunk's bytes in, a result's bytes out.

No AWS, no HTTP and no storage here: thin adapters around it bring those, and `failure.py` names the status code of
what it raises.
"""

import io
import time
from typing import BinaryIO

from slowmo_pipeline.chunks.files import ChunkReader, write_result
from slowmo_pipeline.interpolation.base import Interpolator


def handle(body: bytes | BinaryIO, interpolator: Interpolator) -> bytes:
    """Synthesise the new frames that a chunk wants and return them as a result file.

    Frames are decoded, interpolated and encoded one after another; only the encoded result is held whole, once.
    Raises ChunkFormatError for a chunk that does not follow the wire format, and whatever the interpolator raises.
    """
    reader = ChunkReader(io.BytesIO(body) if isinstance(body, bytes) else body)
    started = time.perf_counter()
    frames = interpolator.render((frame for _, frame in reader.frames()), reader.times, returned=reader.returned)
    result = io.BytesIO()
    write_result(
        result,
        zip(reader.outputs, frames, strict=True),
        count=len(reader.returned),
        model_id=interpolator.model_id,
        seconds=lambda: time.perf_counter() - started,
        image_format=reader.image_format,
    )
    return result.getvalue()
