"""What probing finds out about a video: plain records that are stored as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.video.colour import Colour

INFO_FORMAT = 1
"""Raised whenever the stored form changes."""


@dataclass(frozen=True)
class VideoInfo:
    """A video as its frames are handed out: upright, in RGB, in order of presentation."""

    width: int
    """Pixels, rotation applied."""
    height: int
    """Pixels, rotation applied."""
    depth: int
    """Bits a sample of the frames handed out: 8, or 16 for every source that is deeper."""
    source_bits: int
    """Bits a sample of the source."""
    pixel_format: str
    """ffmpeg's name of the source's pixel format."""
    sample_aspect_ratio: Fraction
    """Width of a pixel over its height, rotation applied."""
    rotation: int
    """Degrees clockwise by which the coded pictures are turned: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether the coded pictures are flipped left to right, before they are turned."""
    colour: Colour
    time_base: Fraction
    """Seconds per tick."""
    ticks: tuple[int, ...]
    """Presentation times of the frames that decode, strictly ascending; the first may be any number."""
    last_duration_ticks: int | None
    """For how long the last frame is shown; None where the source does not say."""
    declared_rate: Fraction | None
    """Frames per second as the source declares them: a claim, not a measurement."""
    codec: str
    container: str
    """ffmpeg's name of the container's demuxer."""
    has_sound: bool
    creation_time: str | None
    """As the source spells it, for the result to carry."""
    notes: tuple[str, ...]
    """What a person should know about the source, a sentence each."""
    losses: tuple[str, ...]
    """What of the source could not be used, a sentence each."""

    @property
    def frame_count(self) -> int:
        """Frames that decode, counted. The header's own number is not trusted, so it is not kept."""
        return len(self.ticks)

    @property
    def first_frame_time(self) -> Fraction:
        """Seconds on the container's clock, which the sound shares."""
        return self.ticks[0] * self.time_base

    def to_json(self) -> dict[str, Any]:
        """A form that json.dump takes: fractions are strings, times are runs of equal steps."""
        return asdict(self) | {
            "format": INFO_FORMAT,
            "sample_aspect_ratio": str(self.sample_aspect_ratio),
            "time_base": str(self.time_base),
            "declared_rate": None if self.declared_rate is None else str(self.declared_rate),
            "ticks": {"first": self.ticks[0], "steps": _runs_of_steps(self.ticks)},
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "VideoInfo":
        """The record that `to_json` stored. Raises StorageError when it is damaged or of another format."""
        fields = dict(value)
        if fields.pop("format", None) != INFO_FORMAT:
            raise StorageError("The stored info.json has another format: materialise raw_video again.")
        try:
            rate = fields["declared_rate"]
            fields |= {
                "sample_aspect_ratio": Fraction(fields["sample_aspect_ratio"]),
                "colour": Colour(**fields["colour"]),
                "time_base": Fraction(fields["time_base"]),
                "ticks": _ticks_of_runs(fields["ticks"]["first"], fields["ticks"]["steps"]),
                "declared_rate": None if rate is None else Fraction(rate),
                "notes": tuple(fields["notes"]),
                "losses": tuple(fields["losses"]),
            }
            return VideoInfo(**fields)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise StorageError(f"The stored info.json is damaged ({error!r}): materialise raw_video again.") from None


def _runs_of_steps(ticks: tuple[int, ...]) -> list[list[int]]:
    """[step, how often] pairs: an hour of film at a constant rate is one pair in MP4, half a megabyte in Matroska."""
    steps = (after - before for before, after in pairwise(ticks))
    return [[step, sum(1 for _ in run)] for step, run in groupby(steps)]


def _ticks_of_runs(first: int, runs: list[list[int]]) -> tuple[int, ...]:
    ticks = [first]
    for step, repeat in runs:
        if step < 1:
            raise ValueError(f"a step of {step} ticks")
        ticks.extend(range(ticks[-1] + step, ticks[-1] + step * repeat + 1, step))
    return tuple(ticks)
