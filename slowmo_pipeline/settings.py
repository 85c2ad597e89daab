"""The knobs of a video: their defaults, bounds and meaning, each once."""

import hashlib
import re
import reprlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, field_validator
from pydantic.fields import FieldInfo

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.strict_json import parse_json

# Bounded digits: Fraction("1e999999999") would compute for hours. Not \d, which takes those of every script.
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|[0-9]{1,9}/[0-9]{1,9}")
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_LIMIT = re.compile(r"(?P<name>[^=]+)=(?P<number>[0-9]{1,18})")

# Beyond it libavutil refuses most pictures, and twice as much still fits into the decoders' own `max_pixels` (31 bits).
_MOST_PIXELS = 2**28


def parse_fraction(value: object) -> Fraction:
    """An exact number from 4, "5/2", "2.5" or "30000/1001"; a float is taken as the decimal it prints."""
    text = "" if isinstance(value, bool) else str(value).strip()
    if not _NUMBER.fullmatch(text) or re.search(r"/0+$", text):
        raise ValueError('must be a number such as 4, "5/2" or "30000/1001"')
    return Fraction(text)


def _check_fineness(value: Fraction) -> None:
    """Refuse what makes times outgrow the 18 digits that a chunk has for them, or a track's time scale."""
    if value.numerator > 10**6 or value.denominator > 10**6:
        raise ValueError("is too fine: neither part of the fraction may exceed 1000000")


def _in_small_letters(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_AnyCase = BeforeValidator(_in_small_letters)

ExactNumber = Annotated[Fraction, BeforeValidator(parse_fraction), PlainSerializer(str, return_type=str)]


class SlowMotionSettings(BaseModel):
    """What shall become of one video.

    Values come from people (command line, launchpad, sidecar), so everything is checked and unknown names are refused.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True)

    slowdown: ExactNumber = Field(
        Fraction(4), description='How many times slower: an exact number from 1 to 1000, such as 4, "5/2" or 2.5.'
    )
    frame_rate: ExactNumber | None = Field(
        None,
        description="Frames per second of the result, from 1 to 1000, such as 60 or "
        '"30000/1001"; unset: the source\'s own.',
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
    sound: Annotated[Literal["stretch", "none"], _AnyCase] = Field(
        "stretch", description="stretch: slowed, with its pitch kept. none: no sound."
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
        _check_fineness(value)
        return value

    @field_validator("frame_rate")
    @classmethod
    def _frame_rate_in_range(cls, value: Fraction | None) -> Fraction | None:
        if value is not None:
            if not 1 <= value <= 1000:
                raise ValueError('must lie between 1 and 1000 frames per second, such as 60 or "30000/1001"')
            _check_fineness(value)
        return value

    @property
    def plan_settings(self) -> dict[str, Any]:
        """The settings that decide a plan, as JSON: what changes them makes new chunks."""
        return self.model_dump(mode="json", include={*PACE, "images"})

    @property
    def version(self) -> str:
        """Changes with any setting; 8 hex digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]

    @property
    def encoding_settings(self) -> dict[str, Any]:
        """The settings that decide the encoded file, as JSON."""
        return self.model_dump(mode="json", include={"codec", "crf", "sound", "encoder_threads"})


CODECS_WITH_CRF = frozenset({"h264", "h265"})

PACE = ("slowdown", "frame_rate")
"""The settings that decide how many new frames there are, and so what they cost."""

LIMITS = tuple(name for name in SlowMotionSettings.model_fields if name.startswith("max_"))
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
        name = str(first["loc"][0]) if first["loc"] else "a name"  # which is not even Unicode
        if first["type"] == "extra_forbidden":
            known = ", ".join(SlowMotionSettings.model_fields)
            raise SettingsError(f"{origin}: there is no setting {reprlib.repr(name)}; there are {known}.") from None
        reason = reason_of(first["msg"])
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
        values |= layer
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
