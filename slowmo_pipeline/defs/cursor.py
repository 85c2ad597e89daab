"""What a sensor remembers from tick to tick, as Dagster keeps it: a text."""

from typing import TypeVar

from slowmo_pipeline.errors import DamagedRecordError
from slowmo_pipeline.record import Record

_Cursor = TypeVar("_Cursor", bound="Cursor")


class Cursor(Record):
    """Only a cache: every field has a default, with which a tick looks at everything once more."""

    @classmethod
    def parse(cls: type[_Cursor], text: str | None) -> _Cursor:
        """The cursor that `dump` wrote; an empty one at the first tick, and for what does not parse."""
        try:
            return cls.from_json(text.encode(), where="cursor") if text else cls()
        except DamagedRecordError:
            return cls()

    def dump(self) -> str:
        """The cursor as text."""
        return self.to_json().decode()
