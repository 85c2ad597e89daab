"""JSON in which every name says one thing: what people and the wire write is read here.

Of a name that stands twice in an object Python's own parser takes the last, others the first: what a person reads in
the file need not be what holds.
"""

import json
import reprlib
from typing import NoReturn


def parse_json(data: str | bytes) -> object:
    """The value that a JSON document holds.

    Raises ValueError for what is no JSON, for a name that stands twice in an object, for NaN and Infinity, and for
    nesting beyond any use. The caller bounds the size: a parsed document takes up to thirty times its bytes.
    """
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{reprlib.repr(twice)} stands twice in it")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
