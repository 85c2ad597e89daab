"""What probing finds out about a video, as a record."""

from fractions import Fraction
from itertools import groupby, pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from slowmo_pipeline.record import Items, PositiveFraction, Record
from slowmo_pipeline.video.colour import Colour

INFO_FORMAT: Literal[1] = 1
"""Raised whenever the stored form changes."""

_MOST_FRAMES = 10**8
"""More than the wire can number."""


def _runs_of_steps(ticks: tuple[int, ...]) -> dict[str, object]:
    """[step, how often] pairs: an hour of film at a constant rate is one pair in MP4, half a megabyte in Matroska."""
    steps = (after - before for before, after in pairwise(ticks))
    return {"first": ticks[0], "steps": [[step, sum(1 for _ in run)] for step, run in groupby(steps)]}


class _RunsOfSteps(Record):
    first: int
    steps: Items[Items[int]]


def _ticks_of_runs(value: object) -> object:
    if isinstance(value, tuple):
        return value
    runs = _RunsOfSteps.model_validate(value)
    ticks = [runs.first]
    for step, repeat in runs.steps:
        if step < 1 or repeat < 1 or len(ticks) + repeat > _MOST_FRAMES:
            raise ValueError(f"must not have {repeat} steps of {step} ticks")
        ticks.extend(range(ticks[-1] + step, ticks[-1] + step * repeat + 1, step))
    return tuple(ticks)


class VideoInfo(Record):
    """A video as its frames are handed out: upright, in RGB, in order of presentation."""

    width: Annotated[int, Field(gt=0)]
    """Pixels, rotation applied."""
    height: Annotated[int, Field(gt=0)]
    """Pixels, rotation applied."""
    depth: Literal[8, 16]
    """Bits a sample of the frames handed out: 8, or 16 for every source that is deeper."""
    source_bits: int
    """Bits a sample of the source."""
    pixel_format: str
    """ffmpeg's name of the source's pixel format."""
    sample_aspect_ratio: PositiveFraction
    """Width of a pixel over its height, rotation applied."""
    rotation: int
    """Degrees clockwise by which the coded pictures are turned: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether the coded pictures are flipped left to right, before they are turned."""
    colour: Colour
    time_base: PositiveFraction
    """Seconds per tick."""
    ticks: Annotated[tuple[int, ...], BeforeValidator(_ticks_of_runs), PlainSerializer(_runs_of_steps)]
    """Presentation times of the frames that decode, strictly ascending; the first may be any number."""
    last_duration_ticks: int | None
    """For how long the last frame is shown; None where the source does not say."""
    declared_rate: PositiveFraction | None
    """Frames per second as the source declares them: a claim, not a measurement."""
    codec: str
    container: str
    """ffmpeg's name of the container's demuxer."""
    has_sound: bool
    creation_time: str | None
    """As the source spells it, for the result to carry."""
    notes: Items[str]
    """What a person should know about the source, a sentence each."""
    losses: Items[str]
    """What of the source could not be used, a sentence each."""
    format: Literal[1] = INFO_FORMAT

    @property
    def frame_count(self) -> int:
        """Frames that decode, counted. The header's own number is not trusted, so it is not kept."""
        return len(self.ticks)

    @property
    def first_frame_time(self) -> Fraction:
        """Seconds on the container's clock, which the sound shares."""
        return self.ticks[0] * self.time_base
