"""The knobs of a video: their defaults, bounds and meaning, each once."""

import hashlib
import re
import reprlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.settings.quantities import (
    ExactMoment,
    ExactNumber,
    Speeds,
    check_fineness,
    parse_fraction,
)
from slowmo_pipeline.strict_json import parse_json

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_LIMIT = re.compile(r"(?P<name>[^=]+)=(?P<number>[0-9]{1,18})")

# Beyond it libavutil refuses most pictures, and twice as much still fits into the decoders' own `max_pixels` (31 bits).
_MOST_PIXELS = 2**28


def _in_small_letters(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_AnyCase = BeforeValidator(_in_small_letters)


class SlowMotionSettings(BaseModel):
    """What shall become of one video.

    Values come from people (command line, launchpad, sidecar), so everything is checked and unknown names are refused.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    slowdown: ExactNumber = Field(
        Fraction(4), description='How many times slower: an exact number from 1 to 1000, such as 4, "5/2" or 2.5.'
    )
    frame_rate: ExactNumber | None = Field(
        None,
        description="Frames per second of the result, from 1 to 1000, such as 60 or "
        '"30000/1001"; unset: the source\'s own.',
    )
    # By another name in Python, which has a word of its own for it.
    from_: ExactMoment | None = Field(
        None,
        alias="from",
        description='Where the part of the clip begins that is made: seconds such as 3.2, "1:02:03.5", or the number '
        'of a frame such as "f120"; unset: at its begin.',
    )
    to: ExactMoment | None = Field(None, description="Where that part ends, told in the same ways; unset: at its end.")
    speed: Speeds | None = Field(
        None,
        description='Speeds of parts, instead of one slowdown: "0-2:1, 2-3.5:1/8, 3.5-:1" slows what lies between 2 '
        "and 3.5 seconds eight times. Moments are told as above, on the clock of the whole clip. What no part names "
        "plays at speed 1.",
    )
    ease: ExactNumber = Field(
        Fraction(0),
        description="Seconds of the result, up to 60, in which one speed passes evenly into the next; 0: at once.",
    )
    originals: Annotated[Literal["keep", "replace"], _AnyCase] = Field(
        "keep",
        description="keep: the clip's own frames are shown where they belong. replace: every moving frame is a new "
        "one, so that sharpness does not pulse; one more a gap is made.",
    )
    cuts: ExactNumber | Literal["off"] = Field(
        Fraction(50),
        description="How surely a scene cut must lie between two frames, from 1 to 100, for the first to be repeated "
        "up to it; off: new frames are made across cuts.",
    )
    longest_gap: ExactNumber = Field(
        Fraction(4),
        description="How many usual gaps may lie between two frames, from 1 to 1000000, for motion to run across; in a "
        "longer one the first frame is held until a usual gap before the second.",
    )
    duplicates: Annotated[Literal["keep", "replace"], _AnyCase] = Field(
        "keep",
        description="replace: frames that repeat the one before them, as in animation on twos or after dropped "
        "frames, give way to motion. keep: they are shown.",
    )
    interlaced: Annotated[Literal["auto", "deinterlace", "match", "keep", "refuse"], _AnyCase] = Field(
        "auto",
        description="Combed video. auto: interlaced, it gets a frame for each field; telecined, the frames of the "
        "film. deinterlace or match: always the one, or the other. keep: used as it is. refuse: an error.",
    )
    interpolator: str = Field(
        "flow",
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$",
        description="Name of the endpoint that makes the new frames, such as flow or film.",
    )
    codec: Annotated[Literal["h264", "h265", "prores", "ffv1"], _AnyCase] = Field(
        "h264", description="h264 or h265 (MP4), prores (MOV), or ffv1 (MKV, lossless RGB)."
    )
    crf: int | None = Field(
        None, ge=0, le=51, description="Quality, of h264 and h265 only; lower is better; unset: 18 and 20."
    )
    sound: Annotated[Literal["stretch", "keep", "none"], _AnyCase] = Field(
        "stretch",
        description="stretch: slowed, with its pitch kept. keep: as it is where the speed is 1, silence elsewhere. "
        "none: no sound.",
    )
    images: Annotated[Literal["lossless", "jpeg"], _AnyCase] = Field(
        "lossless", description="How frames travel to the endpoint: lossless, or smaller as jpeg (8 bit only)."
    )
    keep_results: bool = Field(
        True, description="Keep the new frames when the video is finished: encoding again then needs no inference."
    )
    encoder_threads: int = Field(
        2, ge=1, le=64, description="Threads of the encoder. Part of the settings since x264's bytes depend on it."
    )
    max_bytes: int = Field(100 * 1024**3, ge=1, description="Largest upload accepted, in bytes.")
    max_pixels: int = Field(
        8192 * 4320, ge=1, le=_MOST_PIXELS, description="Largest frame accepted, width times height."
    )
    max_frames: int = Field(1_000_000, ge=2, description="Most frames accepted in an upload.")
    max_seconds: int = Field(4 * 3600, ge=1, description="Longest upload accepted, in seconds.")
    max_new_frames: int = Field(
        250_000,
        ge=1,
        description="Most new frames made for a video: three quarters of an hour of 30 frames a second at 4x take "
        "243,000.",
    )

    @field_validator("slowdown")
    @classmethod
    def _slowdown_in_range(cls, value: Fraction) -> Fraction:
        if not 1 <= value <= 1000:
            raise ValueError("must lie between 1 and 1000: 4 plays four times slower")
        check_fineness(value)
        return value

    @field_validator("frame_rate")
    @classmethod
    def _frame_rate_in_range(cls, value: Fraction | None) -> Fraction | None:
        if value is not None:
            if not 1 <= value <= 1000:
                raise ValueError('must lie between 1 and 1000 frames per second, such as 60 or "30000/1001"')
            check_fineness(value)
        return value

    @field_validator("ease", "longest_gap")
    @classmethod
    def _in_bounds(cls, value: Fraction, told: ValidationInfo) -> Fraction:
        least, most = {"ease": (0, 60), "longest_gap": (1, 10**6)}[str(told.field_name)]
        if not least <= value <= most:
            raise ValueError(f"must lie between {least} and {most}")
        check_fineness(value)
        return value

    @field_validator("cuts", mode="before")
    @classmethod
    def _cuts_or_off(cls, value: object) -> object:
        if isinstance(value, str) and value.strip().lower() == "off":
            return "off"
        try:
            sureness = parse_fraction(value)
        except ValueError:
            raise ValueError("must be off, or a number such as 50") from None
        if not 1 <= sureness <= 100:
            raise ValueError("must be off, or lie between 1 and 100")
        return sureness

    @model_validator(mode="after")
    def _a_part_ends_after_it_begins(self) -> "SlowMotionSettings":
        begin, end = self.from_, self.to
        if begin is not None and end is not None and type(begin) is type(end) and end <= begin:
            raise ValueError("to must lie after from")
        return self

    @property
    def plan_settings(self) -> dict[str, Any]:
        """The settings that decide a plan, as JSON: what changes them makes new chunks."""
        stored = self.model_dump(mode="json")
        return {name: stored[name] for name in (*PACE, "images")}

    @property
    def first_plan_settings(self) -> dict[str, Any]:
        """Those that did when plans had their first format."""
        return self.model_dump(mode="json", include={"slowdown", "frame_rate", "images"})

    @property
    def version(self) -> str:
        """Changes with any setting; 8 hex digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]

    @property
    def encoding_settings(self) -> dict[str, Any]:
        """The settings that decide the encoded file, as JSON."""
        return self.model_dump(mode="json", include={"codec", "crf", "sound", "encoder_threads"})


CODECS_WITH_CRF = frozenset({"h264", "h265"})

PACE = (
    *("slowdown", "frame_rate", "from", "to", "speed", "ease"),
    *("originals", "cuts", "longest_gap", "duplicates", "interlaced"),
)
"""The settings that decide how many new frames there are, and so what they cost."""

_WRITTEN = {name: field.alias for name, field in SlowMotionSettings.model_fields.items() if field.alias}

FIELDS = {field.alias or name: field for name, field in SlowMotionSettings.model_fields.items()}
"""The settings by the names that people write."""

LIMITS = tuple(name for name in FIELDS if name.startswith("max_"))
"""The settings that bound the work: for whoever runs the pipeline to set, never for who uploads."""


def plain_type(field: FieldInfo) -> Any:
    """What a setting is without its checks and without None: Fraction for `ExactNumber | None`."""
    found: Any = field.annotation
    while get_origin(found) in (Annotated, Union, UnionType):
        found = next(each for each in get_args(found) if each is not NoneType)
    return found


def meaning(field: FieldInfo) -> str:
    """What a person is told of a setting: its description, and its bounds if it has any."""
    bounds = {name: getattr(each, name) for each in field.metadata for name in _BOUNDS if hasattr(each, name)}
    if bounds.keys() == {"ge", "le"}:
        told = f"between {bounds['ge']} and {bounds['le']}"
    else:
        told = ", ".join(f"{_BOUNDS[name]} {bound}" for name, bound in bounds.items())
    return f"{field.description} {told.capitalize()}." if told else f"{field.description}"


def parse_settings(values: Mapping[str, Any], *, origin: str) -> SlowMotionSettings:
    """Settings from names and values; names not given take their defaults.

    Raises SettingsError that quotes the first bad value, says what is allowed, and names `origin`.
    """
    try:
        settings = SlowMotionSettings.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            known = ", ".join(FIELDS)
            raise SettingsError(f"{origin}: there is no setting {reprlib.repr(name)}; there are {known}.") from None
        reason = reason_of(first["msg"])
        if not first["loc"]:
            raise SettingsError(f"{origin}: {reason}.") from None
        raise SettingsError(f"{origin}: {name} = {reprlib.repr(first['input'])} {reason}.") from None
    if settings.crf is not None and settings.codec not in CODECS_WITH_CRF:
        raise SettingsError(f"{origin}: {settings.codec} has no crf. Leave it out, or choose h264 or h265.")
    return settings


def overlaid(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Names and values of several sources, of which the later ones win.

    A crf goes with its codec: another layer's codec that has none drops it.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        values |= {_WRITTEN.get(name, name): value for name, value in layer.items()}
        if str(layer.get("codec", "h264")).lower() not in CODECS_WITH_CRF and "crf" not in layer:
            values.pop("crf", None)
    return values


def reason_of(message: str) -> str:
    """A message of pydantic's as the end of a sentence that begins with the name and the value."""
    return re.sub(r"^(Value error, |Input |String )", "", message).rstrip(".")


def parse_limits(texts: Iterable[str]) -> dict[str, int]:
    """Limits as the command line spells them, `max_frames=5000`. Raises SettingsError."""
    limits: dict[str, int] = {}
    for text in texts:
        match = _LIMIT.fullmatch(text)
        if match is None or match["name"] not in LIMITS:
            raise SettingsError(f"--limit {reprlib.repr(text)} must be NAME=NUMBER with a name of {', '.join(LIMITS)}.")
        limits[match["name"]] = int(match["number"])
    return limits


def read_settings(data: bytes, *, origin: str) -> dict[str, Any]:
    """Names and values of a JSON file, not yet checked. Raises SettingsError."""
    try:
        values = parse_json(data)
    except ValueError as error:
        raise SettingsError(f"{origin} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise SettingsError(f'{origin} must hold one JSON object, such as {{"slowdown": 8}}.')
    return values


def read_sidecar(data: bytes, *, origin: str) -> dict[str, Any]:
    """The same of the file beside an upload, which may come from anybody: limits are refused."""
    values = read_settings(data, origin=origin)
    for name in LIMITS:
        if name in values:
            raise SettingsError(
                f"{origin}: {name} is not for uploads to set. Take it out; a limit is set in settings.json at the root "
                f"of the storage, in the launchpad, or by --limit {name}=NUMBER."
            )
    return values
