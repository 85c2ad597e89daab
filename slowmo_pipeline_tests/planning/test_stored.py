"""Plans that version 0.1.0 stored, of format 1, show what they showed. Made once, by that version."""

import json
from typing import Any

import pytest

from slowmo_pipeline.planning.plan import Plan
from slowmo_pipeline_tests.support.places import DATA
from slowmo_pipeline_tests.support.timelines import positions

EARLIER = json.loads((DATA / "plans-format-1.json").read_text())


@pytest.fixture(params=EARLIER, ids=lambda earlier: earlier["name"])
def earlier(request: pytest.FixtureRequest) -> Any:
    return request.param


def parsed(earlier: Any) -> Plan:
    return Plan.from_json(json.dumps(earlier["plan"]).encode(), where="plan.json")


def test_every_output_is_where_it_was(earlier: Any) -> None:
    timeline = parsed(earlier).timeline

    assert [f"{interval} {t}" for interval, t in positions(timeline)] == earlier["positions"]
    assert [f"{at.interval} {at.t}" for at in map(timeline.position, range(timeline.output_count))] == earlier[
        "positions"
    ]
    assert str(timeline.slowdown) == earlier["plan"]["slowdown"]
    assert str(timeline.frame_rate) == earlier["plan"]["frame_rate"]


def test_chunks_send_and_want_what_they_did(earlier: Any) -> None:
    plan = parsed(earlier)
    found = [
        {
            "frames": [plan.frames_of(chunk)[0], plan.frames_of(chunk)[-1]],
            "new": [new.output for new in plan.new_frames(chunk)],
        }
        for chunk in plan.chunks
    ]

    assert found == earlier["chunks"]
    assert plan.new_frame_count == earlier["plan"]["new_frame_count"]


def test_stored_again_it_is_the_same(earlier: Any) -> None:
    plan = parsed(earlier)
    stored = plan.to_json()

    assert json.loads(stored)["format"] == 2
    assert Plan.from_json(stored, where="plan.json") == plan
