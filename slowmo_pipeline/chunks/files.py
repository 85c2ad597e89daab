"""The wire format: chunks go to an interpolator, results come back. Deterministic to write, strict to read.

    chunk    config.json, frame-00000120.qoi, frame-00000121.qoi, …
    result   result.json, output-00000481.qoi, output-00000482.qoi, …     (new frames only)

Both are uncompressed tars (tar.py) of a JSON document (documents.py) and images in its order (images.py).
The reference solution's chunks are read as well (aws_reference.py).

Readers trust nothing: sizes, counts and names are held against bounds before anything is read, and image headers
before anything is decoded. A damaged or hostile file ends in ChunkFormatError, whenever it is noticed, or delivers
frames of the promised numbers, size and depth. Memory: the document, and one image at a time.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import PurePosixPath
from typing import IO

from slowmo_pipeline.chunks import images
from slowmo_pipeline.chunks.aws_reference import GZIP_MAGIC, read_reference_chunk
from slowmo_pipeline.chunks.documents import (
    MAX_CONFIG_BYTES,
    ChunkConfig,
    ImageEntry,
    ResultConfig,
    Want,
    max_result_document_bytes,
)
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.chunks.tar import BoundedReader, TarReader, TarWriter
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import Frame, FrameShape

_CHUNK_DOCUMENT = "config.json"
_CHUNK_STEM = "frame"
_RESULT_DOCUMENT = "result.json"
_RESULT_STEM = "output"


class ChunkReader:
    """A chunk, read from a stream: what it wants at once, its frames as they are asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read up to the first image. The file need not be seekable, and must stay open while frames are read."""
        stream = BoundedReader(file)
        if stream.peek(len(GZIP_MAGIC)) == GZIP_MAGIC:
            self._config, members = read_reference_chunk(stream)
        else:
            tar = TarReader(stream)
            self._config = ChunkConfig.from_json(_read_document(tar, _CHUNK_DOCUMENT))
            members = _read_images(tar, _CHUNK_STEM, self._config.images, self._config.shape)
        self._frames = _decode(members, self._config.images, self._config.shape)

    @property
    def shape(self) -> FrameShape:
        """Height, width and depth, the same for every frame of the chunk."""
        return self._config.shape

    @property
    def image_format(self) -> ImageFormat:
        """What the result is to be written in."""
        return self._config.image_format

    @property
    def frame_numbers(self) -> tuple[int, ...]:
        """Numbers of its frames, ascending; they may skip."""
        return tuple(entry.number for entry in self._config.images)

    @property
    def wants(self) -> tuple[Want, ...]:
        """The wanted new frames, in order. Not all of them need to come back: see `returned`."""
        return self._config.wants

    @property
    def times(self) -> list[list[Fraction]]:
        """For each frame but the last, the times wanted before the next one: what an interpolator renders."""
        times: dict[int, list[Fraction]] = {number: [] for number in self.frame_numbers[:-1]}
        for want in self.wants:
            times[want.frame].append(want.t)
        return list(times.values())

    @property
    def returned(self) -> range:
        """Which of the wanted new frames come back, by their place in `wants`."""
        return self._config.returned_wants

    @property
    def outputs(self) -> list[int]:
        """Numbers of the new frames that come back, in the order in which rendering `times` makes them."""
        return [self.wants[place].output for place in self.returned]

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yield number and frame, in order. The stream is read once: a second call continues the first."""
        return self._frames


class ResultReader:
    """A result, read from a stream: what it is at once, its frames as they are asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read up to the first image. The file need not be seekable, and must stay open while frames are read."""
        tar = TarReader(BoundedReader(file))
        self._config = ResultConfig.from_json(_read_document(tar, _RESULT_DOCUMENT))
        members = _read_images(tar, _RESULT_STEM, self._config.images, self._config.shape)
        self._frames = _decode(members, self._config.images, self._config.shape)

    @property
    def shape(self) -> FrameShape:
        """Height, width and depth, the same for every frame of the result."""
        return self._config.shape

    @property
    def model_id(self) -> str:
        """Of the interpolator that made the frames."""
        return self._config.model_id

    @property
    def seconds(self) -> float:
        """How long the interpolator worked on the frames."""
        return self._config.seconds

    @property
    def outputs(self) -> list[int]:
        """Numbers of its frames, ascending."""
        return [entry.number for entry in self._config.images]

    def expect(self, *, outputs: Sequence[int], shape: FrameShape) -> None:
        """Raise ChunkFormatError, naming the first difference, unless it promises these frames of this shape."""
        if self.shape != shape:
            raise ChunkFormatError(f"The result has frames of {self.shape}; expected are {shape}.")
        found = self.outputs
        if len(found) != len(outputs):
            raise ChunkFormatError(f"The result has {len(found)} frames; expected are {len(outputs)}.")
        for number, expected in zip(found, outputs, strict=True):
            if number != expected:
                raise ChunkFormatError(f"The result has output {number} where {expected} is expected.")

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yield output number and frame, in order. The stream is read once: a second call continues the first."""
        return self._frames


def write_chunk(
    file: IO[bytes],
    frames: Iterable[tuple[int, Frame]],
    wants: Iterable[Want],
    *,
    image_format: ImageFormat,
    returned: range | None = None,
) -> None:
    """Write a chunk of numbered frames, in order, with the new frames wanted between them.

    `returned` are the numbers of outputs that come back, without steps; None: all of them. The encoded images are held
    until the last: the document before them has their checksums.
    Raises ChunkFormatError, before anything is written, if a rule of the format is broken (documents.py).
    """
    encoded = _Encoder(_CHUNK_STEM, image_format)
    members = [encoded.member(number, frame) for number, frame in frames]
    config = ChunkConfig(encoded.shape, image_format, tuple(encoded.entries), tuple(wants), returned)
    tar = TarWriter(file)
    tar.add(_CHUNK_DOCUMENT, config.to_json())
    for name, data in members:
        tar.add(name, data)
    tar.close()


def write_result(
    file: IO[bytes],
    frames: Iterable[tuple[int, Frame]],
    *,
    count: int,
    model_id: str,
    seconds: Callable[[], float],
    image_format: ImageFormat,
) -> None:
    """Write a result of `count` new frames with their output numbers, in order; `image_format` is the chunk's.

    `frames` may be made as they are taken: each is written before the next one, and `seconds` is asked for the time
    spent after the last. Then the document before them is written, in room that was left for it: so `file`, which is
    seekable, is the only place that holds the result whole.
    Raises ChunkFormatError if a rule of the format is broken (documents.py); what was written is no result then.
    """
    encoded = _Encoder(_RESULT_STEM, image_format)
    tar = TarWriter(file)
    room = max_result_document_bytes(count)
    write_document = tar.add_later(_RESULT_DOCUMENT, room)
    for number, frame in frames:
        tar.add(*encoded.member(number, frame))
    tar.close()
    if len(encoded.entries) != count:
        raise ChunkFormatError(f"There are {len(encoded.entries)} frames to write, {count} were announced.")
    config = ResultConfig(encoded.shape, tuple(encoded.entries), model_id, seconds())
    write_document(config.to_json().ljust(room))


class _Encoder:
    """Encodes numbered frames of one shape, and keeps what the document says of them."""

    def __init__(self, stem: str, image_format: ImageFormat) -> None:
        self._stem = stem
        self._image_format = image_format
        self._shape: FrameShape | None = None
        self.entries: list[ImageEntry] = []

    @property
    def shape(self) -> FrameShape:
        if self._shape is None:
            raise ChunkFormatError("There are no frames to write.")
        return self._shape

    def member(self, number: int, frame: Frame) -> tuple[str, bytes]:
        """Name and data of the frame's member."""
        suffix, data = images.encode(frame, self._image_format)
        shape = FrameShape.of(frame)
        if self._shape not in (None, shape):
            raise ChunkFormatError(f"Frame {number} is {shape}, unlike those before: {self._shape}.")
        self._shape = shape
        self.entries.append(ImageEntry(number, zlib.crc32(data)))
        return f"{self._stem}-{number:08d}{suffix}", data


def _read_document(tar: TarReader, expected: str) -> bytes:
    name, data = tar.read_file(expected=expected, limit=MAX_CONFIG_BYTES)
    if name != expected:
        raise ChunkFormatError(f"{name}: the first member must be {expected}.")
    return data


def _read_images(
    tar: TarReader, stem: str, entries: Sequence[ImageEntry], shape: FrameShape
) -> Iterator[tuple[str, bytes]]:
    # QOI's worst case is 4/3 of the raw size. The rest is room for headers, and for a JPEG's colour profile.
    limit = 2 * shape.raw_bytes + (1 << 20)
    for entry in entries:
        expected = f"{stem}-{entry.number:08d}"
        name, data = tar.read_file(expected=expected, limit=limit)
        if name not in {expected + suffix for suffix in images.SUFFIXES}:
            raise ChunkFormatError(f"{name}: {expected} is expected here, as one of {sorted(images.SUFFIXES)}.")
        yield name, data
    tar.expect_no_more()


def _decode(
    members: Iterator[tuple[str, bytes]], entries: Sequence[ImageEntry], shape: FrameShape
) -> Iterator[tuple[int, Frame]]:
    for (name, data), entry in zip(members, entries, strict=True):
        if zlib.crc32(data) != entry.crc32:
            raise ChunkFormatError(f"{name}: its checksum is not the promised one, it was damaged on the way.")
        try:
            yield entry.number, images.decode(data, suffix=PurePosixPath(name).suffix, shape=shape)
        except ChunkFormatError as error:
            raise ChunkFormatError(f"{name}: {error}.") from error
