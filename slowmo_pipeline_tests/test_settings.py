"""The knobs: their bounds, and what a person is told who turns one too far."""

import json
import math
import re
import time
from fractions import Fraction
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, create_model

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.settings import (
    FIELDS,
    LIMITS,
    PACE,
    SlowMotionSettings,
    meaning,
    overlaid,
    parse_limits,
    parse_settings,
    plain_type,
    read_settings,
    read_sidecar,
)
from slowmo_pipeline.settings.quantities import SpeedPart, parse_fraction


def parsed(**values: Any) -> SlowMotionSettings:
    return parse_settings(values, origin="clip.mp4.slowmo.json")


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (4, Fraction(4)),
        (2.5, Fraction(5, 2)),
        (1.1, Fraction(11, 10)),
        ("5/2", Fraction(5, 2)),
        ("2.5", Fraction(5, 2)),
        (" 10/4 ", Fraction(5, 2)),
        ("30000/1001", Fraction(30000, 1001)),
        ("1000", Fraction(1000)),
        (Fraction(7, 3), Fraction(7, 3)),
    ],
)
def test_slowdown_is_exact(value: object, exact: Fraction) -> None:
    assert parsed(slowdown=value).slowdown == exact


@given(st.fractions(min_value=1, max_value=1000, max_denominator=9999))
def test_fractions_survive_their_text(value: Fraction) -> None:
    assert parse_fraction(str(value)) == value


NO_NUMBERS = [
    *("", "x", "-4", "+4", "1e3", "1e999999999", "1/0", "1/00", "0/0", "4_0", "0x4", "1/2/3", "1.", ".5", "4 5", "nan"),
    *("9" * 1_000_000, "1/" + "9" * 1_000_000, "4\n\n4", math.nan, math.inf, -4, 1e-5, 1e22, 10**400),
    *(True, False, None, [4], {"slowdown": 4}, b"4", "4" + "\0"),
    *("\u0664", "\uff14", "1/\u0967", "2.\u0665", "1_000"),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:12])
def test_what_is_no_number_is_refused_at_once(value: object) -> None:
    began = time.process_time()
    with pytest.raises(SettingsError, match=r'slowdown = .* must be a number such as 4, "5/2" or "30000/1001"\.$'):
        parsed(slowdown=value)

    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    ("name", "lowest", "highest", "too_low", "too_high"),
    [
        ("slowdown", "1", "1000", "0.9999", "1000.1"),
        ("frame_rate", "1", "1000", "999999/1000000", "1000001/1000"),
        ("crf", 0, 51, -1, 52),
        ("encoder_threads", 1, 64, 0, 65),
        ("max_bytes", 1, 10**18, 0, None),
        ("max_pixels", 1, 2**28, 0, 2**28 + 1),
        ("max_frames", 2, 10**18, 1, None),
        ("max_seconds", 1, 10**18, 0, None),
        ("max_new_frames", 1, 10**18, 0, None),
    ],
)
def test_bounds(name: str, lowest: object, highest: object, too_low: object, too_high: object) -> None:
    for allowed in (lowest, highest):
        assert parsed(**{name: allowed}).model_dump(mode="json")[name] == allowed
    for refused in (too_low, too_high):
        if refused is not None:
            with pytest.raises(SettingsError, match=rf"^clip\.mp4\.slowmo\.json: {name} = '?{refused}'? .*[0-9]"):
                parsed(**{name: refused})


@pytest.mark.parametrize(("name", "value"), [("frame_rate", "23.9760239"), ("slowdown", "2.0000001")])
def test_fraction_too_fine_for_a_track_or_a_chunk_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} = '{re.escape(value)}' is too fine"):
        parsed(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("codec", "vp9", "should be 'h264', 'h265', 'prores' or 'ffv1'"),
        ("codec", ["h264"], "should be 'h264', 'h265', 'prores' or 'ffv1'"),
        ("sound", "loud", "should be 'stretch', 'keep' or 'none'"),
        ("originals", "drop", "should be 'keep' or 'replace'"),
        ("duplicates", True, "should be 'keep' or 'replace'"),
        ("cuts", "on", "must be off, or a number such as 50"),
        ("cuts", False, "must be off, or a number such as 50"),
        ("cuts", 0, "must be off, or lie between 1 and 100"),
        ("cuts", "100.1", "must be off, or lie between 1 and 100"),
        ("ease", 61, "must lie between 0 and 60"),
        ("ease", "1/3000000", "is too fine"),
        ("longest_gap", "0.9", "must lie between 1 and 1000000"),
        ("longest_gap", "1000001", "must lie between 1 and 1000000"),
        ("images", "png", "should be 'lossless' or 'jpeg'"),
        ("interpolator", "-flow", "should match pattern"),
        ("interpolator", "flow-", "should match pattern"),
        ("interpolator", "flow\n", "should match pattern"),
        ("interpolator", "../flow", "should match pattern"),
        ("interpolator", "f" * 64, "should match pattern"),
        ("interpolator", None, "should be a valid string"),
        ("crf", "18", "should be a valid integer"),
        ("crf", 18.5, "should be a valid integer"),
        ("crf", True, "should be a valid integer"),
        ("encoder_threads", None, "should be a valid integer"),
        ("keep_results", 1, "should be a valid boolean"),
        ("keep_results", "no", "should be a valid boolean"),
    ],
)
def test_message_quotes_the_value_and_says_what_is_allowed(name: str, value: object, allowed: str) -> None:
    with pytest.raises(SettingsError) as error:
        parsed(**{name: value})

    assert str(error.value).startswith(f"clip.mp4.slowmo.json: {name} = ")
    assert allowed in str(error.value)
    if len(repr(value)) < 30:
        assert repr(value) in str(error.value)


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="there is no setting 'tempo'; there are slowdown, frame_rate, from, to, "):
        parsed(tempo=4)


@pytest.mark.parametrize(
    "values",
    [{"codec": "x" * 10**6}, {"x" * 10**6: 1}, {"codec": list(range(10**5))}, {"slowdown": 10**4200}, {"\ud800": 1}],
    ids=["long value", "long name", "long list", "long number", "half a character"],
)
def test_message_stays_short(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(values, origin="A test")

    assert len(str(error.value)) < 400


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in FIELDS.values())


def test_every_value_that_is_allowed_is_told() -> None:
    for field in FIELDS.values():
        if get_origin(plain_type(field)) is Literal:
            assert set(get_args(plain_type(field))) <= set(re.findall(r"\w+", meaning(field)))


@pytest.mark.parametrize("name", ["slowdown", "frame_rate", "cuts", "longest_gap"])
def test_the_range_of_an_exact_number_is_told(name: str) -> None:
    told = re.search(r"from (\d+) to (\d+)", meaning(FIELDS[name]))
    assert told is not None
    low, high = map(int, told.groups())
    for allowed in (low, high):
        assert parsed(**{name: allowed})
    for refused in (low - Fraction(1, 10), high + Fraction(1, 10)):
        with pytest.raises(SettingsError, match=f"between {low} and {high}"):
            parsed(**{name: refused})


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({}, "Of it."),
        ({"ge": 2}, "Of it. At least 2."),
        ({"ge": 0, "le": 51}, "Of it. Between 0 and 51."),
        ({"gt": 0, "le": 10}, "Of it. More than 0, at most 10."),
    ],
)
def test_bounds_are_told_with_the_meaning(bounds: Any, told: str) -> None:
    field: Any = Field(None, description="Of it.", **bounds)
    model = create_model("Model", it=(int | None, field))
    assert meaning(model.model_fields["it"]) == told


STORED: list[dict[str, Any]] = [
    {"slowdown": "5/2", "frame_rate": "30000/1001", "codec": "prores", "crf": None, "max_frames": 7},
    {"from": 3.2, "to": "1:02:03.5"},
    {"from": "f12", "to": "f120"},
    {"from": "f0", "to": 9},
    {"speed": "-2:1, 2-f90:1/8, f90-:2/3", "ease": "0.5"},
    {"originals": "replace", "cuts": "off", "duplicates": "replace", "longest_gap": "5/2"},
    {"cuts": 27.5, "sound": "keep"},
]


@pytest.mark.parametrize("values", STORED, ids=str)
def test_settings_survive_their_stored_form(values: dict[str, Any]) -> None:
    settings = parsed(**values)

    assert settings != parsed()
    assert json.loads(settings.model_dump_json()).keys() == FIELDS.keys()
    assert parse_settings(json.loads(json.dumps(settings.model_dump(mode="json"))), origin="source.json") == settings


OTHER_VALUES: dict[str, Any] = {
    "slowdown": 5,
    "frame_rate": 60,
    "from": 1,
    "to": 2,
    "speed": "0-1:1/2",
    "ease": 1,
    "originals": "replace",
    "cuts": "off",
    "longest_gap": 5,
    "duplicates": "replace",
    "interpolator": "film",
    "codec": "ffv1",
    "crf": 20,
    "sound": "none",
    "images": "jpeg",
    "interlaced": "keep",
    "keep_results": False,
    "encoder_threads": 3,
    "max_bytes": 10,
    "max_pixels": 10,
    "max_frames": 10,
    "max_seconds": 10,
    "max_new_frames": 10,
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_changes_the_version_and_what_it_decides(name: str) -> None:
    before, after = parsed(), parsed(**{name: OTHER_VALUES[name]})

    assert before.version != after.version
    assert (before.plan_settings != after.plan_settings) == (name in (*PACE, "images"))
    assert (before.encoding_settings != after.encoding_settings) == (
        name in ("codec", "crf", "sound", "encoder_threads")
    )


def test_version_is_the_same_for_the_same() -> None:
    assert parsed(slowdown="10/4").version == parsed(slowdown=2.5, codec="h264").version


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_sidecar_is_read_as_editors_write_it(encoding: str) -> None:
    text = '{\r\n "slowdown": "5/2",\n "frame_rate": 60}\r\n'

    assert read_sidecar(text.encode(encoding), origin="s.json") == {"slowdown": "5/2", "frame_rate": 60}


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"{'slowdown': 8}", b"\xff" * 9, b'{"slowdown": ' + b"9" * 5000 + b"}", b"[" * 10**6, b'{"a":' * 10**5],
    ids=["empty", "open", "quotes", "bytes", "digits", "deep list", "deep object"],
)
def test_sidecar_that_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsError, match=r"^s\.json is not JSON: .*"):
        read_sidecar(data, origin="s.json")


@pytest.mark.parametrize("data", [b"[]", b"8", b"null", b'"slowdown"'])
def test_sidecar_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsError, match=r'^s\.json must hold one JSON object, such as {"slowdown": 8}\.$'):
        read_sidecar(data, origin="s.json")


def test_sidecar_values_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^s\.json is not JSON: NaN is not a number of JSON\.$"):
        read_sidecar(b'{"slowdown": NaN}', origin="s.json")


@pytest.mark.parametrize("name", LIMITS)
def test_limit_is_not_for_uploads_to_set(name: str) -> None:
    data = json.dumps({"slowdown": 8, name: 10**6}).encode()

    assert read_settings(data, origin="settings.json") == {"slowdown": 8, name: 10**6}
    with pytest.raises(SettingsError, match=rf"^s\.json: {name} is not for uploads .*settings\.json.*--limit {name}="):
        read_sidecar(data, origin="s.json")


@pytest.mark.parametrize("data", ['{"codec": "h264", "slowdown": 8, "slowdown": 8}', '{"slowdown": {"a": 1, "a": 2}}'])
def test_what_is_said_twice_is_refused(data: str) -> None:
    with pytest.raises(SettingsError, match=r"^s\.json is not JSON: '(slowdown|a)' stands twice in it\.$"):
        read_sidecar(data.encode(), origin="s.json")


def test_limits_on_the_command_line() -> None:
    assert parse_limits(["max_frames=5000", "max_pixels=64"]) == {"max_frames": 5000, "max_pixels": 64}


@pytest.mark.parametrize("text", ["", "max_frames", "crf=18", "max_frames=-1", "max_frames=1_0", "max_frames=\u0665"])
def test_what_is_no_limit_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(SettingsError, match=r"must be NAME=NUMBER with a name of max_bytes, .*max_new_frames\.$"):
        parse_limits([text])


@pytest.mark.parametrize("codec", ["prores", "ffv1", "FFV1"])
def test_crf_of_a_codec_that_has_none_is_refused(codec: str) -> None:
    with pytest.raises(SettingsError, match=f"{codec.lower()} has no crf"):
        parse_settings({"codec": codec, "crf": 20}, origin="A test")


def test_a_crf_goes_with_the_codec_that_it_was_meant_for() -> None:
    assert overlaid({"crf": 20, "slowdown": 8}, {"codec": "prores"}) == {"slowdown": 8, "codec": "prores"}
    assert overlaid({"crf": 20}, {"codec": "H265"}) == {"crf": 20, "codec": "H265"}
    assert overlaid({"codec": "ffv1"}, {"crf": 20}) == {"codec": "ffv1", "crf": 20}


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (3.2, Fraction(16, 5)),
        (3, Fraction(3)),
        (" 16/5 ", Fraction(16, 5)),
        ("0", Fraction(0)),
        ("2:03", Fraction(123)),
        ("1:02:03.5", Fraction(7447, 2)),
        ("0:00:00.000001", Fraction(1, 10**6)),
        ("f120", 120),
        ("f0", 0),
    ],
)
@pytest.mark.parametrize("name", ["from", "to"])
def test_moments_are_seconds_or_frames(name: str, value: object, moment: Fraction | int) -> None:
    settings = parsed(**{name: value})
    found = settings.from_ if name == "from" else settings.to

    assert (found, type(found)) == (moment, type(moment))


@pytest.mark.parametrize(
    "value", ["f", "f-1", "F1 ", "-1", "1:2:3:4", ":5", "1:", "1:2:", "1e3", "f1.5", "soon", "", [1], True, "f\u0664"]
)
def test_what_is_no_moment_is_refused_with_what_is(value: object) -> None:
    told = r'must be a moment such as 3\.2 \(seconds\), "1:02:03\.5" or "f120" \(a frame\)\.$'
    with pytest.raises(SettingsError, match=rf"^clip\.mp4\.slowmo\.json: from = .*{told}"):
        parsed(**{"from": value})


@pytest.mark.parametrize("value", ["0.0000001", "1/3000000", "1:02.1234567", "0:00:01.000000001"])
def test_moment_that_no_clock_tells_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"to = .* is too fine: six decimals are enough"):
        parsed(to=value)


@pytest.mark.parametrize(("begin", "end"), [(2, 2), ("3", "2.5"), ("f9", "f8"), ("f9", "f9"), ("1:00", 60)])
def test_part_that_ends_before_it_begins_is_refused(begin: object, end: object) -> None:
    with pytest.raises(SettingsError, match=r"^clip\.mp4\.slowmo\.json: to must lie after from\.$"):
        parsed(**{"from": begin, "to": end})


def test_of_a_frame_and_a_second_only_the_clip_tells_which_is_first() -> None:
    assert parsed(**{"from": "f100", "to": 1}).from_ == 100


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0-2:1", [SpeedPart(Fraction(0), Fraction(2), Fraction(1))]),
        ("-:1/8", [SpeedPart(Fraction(0), None, Fraction(1, 8))]),
        ("f10 - f20 : 0.5", [SpeedPart(10, 20, Fraction(1, 2))]),
        ("1:02-1:02:03:1/1000", [SpeedPart(Fraction(62), Fraction(3723), Fraction(1, 1000))]),
        (
            "0-2:1, 2-3.5:1/8,3.5-:1",
            [
                SpeedPart(Fraction(0), Fraction(2), Fraction(1)),
                SpeedPart(Fraction(2), Fraction(7, 2), Fraction(1, 8)),
                SpeedPart(Fraction(7, 2), None, Fraction(1)),
            ],
        ),
    ],
)
def test_speeds_are_parts_with_a_speed_each(text: str, parts: list[SpeedPart]) -> None:
    assert parsed(speed=text).speed == tuple(parts)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be parts such as "),
        ("0-2", "must be parts such as "),
        ("2:1/2", "must be parts such as "),
        ("0-2:1,", "must be parts such as "),
        (["0-2:1"], "must be 1 to 100 parts"),
        (4, "must be 1 to 100 parts"),
        (", ".join(f"{n}-{n + 1}:1" for n in range(101)), "must be 1 to 100 parts"),
        ("0-2:0", "must not hold the speed 0: allowed are 1/1000 to 1, where 1/8 is eight times slower"),
        ("0-2:2", "must not hold the speed 2"),
        ("0-2:1/1001", "must not hold the speed 1/1001"),
        ("0-2:-1", "must be a number such as"),
        ("0-2:fast", "must be a number such as"),
        ("0-2:0.1234567", "is too fine"),
        ("x-2:1", "must be a moment such as"),
        ("0-soon:1", "must be a moment such as"),
        ("2-2:1", "must not hold 2-2:1, which ends before it begins"),
        ("f9-f8:1", "must not hold f9-f8:1, which ends before it begins"),
        ("0-2:1, 1-3:1/2", "must not overlap: 1-3:1/2 begins before 0-2:1 ends"),
        ("2-3:1, 0-1:1/2", "must not overlap: 0-1:1/2 begins before 2-3:1 ends"),
        ("0-:1, 5-6:1/2", "must not overlap: 5-6:1/2 begins before 0-:1 ends"),
    ],
)
def test_what_are_no_speeds_is_refused_with_the_reason(text: object, reason: str) -> None:
    with pytest.raises(SettingsError) as error:
        parsed(speed=text)

    assert str(error.value).startswith("clip.mp4.slowmo.json: speed = ")
    assert reason in str(error.value)


@given(st.text("0123456789:-,./f ", max_size=30))
def test_whatever_is_written_for_speeds_is_taken_or_refused(text: str) -> None:
    try:
        settings = parsed(speed=text)
    except SettingsError:
        return
    assert parsed(**json.loads(settings.model_dump_json())) == settings


def test_sidecar_names_the_begin_as_people_do() -> None:
    told = read_sidecar(b'{"from": "f3", "to": 2.5, "speed": "0-2:1/2"}', origin="s.json")

    assert (
        parse_settings(told, origin="s.json").model_dump(mode="json").items()
        >= {"from": "f3", "to": "5/2", "speed": "0-2:1/2"}.items()
    )
