"""The one form of what is stored as JSON: a frozen pydantic model, parsed strictly, written as the same bytes always.

What this program stores for itself ignores fields that it does not know, since a later version may have written them.
What the wire sends forbids them.
"""

import json
import re
import reprlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    Strict,
    ValidationError,
    model_validator,
)

from slowmo_pipeline.errors import ChunkFormatError, DamagedRecordError, SlowmoError
from slowmo_pipeline.strict_json import parse_json

AnyRecord = TypeVar("AnyRecord", bound="Record")
_Item = TypeVar("_Item")

# Lax: JSON has lists where Python has tuples. At the first bad item it ends: a hostile list has millions.
Items = Annotated[tuple[_Item, ...], Strict(strict=False), FailFast()]
"""A list in JSON, a tuple here."""


# Bounded digits: Fraction("1e999999999") would compute for hours.
_FRACTION = re.compile(r"[0-9]{1,31}(/0*[1-9][0-9]{0,30})?")


def _fraction(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        raise ValueError('must be a fraction such as "30000/1001"')
    return Fraction(value)


def _positive_fraction(value: object) -> Fraction:
    try:
        fraction = _fraction(value)
    except ValueError:
        fraction = Fraction(0)
    if fraction <= 0:
        raise ValueError('must be a fraction above 0 such as "30000/1001"')
    return fraction


ExactFraction = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str, return_type=str)]
"""A fraction of at least 0, as JSON has none: the text "30000/1001"."""

PositiveFraction = Annotated[Fraction, BeforeValidator(_positive_fraction), PlainSerializer(str, return_type=str)]
"""The same above 0."""

Count = Annotated[int, Field(ge=0, le=10**9)]
"""A number of frames, or of one frame."""

Epoch = Annotated[float, Field(ge=0, le=1e11)]
"""Seconds since the epoch."""


class Record(BaseModel):
    """What this program stores for itself."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", allow_inf_nan=False, arbitrary_types_allowed=True
    )

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII."""
        values = self.model_dump(mode="json")
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")

    @classmethod
    def from_json(cls: type[AnyRecord], data: bytes, *, where: str) -> AnyRecord:
        """The record that `to_json` wrote. Raises DamagedRecordError that names `where` and the first thing wrong.

        The caller bounds the size: parsed JSON takes up to thirty times its bytes.
        """
        try:
            # Not pydantic's own parser, which takes four times the memory of this one for what is hostile.
            return cls.model_validate(parse_json(data.decode("utf-8")))
        except ValidationError as error:
            place, reason = _first_wrong(error)
        except ValueError as error:  # not UTF-8, not JSON, an integer of thousands of digits
            place, reason = "", f"not JSON: {error}"
        raise cls._refused(where, place, reason)

    @classmethod
    def _refused(cls, where: str, place: str, reason: str) -> SlowmoError:
        return DamagedRecordError(f"{where} is damaged:{place and place + ':'} {reason}.")


class WireDocument(Record):
    """What comes over the wire, from whoever sends it: unknown fields are refused, with ChunkFormatError."""

    # Not by extra="forbid", which makes an error of each unknown field: a hostile document has a million.
    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, values: object) -> object:
        names: Iterable[object] = values if isinstance(values, dict) else ()
        unknown = next((name for name in names if name not in cls.model_fields), None)
        if unknown is not None:
            raise ValueError(f"{reprlib.repr(unknown)} is not a field of it")
        return values

    @classmethod
    def _refused(cls, where: str, place: str, reason: str) -> SlowmoError:
        return ChunkFormatError(f"{where}{place}: {reason}.")


_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a JSON object",
    "float_type": "a number",
    "int_type": "an integer",
    "string_type": "a string",
    "tuple_type": "a list",
}
"""What pydantic calls by Python's names, in JSON's."""


def _first_wrong(error: ValidationError) -> tuple[str, str]:
    """Where what is wrong first stands (see `_place`), and what it is."""
    first = error.errors(include_url=False)[0]
    kind, value, location = first["type"], first["input"], first["loc"]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "model_type":
        return _place(location), f"must be a JSON object, not {reprlib.repr(value)}"
    if kind == "value_error" and isinstance(value, dict):
        return _place(location), message
    named = max((index for index, part in enumerate(location) if isinstance(part, str)), default=0)
    place, name = _place(location[:named]), _place(location[named:]).strip()
    if kind == "missing":
        return place, f"{name!r} is missing"
    if kind in _EXPECTED:
        message = f"must be {_EXPECTED[kind]}"
    elif kind != "value_error":  # which is a validator's of our own
        bound = isinstance(value, int) and kind.startswith(("greater_than", "less_than"))
        message = f"must be {'an integer ' if bound else ''}{message}"
    return place, f"{name} = {reprlib.repr(value)} {message}"


def _place(location: Sequence[int | str]) -> str:
    """Where something stands in a document: ` images[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f" {part}" for part in location)
