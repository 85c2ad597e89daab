"""The one form of records: strict, canonical, and not to be blown up."""

import json
from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest

from slowmo_pipeline.endpoint.record import EndpointRecord
from slowmo_pipeline.errors import ChunkFormatError, DamagedRecordError
from slowmo_pipeline.planning.plan import Plan
from slowmo_pipeline.record import Epoch, Items, PositiveFraction, Record, WireDocument
from slowmo_pipeline.steps.pending_marker import Pending
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline_tests.planning.test_plan import plan_of
from slowmo_pipeline_tests.video.test_info import INFO


class Inner(Record):
    number: int


class Sample(Record):
    name: str
    rate: PositiveFraction
    at: Epoch
    inner: Items[Inner] = ()


class Wire(WireDocument):
    number: int
    names: Items[str] = ()


SAMPLE = Sample(name="Käfer 影", rate=Fraction(30000, 1001), at=1.5, inner=(Inner(number=1),))


def test_bytes_are_canonical() -> None:
    assert SAMPLE.to_json() == (b'{"at":1.5,"inner":[{"number":1}],"name":"K\\u00e4fer \\u5f71","rate":"30000/1001"}')


def test_what_is_written_is_read() -> None:
    assert Sample.from_json(SAMPLE.to_json(), where="here") == SAMPLE


def test_what_a_later_version_wrote_besides_is_ignored() -> None:
    data = json.dumps({**json.loads(SAMPLE.to_json()), "later": [1], "more": None}).encode()

    assert Sample.from_json(data, where="here") == SAMPLE


def test_what_the_wire_sends_besides_is_refused() -> None:
    with pytest.raises(ChunkFormatError, match=r"^here: 'later' is not a field of it\.$"):
        Wire.from_json(b'{"number":1,"later":2}', where="here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, "name = 3 must be a string"),
        ({"name": None}, "name = None must be a string"),
        ({"at": "1.5"}, "at = '1.5' must be a number"),
        ({"at": -1}, "at = -1 must be .*greater than or equal to 0"),
        ({"at": 1e300}, r"at = 1e\+300 must be less than or equal to"),
        ({"rate": 30}, 'rate = 30 must be a fraction above 0 such as "30000/1001"'),
        ({"rate": "1e999999999"}, "rate = '1e999999999' must be a fraction above 0"),
        ({"rate": "0"}, "rate = '0' must be a fraction above 0"),
        ({"rate": "1/0"}, "rate = '1/0' must be a fraction above 0"),
        ({"rate": "\u0663"}, "rate = .* must be a fraction above 0"),
        ({"rate": "1" * 40}, "rate = '1111.* must be a fraction above 0"),
        ({"inner": {}}, "inner = {} must be a list"),
        ({"inner": [1]}, r"inner\[0\]: must be a JSON object, not 1"),
        ({"inner": [{}]}, r"inner\[0\]: 'number' is missing"),
        ({"inner": [{"number": True}]}, r"inner\[0\]: number = True must be an integer"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], message: str) -> None:
    data = json.dumps({**json.loads(SAMPLE.to_json()), **change}).encode()
    with pytest.raises(DamagedRecordError, match=rf"^here is damaged: {message}"):
        Sample.from_json(data, where="here")


NO_RECORDS = [
    *(b"", b"{", bytes(50), b"\xff", b"null", b"3", b"[]", b"[" * 10**6, b'{"at":NaN}'),
    b'{"name":"a","rate":"1","at":1,"name":"a"}',
]


@pytest.mark.parametrize("data", NO_RECORDS)
def test_what_is_no_record_is_told(data: bytes) -> None:
    with pytest.raises(DamagedRecordError, match=r"^here is damaged: (not JSON|must be a JSON object|nested)"):
        Sample.from_json(data, where="here")


def test_a_million_unknown_fields_or_bad_items_are_one_error() -> None:
    """By itself pydantic makes an error of each."""
    unknown = json.dumps({f"field {number}": 1 for number in range(200_000)}).encode()
    with pytest.raises(ChunkFormatError, match="'field 0' is not a field of it"):
        Wire.from_json(unknown, where="here")
    with pytest.raises(ChunkFormatError, match=r"names\[0\] = 1 must be a string"):
        Wire.from_json(json.dumps({"number": 1, "names": [1] * 200_000}).encode(), where="here")


@pytest.mark.parametrize("name", list(json.loads(INFO.to_json())))
@pytest.mark.parametrize("value", [None, 0, -1, 1e300, 10**400, "1e99999999", [], {}, [[1, 10**9]], "0/1", True])
def test_an_odd_value_anywhere_in_info_is_told_or_harmless(name: str, value: object) -> None:
    data = json.dumps({**json.loads(INFO.to_json()), name: value}).encode()
    with suppress(DamagedRecordError):
        VideoInfo.from_json(data, where="info.json")


@pytest.mark.parametrize("steps", [[[1, 10**9]], [[1, 10**19]], [[1, 0]], [[1, -1]], [[0, 1]]])
def test_times_that_would_fill_memory_are_refused(steps: list[list[int]]) -> None:
    data = json.dumps({**json.loads(INFO.to_json()), "ticks": {"first": 0, "steps": steps}}).encode()
    with pytest.raises(DamagedRecordError, match="must not have"):
        VideoInfo.from_json(data, where="info.json")


PLAN = json.loads(plan_of(frames=3).to_json())


@pytest.mark.parametrize("name", list(PLAN))
@pytest.mark.parametrize(
    "value", [None, 0, -1, 10**400, "1e99999999", "0", [], {}, [[0, 1, 0, 10**400, 1]], {"x": "y"}]
)
def test_an_odd_value_anywhere_in_a_plan_is_told_or_harmless(name: str, value: object) -> None:
    with suppress(DamagedRecordError):
        plan = Plan.from_json(json.dumps({**PLAN, name: value}).encode(), where="plan.json")
        assert plan.timeline.output_count < 10**9


@pytest.mark.parametrize("kind", [Pending, EndpointRecord])
def test_times_of_no_clock_are_refused(kind: type[Record]) -> None:
    times = dict.fromkeys(("submitted_at", "deadline", "deployed_at"), 1e308)
    values = {"plan": "p", "model_id": "m", "max_body_bytes": 1, **times}
    with pytest.raises(DamagedRecordError, match=r"= 1e\+308 must be"):
        kind.from_json(json.dumps(values).encode(), where="here")
