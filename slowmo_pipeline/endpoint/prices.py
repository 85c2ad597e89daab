"""What an endpoint's work costs: instance prices from a dated table, and the arithmetic from pixels to dollars.

    new frames x pixels of each  ->  megapixels x seconds a megapixel  ->  endpoint seconds x price an hour  ->  dollars

A speed is never assumed: it is measured (steps/measured_speed.py) or given.
"""

import math
import reprlib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.strict_json import parse_json

_SECONDS_PER_HOUR = 3600

SCALE_IN_ALARM_SECONDS = 15 * 60
"""How long a backlog lies below its target before target tracking stops an instance: Application Auto Scaling makes an
alarm for it that wants 15 points, one a minute. Of AWS's guides only DynamoDB's tells the number (AutoScaling), and
that it may change. A scale-in cooldown is the pause after such a stop, and delays no first one."""

_SHAPE = '{"region": "us-east-1", "as_of": "2025-12", "usd_per_hour": {"ml.g5.xlarge": 1.408}}'


class PriceTable(BaseModel):
    """What instances cost in one region, as a JSON file holds it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    region: str
    as_of: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$")
    """Year and month, or the day, on which these were the prices."""
    usd_per_hour: dict[str, Annotated[Decimal, Field(gt=0, le=100_000)]]
    """By instance type, for each instance. SageMaker bills seconds."""
    note: str = ""
    """Where the prices come from."""

    @property
    def origin(self) -> str:
        """Which prices these are, in the middle of a sentence."""
        return f"{self.region}, {self.as_of}"


def read_prices(path: Path) -> PriceTable:
    """The price table in a file. Raises SettingsError that quotes the first thing wrong with it."""
    try:
        data = path.read_bytes()
        table = PriceTable.model_validate_json(data)  # whose own parser keeps prices exact
        parse_json(data)  # which refuses what is said twice
        return table
    except OSError as error:
        raise SettingsError(f"The price table {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = " ".join(map(str, first["loc"])) or "it"
        raise SettingsError(
            f"{path} is no price table: {where} = {reprlib.repr(first['input'])}: {first['msg']}. One looks like "
            f"{_SHAPE}."
        ) from None
    except ValueError as error:
        raise SettingsError(f"{path} is no price table: {error}. One looks like {_SHAPE}.") from None


@cache
def packaged_prices() -> PriceTable:
    """The table that comes with the package."""
    return PriceTable.model_validate_json((files("slowmo_pipeline.endpoint") / "prices.json").read_bytes())


def price_per_hour(instance_type: str, *, table: PriceTable | None = None) -> Decimal | None:
    """US dollars an hour for one instance; None when the table, by default the packaged one, does not tell."""
    return (table or packaged_prices()).usd_per_hour.get(instance_type)


def known_price(instance_type: str, table: PriceTable) -> Decimal:
    """The same as `price_per_hour`, for a type that must be there: raises SettingsError that names those that are."""
    price = price_per_hour(instance_type, table=table)
    if price is None:
        raise SettingsError(
            f"The price of {instance_type!r} is not known ({table.origin}): give a table that has it with --prices. "
            f"There are {', '.join(sorted(table.usd_per_hour)) or 'none'}."
        )
    return price


def cost_of(seconds: float, usd_per_hour: Decimal) -> Decimal:
    """US dollars for so many seconds of one instance."""
    return Decimal(seconds) * usd_per_hour / _SECONDS_PER_HOUR


def priced(work: str, seconds: float, instance_type: str | None) -> str:
    """What `work` says, with the list price of its seconds where it is known; no price without an instance type."""
    if instance_type is None:
        return work
    usd_per_hour = price_per_hour(instance_type)
    if usd_per_hour is None:
        return f"{work} on {instance_type}"
    price = f"{usd_per_hour} USD an hour in {packaged_prices().origin}"
    return f"{work} on {instance_type}, about {cost_of(seconds, usd_per_hour):.4f} USD ({price})"


def idle_seconds(instances: int, *, scale_in_cooldown: int) -> tuple[int, int]:
    """Seconds for which so many instances are paid after the last chunk, added up: at best, and at worst.

        last chunk
        ▼
        ├─ alarm, 15 min ─┤                              at best all stop here
        ├─ alarm, 15 min ─┼─ cooldown ─┼─ cooldown ─┤    at worst one stops at each step

    By how many instances target tracking scales in at a step AWS does not say, only that it is slower than scaling out.
    """
    at_once = instances * SCALE_IN_ALARM_SECONDS
    return at_once, at_once + scale_in_cooldown * sum(range(instances))


@dataclass(frozen=True)
class Estimate:
    """What the new frames of a video ask of an endpoint while it works on them; nothing that comes before or after."""

    new_frames: int
    pixels: int
    """Of all new frames together."""
    endpoint_seconds: float
    """Of one instance, or of several added up."""
    usd_per_hour: Decimal

    @property
    def megapixels(self) -> float:
        """Millions of pixels of all new frames together."""
        return self.pixels / 1e6

    @property
    def instance_hours(self) -> float:
        """The endpoint seconds in hours."""
        return self.endpoint_seconds / _SECONDS_PER_HOUR

    @property
    def usd(self) -> Decimal:
        """US dollars."""
        return cost_of(self.endpoint_seconds, self.usd_per_hour)


def check_speed(seconds_per_megapixel: float) -> None:
    """Raise SettingsError for a speed that is none."""
    if not 0 < seconds_per_megapixel < math.inf:
        raise SettingsError(
            f"seconds_per_megapixel = {seconds_per_megapixel} must be more than 0, such as 0.5: the seconds that a "
            "million pixels of new frames take."
        )


def estimate(
    *, new_frames: int, width: int, height: int, seconds_per_megapixel: float, usd_per_hour: Decimal
) -> Estimate:
    """What so many new frames of width x height pixels take, at a speed in seconds for a million of their pixels.

    Raises SettingsError for a speed that is none.
    """
    check_speed(seconds_per_megapixel)
    pixels = new_frames * width * height
    return Estimate(new_frames, pixels, pixels / 1e6 * seconds_per_megapixel, usd_per_hour)
