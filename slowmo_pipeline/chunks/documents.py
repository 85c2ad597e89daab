"""config.json and result.json: what a chunk and a result say of themselves, held to the same rules by both ends.

chunk    {"depth":8,"format":1,"height":720,"image_format":"lossless","width":1280,
          "images":[{"crc32":907060870,"number":120},{"crc32":2364418095,"number":121}],
          "wanted":[{"frame":120,"output":481,"t":"1/4"},{"frame":120,"output":482,"t":"1/2"}]}
part     the same with "format":2 and "returned":{"end":482,"first":481}: only output 481 comes back; output 482 is
         listed since others may be made from it
result   {"depth":8,"format":1,"height":720,"model_id":"flow-1","seconds":0.21,"width":1280,
          "images":[{"crc32":3120012457,"number":481},{"crc32":1730812330,"number":482}]}
"""

import math
import re
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.errors import ChunkFormatError
from slowmo_pipeline.frames import FrameShape
from slowmo_pipeline.record import Items, WireDocument

FORMAT_VERSION = 1
PART_FORMAT_VERSION = 2
"""Of a chunk that asks for a part of what it lists. Whoever reads only FORMAT_VERSION then says so."""
MAX_CONFIG_BYTES = 8 << 20
"""Enough for MAX_FRAMES; bounded before parsing, since JSON takes up to thirty times its bytes in memory."""
MAX_FRAMES = 50_000
"""Of images in a file, and of new frames wanted."""
MAX_NUMBER = 99_999_999
"""Largest number of a frame: eight digits, as in the names of the members."""
MAX_PIXELS = 1 << 26
"""Twice the pixels of an 8K frame. At 16 bit one frame then takes 400 MB."""
MODEL_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Of an interpolator's model id, which is part of storage keys."""

# Times of a variable source in microseconds need eleven digits and more: (30000 · 5) · 33367.
_TIME = re.compile(r"([0-9]{1,18})/([0-9]{1,18})")


def _time_of(text: object) -> Fraction:
    if isinstance(text, Fraction):
        return text
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[2]) == 0:
        raise ValueError("must be a fraction such as 1/4")
    return Fraction(int(match[1]), int(match[2]))


def _text_of(t: Fraction) -> str:
    return f"{t.numerator}/{t.denominator}"


def fits_on_the_wire(t: Fraction) -> bool:
    """Whether a chunk can spell a time."""
    return max(t.numerator, t.denominator) < 10**18


def _not_too_fine(t: Fraction) -> Fraction:
    if not fits_on_the_wire(t):
        raise ChunkFormatError(f"The time {_text_of(t)} has more than 18 digits above or below the line.")
    return t


def _image_format_of(text: object) -> ImageFormat:
    if not isinstance(text, str | ImageFormat):
        raise ValueError("must be a string")
    try:
        return ImageFormat(text)
    except ValueError as error:
        raise ValueError(f"cannot be: {error}") from None


Natural = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""An integer of the wire."""


class _WireImage(WireDocument):
    number: Natural
    crc32: Natural


class _WireWant(WireDocument):
    output: Natural
    frame: Natural
    t: Annotated[Fraction, BeforeValidator(_time_of), PlainSerializer(_text_of, return_type=str)]


class _WireFrames(WireDocument):
    known_formats: ClassVar[frozenset[int]] = frozenset({FORMAT_VERSION})

    format: Natural
    width: Natural
    height: Natural
    depth: Natural
    images: Items[_WireImage]

    # Before anything else is looked at: a later format may have other fields.
    @model_validator(mode="before")
    @classmethod
    def _known_format(cls, values: object) -> object:
        found = values.get("format", FORMAT_VERSION) if isinstance(values, dict) else FORMAT_VERSION
        if isinstance(found, int) and found not in cls.known_formats:
            known = " or ".join(map(str, sorted(cls.known_formats)))
            raise ValueError(f"format {found} is not {known}, as known here")
        return values

    @property
    def shape(self) -> FrameShape:
        return FrameShape(self.width, self.height, self.depth)

    @property
    def entries(self) -> "tuple[ImageEntry, ...]":
        return tuple(ImageEntry(image.number, image.crc32) for image in self.images)


class _WireChunk(_WireFrames):
    image_format: Annotated[ImageFormat, BeforeValidator(_image_format_of)]
    wanted: Items[_WireWant]


class _WireRange(WireDocument):
    first: Natural
    end: Natural


class _WirePart(_WireChunk):
    """A chunk of either format."""

    known_formats: ClassVar[frozenset[int]] = frozenset({FORMAT_VERSION, PART_FORMAT_VERSION})

    returned: _WireRange | None = None

    @model_validator(mode="after")
    def _returned_is_of_its_format(self) -> "_WirePart":
        if (self.returned is not None) != (self.format == PART_FORMAT_VERSION):
            raise ValueError(f"'returned' belongs to format {PART_FORMAT_VERSION}, and to no other")
        return self


class _WireResult(_WireFrames):
    model_id: str
    seconds: Annotated[float, Field(ge=0)]


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
    returned: range | None = None
    """Numbers of outputs, without steps: those wanted ones that come back, at least one. None: all come back."""

    def __post_init__(self) -> None:
        """Raise ChunkFormatError for images or wants that do not go together."""
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
        if not self.returned_wants:
            raise ChunkFormatError(f"None of the wanted outputs lies in {self.returned}, so nothing would come back.")

    @property
    def returned_wants(self) -> range:
        """Which of `wants` come back, by their place in it."""
        if self.returned is None:
            return range(len(self.wants))
        places = (bisect_left(self.wants, bound, key=_output_of) for bound in (self.returned.start, self.returned.stop))
        return range(*places)

    def to_json(self) -> bytes:
        """Return config.json."""
        wanted = tuple(_WireWant(output=want.output, frame=want.frame, t=_not_too_fine(want.t)) for want in self.wants)
        fields = _frames_fields(self.shape, self.images) | {"image_format": self.image_format, "wanted": wanted}
        if self.returned is None:
            return _WireChunk(**fields).to_json()
        returned = _WireRange(first=self.returned.start, end=self.returned.stop)
        return _WirePart(**{**fields, "format": PART_FORMAT_VERSION}, returned=returned).to_json()

    @classmethod
    def from_json(cls, data: bytes) -> "ChunkConfig":
        """Parse config.json."""
        read = _WirePart.from_json(data, where="config.json")
        wants = tuple(Want(want.output, want.frame, want.t) for want in read.wanted)
        returned = range(read.returned.first, read.returned.end) if read.returned else None
        return cls(read.shape, read.image_format, read.entries, wants, returned)


def _output_of(want: Want) -> int:
    return want.output


@dataclass(frozen=True)
class ResultConfig:
    """What result.json says. ChunkFormatError on creation if it breaks a rule of the format."""

    shape: FrameShape
    images: tuple[ImageEntry, ...]
    """At least one, numbers ascending."""
    model_id: str
    """Of the interpolator, as MODEL_ID_PATTERN says."""
    seconds: float
    """How long the interpolator worked on the frames."""

    def __post_init__(self) -> None:
        """Raise ChunkFormatError for images, a model id or seconds that cannot be."""
        _check_images(self.shape, self.images, at_least=1)
        if not MODEL_ID_PATTERN.fullmatch(self.model_id):
            raise ChunkFormatError(f"model_id {self.model_id[:200]!r} must match {MODEL_ID_PATTERN.pattern}.")
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ChunkFormatError(f"seconds = {self.seconds} must be a finite number of at least 0.")

    def to_json(self) -> bytes:
        """Return result.json."""
        fields = _frames_fields(self.shape, self.images)
        return _WireResult(**fields, model_id=self.model_id, seconds=self.seconds).to_json()

    @classmethod
    def from_json(cls, data: bytes) -> "ResultConfig":
        """Parse result.json."""
        read = _WireResult.from_json(data, where="result.json")
        return cls(read.shape, read.entries, read.model_id, read.seconds)


def max_result_document_bytes(count: int) -> int:
    """How long result.json of that many frames can get."""
    # An entry is {"crc32":4294967295,"number":99999999} and a comma; a model id has at most 128 characters.
    return 512 + 40 * count


def _check_images(shape: FrameShape, images: tuple[ImageEntry, ...], *, at_least: int) -> None:
    if shape.width < 1 or shape.height < 1 or shape.width * shape.height > MAX_PIXELS or shape.depth not in (8, 16):
        raise ChunkFormatError(f"Frames of {shape} are not supported: at most {MAX_PIXELS} pixels, 8 or 16 bit.")
    if not at_least <= len(images) <= MAX_FRAMES:
        raise ChunkFormatError(f"There are {len(images)} images, allowed are {at_least} to {MAX_FRAMES}.")
    numbers = [entry.number for entry in images]
    if any(other <= one for one, other in pairwise(numbers)) or not 0 <= numbers[0] <= numbers[-1] <= MAX_NUMBER:
        raise ChunkFormatError(f"The numbers of the images must ascend, from 0 on and up to {MAX_NUMBER}.")


def _frames_fields(shape: FrameShape, images: tuple[ImageEntry, ...]) -> dict[str, Any]:
    entries = tuple(_WireImage(number=entry.number, crc32=entry.crc32) for entry in images)
    return {"format": FORMAT_VERSION, **vars(shape), "images": entries}
