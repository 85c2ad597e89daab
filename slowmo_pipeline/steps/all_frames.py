"""All frames of one request as images in the storage: what the reference solution's endpoint leaves there.

Ours answers with the new frames alone, so that nothing travels twice.
"""

from collections import Counter
from collections.abc import Iterator

from slowmo_pipeline.chunks.files import ChunkReader, ResultReader
from slowmo_pipeline.chunks.images import encode_png
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.steps.frame_files import frame_name
from slowmo_pipeline.storage.base import Storage


def store_all_frames(storage: Storage, *, chunk: str, result: str, prefix: str) -> int:
    """Write a chunk's frames and the new ones between them as PNG below a prefix; returns how many.

    `chunk` and `result` are the keys of what was sent and of what came back; the prefix ends in a slash. Raises
    ChunkFormatError for a result that is not of this chunk.
    """
    count = 0
    with (
        storage.local_file(chunk) as sent,
        storage.local_file(result) as answered,
        sent.open("rb") as chunk_file,
        answered.open("rb") as result_file,
    ):
        for frame in merged(ChunkReader(chunk_file), ResultReader(result_file)):
            storage.write(prefix + frame_name(count), encode_png(frame))
            count += 1
    return count


def merged(chunk: ChunkReader, result: ResultReader) -> Iterator[Frame]:
    """Yield the frames of a chunk, each followed by the new ones before the next. Raises ChunkFormatError."""
    result.expect(outputs=chunk.outputs, shape=chunk.shape)
    new_after = Counter(chunk.wants[place].frame for place in chunk.returned)
    new_frames = result.frames()
    for number, frame in chunk.frames():
        yield frame
        for _ in range(new_after[number]):
            yield next(new_frames)[1]
