"""config.json and result.json: what a chunk and a result say of themselves, held to the same rules by both ends.

chunk    {"depth":8,"format":1,"height":720,"image_format":"lossless","width":1280,
          "images":[{"crc32":907060870,"number":120},{"crc32":2364418095,"number":121}],
          "wanted":[{"frame":120,"output":481,"t":"1/4"},{"frame":120,"output":482,"t":"1/2"}]}
result   {"depth":8,"format":1,"height":720,"model_id":"flow-1","seconds":0.21,"width":1280,
          "images":[{"crc32":3120012457,"number":481},{"crc32":1730812330,"number":482}]}
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from slowmo_pipeline import strictjson
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import FrameShape
from slowmo_pipeline.images import ImageFormat
from slowmo_pipeline.strictjson import Record

FORMAT_VERSION = 1
MAX_CONFIG_BYTES = 8 << 20
"""Enough for MAX_FRAMES; bounded before parsing, since JSON takes up to thirty times its bytes in memory."""
MAX_FRAMES = 50_000
"""Of images in a file, and of new frames wanted."""
MAX_NUMBER = 99_999_999
"""Largest number of a frame: eight digits, as in the names of the members."""
MAX_PIXELS = 1 << 26
"""Twice the pixels of an 8K frame. At 16 bit one frame then takes 400 MB."""

# Times of a variable source in microseconds need eleven digits and more: (30000 · 5) · 33367.
_TIME = re.compile(r"([0-9]{1,18})/([0-9]{1,18})")
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Want:
    """One wanted new frame."""

    output: int
    """Its number among the frames of the result video."""
    frame: int
    """Number of the image left of it."""
    t: Fraction
    """Where it lies between that image (0) and the next one in the chunk (1), both excluded."""


@dataclass(frozen=True)
class ImageEntry:
    """One image of a chunk or a result."""

    number: int
    """Of the source's frame in a chunk, of the output frame in a result."""
    crc32: int
    """Of the encoded bytes."""


@dataclass(frozen=True)
class ChunkConfig:
    """What config.json says. ChunkFormatError on creation if it breaks a rule of the format."""

    shape: FrameShape
    image_format: ImageFormat
    """What the chunk was written in and the result is to be written in; readers go by the names of the images."""
    images: tuple[ImageEntry, ...]
    """At least two, numbers ascending; they may skip: a gap lies between neighbours in this list."""
    wants: tuple[Want, ...]
    """At least one; outputs ascending, and so are frames, and times within a gap."""

    def __post_init__(self) -> None:
        """Hold the rules."""
        _check_images(self.shape, self.images, at_least=2)
        if not 1 <= len(self.wants) <= MAX_FRAMES:
            raise ChunkFormatError(f"{len(self.wants)} new frames are wanted, allowed are 1 to {MAX_FRAMES}.")
        left_images = {entry.number for entry in self.images[:-1]}
        for want in self.wants:
            if want.frame not in left_images or not 0 <= want.output <= MAX_NUMBER or not 0 < want.t < 1:
                raise ChunkFormatError(f"Wanted output {want.output} at {want.frame} + {want.t} lies in no gap.")
        for one, other in pairwise(self.wants):
            if other.output <= one.output or (other.frame, other.t) <= (one.frame, one.t):
                raise ChunkFormatError(f"Wanted output {other.output} does not come after {one.output}, or its time.")

    def to_json(self) -> bytes:
        """Return config.json."""
        wanted = [{"output": want.output, "frame": want.frame, "t": _time_to_text(want.t)} for want in self.wants]
        fields = {"image_format": self.image_format.value, "wanted": wanted}
        return _dump(self.shape, self.images, fields)

    @classmethod
    def from_json(cls, data: bytes) -> "ChunkConfig":
        """Parse config.json."""
        record = _parse(data, "config.json", "image_format", "wanted")
        try:
            image_format = ImageFormat(record.text("image_format"))
        except ValueError as error:
            raise ChunkFormatError(f"config.json: image_format: {str(error)[:100]}.") from error
        wants = tuple(_parse_want(item) for item in record.records("wanted"))
        return cls(_parse_shape(record), image_format, _parse_images(record), wants)


@dataclass(frozen=True)
class ResultConfig:
    """What result.json says. ChunkFormatError on creation if it breaks a rule of the format."""

    shape: FrameShape
    images: tuple[ImageEntry, ...]
    """At least one, numbers ascending."""
    model_id: str
    """Of the interpolator. Part of storage keys: letters, digits and . _ + - only."""
    seconds: float
    """Spent on making the frames."""

    def __post_init__(self) -> None:
        """Hold the rules."""
        _check_images(self.shape, self.images, at_least=1)
        if not _MODEL_ID.fullmatch(self.model_id):
            raise ChunkFormatError(f"model_id {self.model_id[:200]!r} must match {_MODEL_ID.pattern}.")
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ChunkFormatError(f"seconds = {self.seconds} must be a finite number of at least 0.")

    def to_json(self) -> bytes:
        """Return result.json."""
        return _dump(self.shape, self.images, {"model_id": self.model_id, "seconds": self.seconds})

    @classmethod
    def from_json(cls, data: bytes) -> "ResultConfig":
        """Parse result.json."""
        record = _parse(data, "result.json", "model_id", "seconds")
        shape, images = _parse_shape(record), _parse_images(record)
        return cls(shape, images, record.text("model_id"), record.number("seconds"))


def _check_images(shape: FrameShape, images: tuple[ImageEntry, ...], *, at_least: int) -> None:
    if shape.width < 1 or shape.height < 1 or shape.width * shape.height > MAX_PIXELS or shape.depth not in (8, 16):
        raise ChunkFormatError(f"Frames of {shape} are not supported: at most {MAX_PIXELS} pixels, 8 or 16 bit.")
    if not at_least <= len(images) <= MAX_FRAMES:
        raise ChunkFormatError(f"There are {len(images)} images, allowed are {at_least} to {MAX_FRAMES}.")
    numbers = [entry.number for entry in images]
    if any(other <= one for one, other in pairwise(numbers)) or not 0 <= numbers[0] <= numbers[-1] <= MAX_NUMBER:
        raise ChunkFormatError(f"The numbers of the images must ascend, from 0 on and up to {MAX_NUMBER}.")


def _dump(shape: FrameShape, images: tuple[ImageEntry, ...], fields: Mapping[str, object]) -> bytes:
    entries = [{"number": entry.number, "crc32": entry.crc32} for entry in images]
    size = {"width": shape.width, "height": shape.height, "depth": shape.depth}
    return strictjson.dump({"format": FORMAT_VERSION, **size, "images": entries, **fields})


def _parse(data: bytes, where: str, *own_keys: str) -> Record:
    record = Record.parse(data, where=where)
    # Before the other keys: a later format may have different ones.
    if "format" in record.values and record.integer("format") != FORMAT_VERSION:
        raise ChunkFormatError(
            f"{where}: format {record.integer('format')} is not {FORMAT_VERSION}, the one known here."
        )
    record.require_keys("format", "width", "height", "depth", "images", *own_keys)
    return record


def _parse_shape(record: Record) -> FrameShape:
    return FrameShape(record.integer("width"), record.integer("height"), record.integer("depth"))


def _parse_images(record: Record) -> tuple[ImageEntry, ...]:
    entries = []
    for item in record.records("images"):
        item.require_keys("number", "crc32")
        entries.append(ImageEntry(item.integer("number"), item.integer("crc32")))
    return tuple(entries)


def _parse_want(record: Record) -> Want:
    record.require_keys("output", "frame", "t")
    return Want(record.integer("output"), record.integer("frame"), _time_from_text(record.text("t"), record.where))


def _time_to_text(t: Fraction) -> str:
    text = f"{t.numerator}/{t.denominator}"
    if not _TIME.fullmatch(text):
        raise ChunkFormatError(f"The time {text} has more than 18 digits above or below the line.")
    return text


def _time_from_text(text: str, where: str) -> Fraction:
    match = _TIME.fullmatch(text)
    if match is None or int(match[2]) == 0:
        raise ChunkFormatError(f"{where}: t = {text[:60]!r} must be a fraction such as 1/4.")
    return Fraction(int(match[1]), int(match[2]))
