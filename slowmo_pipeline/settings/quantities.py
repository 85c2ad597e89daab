"""Numbers, moments and speeds as people write them, and the exact values behind.

4   2.5   5/2                    a number
3.2   1:02:03.5   f120           a moment: seconds, hours:minutes:seconds, or the number of a frame
0-2:1, 2-3.5:1/8, 3.5-:1         speeds: from a moment to a moment, and how fast that part plays
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, PlainSerializer

# Bounded digits: Fraction("1e999999999") would compute for hours. Not \d, which takes those of every script.
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|[0-9]{1,9}/[0-9]{1,9}")
_CLOCK = re.compile(r"((?P<hours>[0-9]{1,4}):)?(?P<minutes>[0-9]{1,4}):(?P<seconds>[0-9]{1,2}(\.[0-9]{1,9})?)")
_FRAME = re.compile(r"f([0-9]{1,9})")
_PART = re.compile(r"(?P<begin>[^-]*)-(?P<end>.*):(?P<speed>[^:]+)")

_MOST_PARTS = 100
_SLOWEST = Fraction(1, 1000)

Moment = Fraction | int
"""Seconds after the first frame as a fraction, or the number of a frame as an integer."""


class SpeedPart(NamedTuple):
    """A part of a clip that plays at one speed."""

    begin: Moment
    end: Moment | None
    """None: to the end of the clip."""
    speed: Fraction
    """Of 1, the clip's own."""


def parse_fraction(value: object) -> Fraction:
    """An exact number from 4, "5/2", "2.5" or "30000/1001"; a float is taken as the decimal it prints."""
    text = "" if isinstance(value, bool) else str(value).strip()
    if not _NUMBER.fullmatch(text) or re.search(r"/0+$", text):
        raise ValueError('must be a number such as 4, "5/2" or "30000/1001"')
    return Fraction(text)


def check_fineness(value: Fraction) -> None:
    """Refuse what makes times outgrow the 18 digits that a chunk has for them, or a track's time scale."""
    if value.numerator > 10**6 or value.denominator > 10**6:
        raise ValueError("is too fine: neither part of the fraction may exceed 1000000")


def parse_moment(value: object) -> Moment:
    """A moment from 3.2, "16/5", "1:02:03.5" or "f120"; a number is taken for seconds."""
    text = str(value).strip()
    if frame := _FRAME.fullmatch(text):
        return int(frame[1])
    if clock := _CLOCK.fullmatch(text):
        seconds = 3600 * int(clock["hours"] or 0) + 60 * int(clock["minutes"]) + Fraction(clock["seconds"])
    else:
        try:
            seconds = parse_fraction(value)
        except ValueError:
            raise ValueError('must be a moment such as 3.2 (seconds), "1:02:03.5" or "f120" (a frame)') from None
    if seconds.denominator > 10**6:
        raise ValueError("is too fine: six decimals are enough")
    return seconds


def moment_text(moment: Moment) -> str:
    """The text that `parse_moment` takes for it."""
    return f"f{moment}" if isinstance(moment, int) else str(moment)


def parse_speeds(value: object) -> tuple[SpeedPart, ...]:
    """Speeds from "0-2:1, 2-3.5:1/8, 3.5-:1": in their order, without overlap, each above 0 and at most 1."""
    if isinstance(value, tuple):
        return value
    texts = str(value).split(",") if isinstance(value, str) else []
    if not 1 <= len(texts) <= _MOST_PARTS:
        raise ValueError(f'must be 1 to {_MOST_PARTS} parts such as "0-2:1, 2-3.5:1/8, 3.5-:1"')
    parts = tuple(map(_parse_part, texts))
    for one, other in pairwise(parts):
        if one.end is None or (type(one.end) is type(other.begin) and other.begin < one.end):
            raise ValueError(f"must not overlap: {part_text(other)} begins before {part_text(one)} ends")
    return parts


def _parse_part(text: str) -> SpeedPart:
    match = _PART.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'must be parts such as "2-3.5:1/8", not {text.strip()[:50]!r}')
    begin = parse_moment(match["begin"].strip() or 0)
    end = parse_moment(match["end"]) if match["end"].strip() else None
    speed = parse_fraction(match["speed"])
    if not _SLOWEST <= speed <= 1:
        raise ValueError(f"must not hold the speed {speed}: allowed are 1/1000 to 1, where 1/8 is eight times slower")
    check_fineness(speed)
    part = SpeedPart(begin, end, speed)
    if type(begin) is type(end) and end is not None and end <= begin:
        raise ValueError(f"must not hold {part_text(part)}, which ends before it begins")
    return part


def part_text(part: SpeedPart) -> str:
    """One part as `parse_speeds` takes it."""
    return f"{moment_text(part.begin)}-{'' if part.end is None else moment_text(part.end)}:{part.speed}"


def speeds_text(parts: Sequence[SpeedPart]) -> str:
    """The text that `parse_speeds` takes for them."""
    return ", ".join(map(part_text, parts))


ExactNumber = Annotated[Fraction, BeforeValidator(parse_fraction), PlainSerializer(str, return_type=str)]
ExactMoment = Annotated[Moment, BeforeValidator(parse_moment), PlainSerializer(moment_text, return_type=str)]
Speeds = Annotated[tuple[SpeedPart, ...], BeforeValidator(parse_speeds), PlainSerializer(speeds_text, return_type=str)]
