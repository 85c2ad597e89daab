"""How the fields of a video make its frames, as a record."""

from typing import Annotated

from pydantic import Field

from slowmo_pipeline.record import Items, Record
from slowmo_pipeline.video.fields.cadence import Run


class FieldRun(Record):
    """Groups of fields whose lengths repeat."""

    cadence: Annotated[str, Field(pattern="^[1-4]{1,4}$")]
    """A digit for each length of a cycle, from the first group on."""
    groups: Annotated[int, Field(ge=1, le=10**9)]
    """How many. The last cycle need not be whole, nor the video's last group, if it has two fields at least."""


class Fields(Record):
    """Which fields make each frame: groups of neighbours that show one moment, in order."""

    top_first: bool
    """Which field of a picture is the earlier one."""
    first_tick: int
    """The tick of the first picture, on the container's clock."""
    runs: Items[FieldRun]

    @property
    def groups(self) -> list[Run]:
        """The runs, as what is made of pictures takes them."""
        return [Run(run.cadence, run.groups) for run in self.runs]

    @property
    def picture_count(self) -> int:
        """How many pictures have these fields."""
        return -(-sum(run.fields for run in self.groups) // 2)
