"""The sampled places against the time line's positions, gone through one by one."""

from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.planning.clock import FrameTimes
from slowmo_pipeline.planning.plan import Plan, make_plan
from slowmo_pipeline.planning.timeline import Position, TimeLine
from slowmo_pipeline.steps.samples import NEAR, SAMPLES, sampled_places
from slowmo_pipeline_tests.support.strategies import timelines
from slowmo_pipeline_tests.support.timelines import constant, even_timeline, positions, variable

FILM = Fraction(24000, 1001)


def plan_of(source: FrameTimes, slowdown: Fraction, frame_rate: Fraction, held: tuple[int, ...] = ()) -> Plan:
    timeline = even_timeline(source, slowdown, frame_rate, dict.fromkeys(held, "cut"))
    return make_plan(timeline, frame_bytes=1000)


def uneven(count: int) -> FrameTimes:
    gaps = np.random.default_rng(0).integers(1200, 9000, count - 1)
    return variable((0, *accumulate(map(int, gaps))), Fraction(1, 90000), 3000)


def shown_frames(plan: Plan) -> set[int]:
    """Frames that some output shows as they are."""
    return {position.interval for position in positions(plan.timeline) if position.t == 0}


@pytest.mark.parametrize(
    ("source", "slowdown", "frame_rate"),
    [
        (constant(FILM, 3300), 1, 60),
        (constant(Fraction(30000, 1001), 4100), 1, Fraction(60)),
        (constant(60, 300), 1, FILM),
        (constant(25, 240), Fraction(20, 19), 25),
        (uneven(900), 1, 60),
        (uneven(900), 4, 30),
    ],
    ids=["24 to 60", "30 to 60", "60 to 24", "20/19", "variable", "variable at 4x"],
)
def test_all_samples_are_shown_as_they_are_where_any_are(source: FrameTimes, slowdown: int, frame_rate: int) -> None:
    plan = plan_of(source, Fraction(slowdown), Fraction(frame_rate))
    shown = shown_frames(plan)
    count = len(source.ticks)
    parts = [range(count * n // SAMPLES, count * (n + 1) // SAMPLES) for n in range(SAMPLES)]
    places = sampled_places(plan)
    assert [any(place.frame in part for place in places) for part in parts] == [True] * SAMPLES
    for place in places:
        [part] = [part for part in parts if place.frame in part]
        assert (place.distance == 0) == (place.frame in shown) == bool(shown & set(part))


@given(
    st.builds(constant, st.fractions(1, 200, max_denominator=1001), st.integers(2, 60)),
    st.fractions(1, 5, max_denominator=50),
    st.fractions(1, 200, max_denominator=1001),
)
def test_every_sample_is_the_output_nearest_to_its_frame(
    source: FrameTimes, slowdown: Fraction, frame_rate: Fraction
) -> None:
    plan = plan_of(source, slowdown, frame_rate)
    for place in sampled_places(plan):
        own = source.ticks[place.frame] * source.time_base * slowdown * frame_rate
        if place.distance == 0:
            assert plan.timeline.position(place.output) == Position(place.frame, Fraction(0))
        else:
            assert abs(place.output - own) == place.distance <= NEAR


def test_of_a_short_clip_with_another_rate_the_nearest_outputs_are_sampled() -> None:
    places = sampled_places(plan_of(constant(FILM, 80), Fraction(1), Fraction(60)))
    # The last frame is held: outputs after it show it as it is.
    assert [place.distance == 0 for place in places] == [True] + [False] * 6 + [True]
    assert max(place.distance for place in places) < Fraction(1, 5)


def test_no_sample_lies_in_a_gap_that_shows_another_frame() -> None:
    source = constant(FILM, 80)
    everywhere = {place.frame for place in sampled_places(plan_of(source, Fraction(1), Fraction(60)))}
    # A frame whose nearest output comes before it, in a gap that is held.
    held = tuple(frame - 1 for frame in everywhere if frame)
    plan = plan_of(source, Fraction(1), Fraction(60), held)
    for place in sampled_places(plan):
        assert plan.timeline.position(place.output).interval == place.frame or place.output in [
            new.output for chunk in plan.chunks for new in plan.new_frames(chunk)
        ]


@given(timelines())
def test_samples_lie_where_their_frames_are_whatever_the_time_line(timeline: TimeLine) -> None:
    plan = make_plan(timeline, frame_bytes=1000)
    for place in sampled_places(plan):
        outputs = [output for output, is_new in plan.outputs_of_frame(place.frame) if not is_new]
        if place.distance == 0:
            assert place.output in outputs
        else:
            own = timeline.output_at(timeline.track.time(timeline.track.anchors_of(place.frame)[0]))
            assert own is not None
            assert (outputs, abs(place.output - own)) == ([], place.distance)
            assert place.distance <= NEAR
