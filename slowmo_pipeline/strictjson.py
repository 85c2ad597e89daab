"""Small JSON documents from untrusted places: fields of the expected type, or an error that names the field."""

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from slowmo_pipeline.errors import ChunkFormatError

_LARGEST_INTEGER = 2**32 - 1


def dump(values: Mapping[str, object]) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, the same bytes for the same values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


@dataclass(frozen=True)
class Record:
    """A JSON object. Its methods return a field, or raise ChunkFormatError if it is not of their type."""

    where: str
    """What messages call it: config.json, or config.json wanted[3]."""
    values: Mapping[str, object]

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> "Record":
        """Parse UTF-8 JSON. The caller bounds the size: parsed JSON takes up to thirty times its bytes."""
        try:
            values = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
        except RecursionError:
            raise ChunkFormatError(f"{where}: nested too deeply.") from None
        except ValueError as error:  # not UTF-8, not JSON, NaN, an integer of thousands of digits
            raise ChunkFormatError(f"{where}: not JSON: {error}") from error
        return cls._of(values, where)

    @classmethod
    def _of(cls, values: object, where: str) -> "Record":
        if not isinstance(values, dict):
            raise ChunkFormatError(f"{where}: must be a JSON object, not {reprlib.repr(values)}.")
        return cls(where, values)

    def require_keys(self, *keys: str) -> None:
        """Raise unless the object has exactly these keys."""
        difference = sorted(set(keys) ^ self.values.keys())
        if difference:
            problem = "is missing" if difference[0] in keys else "is not a field of it"
            raise ChunkFormatError(f"{self.where}: {reprlib.repr(difference[0])} {problem}.")

    def integer(self, key: str) -> int:
        """Return an integer of 0 to 2**32 - 1."""
        value = self.values[key]
        # bool is an int to Python, not to JSON.
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST_INTEGER:
            self._refuse(key, f"an integer of 0 to {_LARGEST_INTEGER}")
        return value

    def number(self, key: str) -> float:
        """Return a finite number of at least 0."""
        value = self.values[key]
        if not isinstance(value, float):
            return float(self.integer(key))
        if not (math.isfinite(value) and value >= 0):
            self._refuse(key, "a finite number of at least 0")
        return value

    def text(self, key: str) -> str:
        """Return a string."""
        value = self.values[key]
        if not isinstance(value, str):
            self._refuse(key, "a string")
        return value

    def records(self, key: str) -> "list[Record]":
        """Return a list of objects."""
        value = self.values[key]
        if not isinstance(value, list):
            self._refuse(key, "a list")
        return [Record._of(item, f"{self.where} {key}[{index}]") for index, item in enumerate(value)]

    def _refuse(self, key: str, expectation: str) -> NoReturn:
        raise ChunkFormatError(f"{self.where}: {key} = {reprlib.repr(self.values[key])} must be {expectation}.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
