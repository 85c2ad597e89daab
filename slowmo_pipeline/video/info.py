"""What probing finds out about a video, as a record."""

import hashlib
import re
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, Strict

from slowmo_pipeline.record import Count, Items, PositiveFraction, Record
from slowmo_pipeline.video.colour import Headroom
from slowmo_pipeline.video.fields.cadence import group_at
from slowmo_pipeline.video.fields.record import Fields
from slowmo_pipeline.video.ticks import runs_of_steps

if TYPE_CHECKING:  # it needs NumPy
    from slowmo_pipeline.frames import FrameShape

INFO_FORMAT: Literal[2] = 2
"""Raised whenever probing finds more, or something else."""

# It ends on ffmpeg's command line, and anything may stand there: what is no date is none.
_DATE = re.compile(
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}" r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)

_Step = Annotated[int, Field(ge=0, le=50_000)]
_Luminance = Annotated[int, Field(ge=0, lt=2**31)]
_Light = Annotated[int, Field(ge=0, lt=2**16)]

_MOST_FRAMES = 10**8
"""More than the wire can number."""


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


class Stretch(Record):
    """Frames whose times follow from the container's clock by one shift.

    Most videos have one. Where the time stamps start again or jump, in joined recordings say, another begins.
    """

    frame: int
    """Number of its first frame."""
    container_tick: int
    """What the container's clock shows at it."""


class ClipPart(Record):
    """The part of a clip that a video is made of."""

    begin: str | None
    """As it was asked for: see `settings.quantities`; None: the clip's begin."""
    end: str | None
    """The same; None: the clip's end."""
    first_frame: Count
    """Number in the clip of the first picture here."""
    clip_tick: int
    """The tick of the clip's first frame."""
    usual_gap: Annotated[int, Field(ge=1)]
    """Ticks between most neighbouring frames of what was seen of the clip."""
    start: Items[int]
    """The ticks of the key frame that decoding begins with and of where to seek it; none: at the clip's begin."""


class Colour(Record):
    """The tags of a video, by ffmpeg's names; None where it has none, and then the result has none either."""

    matrix: str | None
    range: str | None
    primaries: str | None
    transfer: str | None


class Crop(Record):
    """Pixels to leave out at each edge of the coded pictures: rotation not applied."""

    left: Count = 0
    right: Count = 0
    top: Count = 0
    bottom: Count = 0


_Chromaticity = Annotated[tuple[_Step, _Step], Strict(strict=False)]


class MasteringDisplay(Record):
    """The display that a video was graded on, in H.265's steps."""

    red: _Chromaticity
    """x and y of CIE 1931, in steps of 0.00002; so the next three."""
    green: _Chromaticity
    blue: _Chromaticity
    white: _Chromaticity
    darkest: _Luminance
    """In steps of 0.0001 candela a square metre; so the next."""
    brightest: _Luminance


class LightLevel(Record):
    """How bright a video gets, in candela a square metre; 0 is unknown."""

    pixel: _Light
    """MaxCLL: the brightest pixel."""
    frame: _Light
    """MaxFALL: the brightest frame, on average."""


class Chapter(Record):
    """A part of a video, by name. Its bounds are microseconds after the first frame; they may lie outside of it."""

    start: int
    end: int
    title: str


class SubtitleTrack(Record):
    """Subtitles that are text."""

    stream: Count
    """The number of its stream in the file."""
    language: str | None
    """By ISO 639-2."""
    is_forced: bool
    """Whether they are meant to be shown to everybody."""


def _date_or_none(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        datetime.fromisoformat(value[:19])  # refuses a thirteenth month
    except ValueError:
        return None
    return value if _DATE.fullmatch(value) else None


def _short_hash(fields: Fields) -> str:
    return hashlib.sha256(fields.to_json()).hexdigest()[:8]


class VideoInfo(Record):
    """A video as its frames are handed out: upright, in RGB, in order of presentation."""

    width: Annotated[int, Field(gt=0)]
    """Pixels, crop and rotation applied."""
    height: Annotated[int, Field(gt=0)]
    """Pixels, crop and rotation applied."""
    depth: Literal[8, 16]
    """Bits a sample of the frames handed out: 8, or 16 for every source that is deeper, and for headroom of colours."""
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
    ticks: Annotated[tuple[int, ...], BeforeValidator(_ticks_of_runs), PlainSerializer(runs_of_steps)]
    """Presentation times of the frames handed out, strictly ascending; the first may be any number."""
    last_duration_ticks: int | None
    """For how long the last frame is shown; None where the source does not say."""
    declared_rate: PositiveFraction | None
    """Frames per second as the source declares them: a claim, not a measurement."""
    codec: str
    container: str
    """ffmpeg's name of the container's demuxer."""
    has_sound: bool
    creation_time: Annotated[str | None, BeforeValidator(_date_or_none)]
    """As the source spells it, for the result to carry; None also for what is no date of ISO 8601."""
    notes: Items[str]
    """What a person should know about the source, a sentence each."""
    losses: Items[str]
    """What of the source could not be used, a sentence each."""
    part: ClipPart | None = None
    """None: the whole clip."""
    clock: Items[Stretch] = ()
    """See `stretches`; none stands for one whose ticks are the container's."""
    fields: Fields | None = None
    """Which fields of the pictures make each frame; None where each picture is a frame, at its own time."""
    cut_scores: Items[float] = ()
    """For each gap between two frames how surely a scene cut lies in it, 0 to 100; none where nobody looked."""
    duplicates: Items[int] = ()
    """Frames that show the one before them once more, while the footage around them moves."""
    headroom: Headroom = "none"
    """What the frames handed out have room for, beyond the colours of RGB."""
    crop: Crop = Crop()
    """What the container asks players to leave out."""
    mastering_display: MasteringDisplay | None = None
    light_level: LightLevel | None = None
    tags: Items[Annotated[tuple[str, str], Strict(strict=False)]] = ()
    """Title, artist, location and so on: ffmpeg's names, and values without control characters but for newlines."""
    chapters: Items[Chapter] = ()
    subtitles: Items[SubtitleTrack] = ()
    time_code: str | None = None
    """Of the first frame, "01:00:00:00" or so; with a semicolon or a point at its end frames are dropped."""
    colours_change: bool = False
    """Whether matrix or range of some frames are not those of the first, which `colour` tells."""
    format: Literal[1, 2] = INFO_FORMAT

    @property
    def reading(self) -> str:
        """How frames are read from pictures, where that is not the plain way; new frames go with one reading only."""
        crop = self.crop
        ways = {
            f"headroom {self.headroom}": self.headroom != "none",
            f"crop {crop.left} {crop.right} {crop.top} {crop.bottom}": crop != Crop(),
            "each its colours": self.colours_change,
            f"fields {self.fields and _short_hash(self.fields)}": self.fields is not None,
        }
        return ", ".join(way for way, is_taken in ways.items() if is_taken)

    @property
    def frame_count(self) -> int:
        """Frames handed out, counted. The header's own number is not trusted, so it is not kept."""
        return len(self.ticks)

    @property
    def picture_count(self) -> int:
        """Pictures that decode: frames, unless those are made of fields."""
        return self.fields.picture_count if self.fields else self.frame_count

    def frame_at(self, picture: int) -> int:
        """The first frame that begins with a picture, both counted from those handed out; beyond them by distance."""
        if self.fields is None or picture < 0:
            return picture
        return group_at(self.fields.groups, picture) + max(picture - self.picture_count, 0)

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height of the coded pictures, in pixels: neither crop nor rotation applied."""
        width, height = (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)
        return width + self.crop.left + self.crop.right, height + self.crop.top + self.crop.bottom

    @property
    def coded_pixels(self) -> int:
        """Width times height of the coded pictures."""
        width, height = self.coded_size
        return width * height

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """At least one. From one to the next the ticks go on without a gap, whatever the container's clock does."""
        return self.clock or (Stretch(frame=0, container_tick=self.ticks[0]),)

    @property
    def clip_tick(self) -> int:
        """The tick of the clip's first frame, of which these may be a part."""
        return self.ticks[0] if self.part is None else self.part.clip_tick

    @property
    def first_frame_time(self) -> Fraction:
        """Seconds on the container's clock, which the sound shares."""
        return self.stretches[0].container_tick * self.time_base


def info_of_frames(shape: "FrameShape", *, rate: Fraction, count: int, source_bits: int, colour: Colour) -> VideoInfo:
    """What is told of frames that come from no video: upright, of square pixels, so many a second."""
    return VideoInfo(
        width=shape.width,
        height=shape.height,
        depth=8 if shape.depth == 8 else 16,
        source_bits=source_bits,
        pixel_format="rgb24" if shape.depth == 8 else "rgb48le",
        sample_aspect_ratio=Fraction(1),
        rotation=0,
        mirrored=False,
        colour=colour,
        time_base=1 / rate,
        ticks=tuple(range(count)),
        last_duration_ticks=1,
        declared_rate=rate,
        codec="images",
        container="images",
        has_sound=False,
        creation_time=None,
        notes=(),
        losses=(),
    )
