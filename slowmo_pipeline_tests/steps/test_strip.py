"""What the strip tells of a plan, held against its outputs."""

import re
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from hypothesis import given

from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import STILL, plain_track
from slowmo_pipeline.planning.warp import Speed, ramped_warp
from slowmo_pipeline.steps.planning import CUT
from slowmo_pipeline.steps.strip import kinds_of, plan_strip, strip_caption
from slowmo_pipeline_tests.support.stored import changed
from slowmo_pipeline_tests.support.strategies import timelines
from slowmo_pipeline_tests.support.timelines import constant, even_timeline, positions
from slowmo_pipeline_tests.support.videos import info_of

INFO = info_of(9)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(timeline: TimeLine) -> ElementTree.Element:
    return ElementTree.fromstring(plan_strip(timeline, changed(INFO, cut_scores=tuple(range(100)))))


@given(timelines())
def test_every_output_is_of_one_kind(timeline: TimeLine) -> None:
    counts = kinds_of(timeline)

    assert sum(counts.values()) == timeline.output_count
    assert counts["new"] == sum(position.t > 0 for position in positions(timeline))


def test_held_frames_are_repeated_ones() -> None:
    assert kinds_of(even_timeline(constant(24, 4), 4, 24, {1: CUT})) == {"original": 4, "new": 6, "repeated": 6}


@pytest.mark.parametrize("count", [9, 400])
def test_widths_are_shares_of_the_result(count: int) -> None:
    """One by one, and as shares of columns."""
    bars = list(drawn(even_timeline(constant(24, count), 4)).iter("rect"))
    area = sum(float(bar.get("width", 0)) * float(bar.get("height", 0)) for bar in bars)
    new = sum(float(bar.get("width", 0)) * float(bar.get("height", 0)) for bar in bars if bar.get("class") == "new")

    assert area == pytest.approx(960 * 56, rel=0.01)
    assert new / area == pytest.approx(3 * (count - 1) / (4 * count), rel=0.01)


def test_cuts_are_marked_with_their_score_and_stills_with_their_reason() -> None:
    strip = drawn(even_timeline(constant(24, 9), 4, 24, {2: CUT, 5: STILL}))

    assert [title.text for title in strip.iter("title")] == ["scene cut after frame 2, score 2", "still after frame 5"]


def test_speeds_are_drawn_where_they_change() -> None:
    track = plain_track(constant(24, 9))
    speeds = [Speed(Fraction(0), Fraction(1, 8), Fraction(1)), Speed(Fraction(1, 8), track.duration, Fraction(1, 4))]
    strip = drawn(TimeLine(track, ramped_warp(speeds, ease=Fraction(0)), Fraction(24)))
    [line] = strip.iter("polyline")

    assert len(re.findall(r"[\d.]+,[\d.]+", line.get("points", ""))) == 4


def test_the_caption_counts() -> None:
    assert strip_caption(even_timeline(constant(24, 4), 4, 24, {1: CUT})) == (
        "Dark: 4 frames of the clip. Light: 6 new ones. Grey: 6 that repeat the one before "
        "(scene cut: 1; marks tell where)."
    )
