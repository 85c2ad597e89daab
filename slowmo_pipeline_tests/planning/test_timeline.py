"""The time line against its definition, computed the slow and obvious way."""

import math
from fractions import Fraction
from itertools import accumulate, pairwise, starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.planning.clock import FrameTimes
from slowmo_pipeline.planning.timeline import Position, TimeLine
from slowmo_pipeline.planning.track import make_track, plain_track
from slowmo_pipeline.planning.warp import Segment, Speed, Warp, even_warp, ramped_warp
from slowmo_pipeline_tests.support.strategies import CONSTANT, RATES, SLOWDOWNS, SOURCES, timelines, variable_sources
from slowmo_pipeline_tests.support.timelines import constant, even_timeline, positions, variable

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)
HALF = Fraction(1, 2)


def at(anchor: int, t: Fraction = Fraction(0)) -> Position:
    return Position(anchor, t)


def speed_at(warp: Warp, moment: Fraction) -> Fraction:
    """The slower end of the last segment that begins at or before a moment of the source, or of the first."""
    segment = [warp.segments[0], *(each for each in warp.segments if each.source <= moment)][-1]
    return min(segment.begin_speed, segment.end_speed)


def moments_by_definition(timeline: TimeLine) -> list[Fraction]:
    """Of all outputs and the one after them: as the warp has them, each segment moved onto what frames lie on."""
    warp, rate, shift = timeline.warp, timeline.frame_rate, Fraction(0) if timeline.shows_originals else HALF
    moments: list[Fraction] = []
    for segment in warp.segments:
        is_last = segment is warp.segments[-1]
        while is_last or (len(moments) + shift) / rate < segment.output + segment.duration:
            if len(moments) == timeline.output_count:
                break
            moments.append(warp.source_time((len(moments) + shift) / rate))
        first = next((k for k, each in enumerate(moments) if (k + shift) / rate >= segment.output), len(moments))
        here = moments[first:]
        if here and segment.is_even and timeline.track.times.is_constant:
            count = sum(moment < segment.source_end for moment in here)
            moved = moved_onto_frames(timeline, here[0], segment.begin_speed / rate, segment, count) - here[0]
            moments[first:] = [moment + moved for moment in here]
    last = warp.segments[-1]
    after = moments[-1] + last.end_speed / rate if last.is_even else warp.source_time((len(moments) + shift) / rate)
    return [*moments, after]


def moved_onto_frames(timeline: TimeLine, begin: Fraction, step: Fraction, segment: Segment, count: int) -> Fraction:
    """The nearest begin of all from which steps come upon frames as often as they can, and stay in the segment."""
    frames, shift = timeline.track.times.rate, 0 if timeline.shows_originals else HALF
    often = (step * frames).denominator
    near = math.floor(begin * frames * often)
    candidates = [(k + shift * step * frames * often % 1) / (frames * often) for k in range(near - 3, near + 5)]
    inside = [each for each in candidates if segment.source <= each and each + (count - 1) * step < segment.source_end]
    return min(inside, key=lambda each: (abs(each - begin), round(each * frames * often) % 2), default=begin)


def positions_by_definition(timeline: TimeLine) -> list[Position]:
    """By a linear search; where times are rounded, a moment within the tolerance of an anchor is that anchor."""
    track, warp, rate = timeline.track, timeline.warp, timeline.frame_rate
    times = [track.time(anchor) for anchor in range(track.count)]
    moments = moments_by_definition(timeline)
    tolerances = [Fraction(0)] * track.count
    if track.times.rounding and timeline.shows_originals:
        tolerances = [min(track.times.time_base, speed_at(warp, time) / rate / 2) for time in times]

    def position(moment: Fraction, following: Fraction) -> Position:
        anchor = max(each for each in range(track.count) if times[each] - tolerances[each] <= moment)
        if anchor == track.count - 1 or anchor in track.repeats:
            return at(anchor)
        begin, end = times[anchor], times[anchor + 1]
        if moment <= begin or moment < begin + tolerances[anchor]:
            if timeline.shows_originals:
                return at(anchor)
            moment = (begin + min(end, following)) / 2
        return Position(anchor, (moment - begin) / (end - begin))

    return list(starmap(position, pairwise(moments)))


def is_still(timeline: TimeLine, position: Position) -> bool:
    """Whether nothing moves there."""
    return position.interval in timeline.track.repeats or position.interval == timeline.track.count - 1


@given(timelines())
def test_positions_follow_the_definition(timeline: TimeLine) -> None:
    expected = positions_by_definition(timeline)

    assert list(positions(timeline)) == expected
    assert [timeline.position(output) for output in range(timeline.output_count)] == expected


@given(timelines())
def test_intervals_part_the_outputs_in_order(timeline: TimeLine) -> None:
    outputs = [output for anchor in range(timeline.track.count) for output in timeline.outputs_of(anchor)]

    assert outputs == list(range(timeline.output_count))


@given(timelines())
def test_positions_ascend(timeline: TimeLine) -> None:
    found = list(positions(timeline))

    assert all(one < other or (one == other and is_still(timeline, one)) for one, other in pairwise(found))
    assert all(0 <= position.t < 1 for position in found)


@given(timelines())
def test_the_result_lasts_as_long_as_its_warp(timeline: TimeLine) -> None:
    assert timeline.output_count == math.ceil(timeline.warp.duration * timeline.frame_rate)
    assert timeline.duration == timeline.output_count / timeline.frame_rate
    assert 0 <= timeline.duration - timeline.warp.duration < 1 / timeline.frame_rate


@given(SOURCES, SLOWDOWNS, RATES)
def test_outputs_last_as_long_as_the_slowed_source(times: FrameTimes, slowdown: Fraction, rate: Fraction) -> None:
    timeline = even_timeline(times, slowdown, rate)

    assert timeline.slowdown == slowdown
    assert timeline.output_count == math.ceil(times.end * times.time_base * slowdown * rate)


@given(timelines())
def test_every_output_lies_inside_of_the_warp(timeline: TimeLine) -> None:
    warp = timeline.warp
    inside = [output for output in range(timeline.output_count) if (output + 1) / timeline.frame_rate <= warp.duration]

    assert timeline.output_count - len(inside) <= 1, "the last one may reach beyond"
    assert all(warp.source_begin <= timeline.moment(output) < warp.source_end for output in inside)


@given(timelines())
def test_new_outputs_are_those_strictly_between_two_anchors(timeline: TimeLine) -> None:
    for anchor in range(timeline.track.count):
        between = [output for output in timeline.outputs_of(anchor) if timeline.t(anchor, output) > 0]

        assert list(timeline.new_outputs_of(anchor)) == between
        assert not (between and anchor in timeline.track.repeats)


@given(timelines())
def test_new_outputs_are_counted(timeline: TimeLine) -> None:
    assert timeline.new_count == sum(t > 0 for _, t in positions(timeline))


@given(CONSTANT, SLOWDOWNS, RATES, st.fractions(0, 1, max_denominator=60))
def test_new_outputs_of_a_plain_source_are_counted_by_a_formula(
    times: FrameTimes, slowdown: Fraction, rate: Fraction, share: Fraction
) -> None:
    track = plain_track(times)
    end = track.duration * (share or 1)
    timeline = TimeLine(track, even_warp(1 / slowdown, Fraction(0), end), min(rate, 100 / (end * slowdown)))

    assert timeline.new_count == sum(t > 0 for _, t in positions(timeline))


@given(timelines())
def test_a_frame_is_shown_as_itself_once_at_most_unless_it_is_held(timeline: TimeLine) -> None:
    shown = [each.interval for each in positions(timeline) if each.t == 0 and not is_still(timeline, each)]

    assert len(shown) == len(set(shown))


@given(timelines())
def test_without_originals_only_what_is_held_is_one(timeline: TimeLine) -> None:
    for position in positions(TimeLine(timeline.track, timeline.warp, timeline.frame_rate, shows_originals=False)):
        assert (position.t == 0) == is_still(timeline, position)


@pytest.mark.parametrize(
    ("times", "slowdown", "rate"),
    [
        (constant(24, 9), 4, 24),
        (constant(24, 9), Fraction(5, 2), 24),
        (constant(25, 9), 2, 60),
        (constant(FILM, 9), 1, 60),
        (constant(25, 9), 1, 25),
        (constant(30, 9), 3, Fraction(5)),
        (variable([0, 33, 67, 100, 150, 400, 433], Fraction(1, 1000), 33), 4, 30),
        (variable([0, 33, 67, 100, 150, 400, 433], Fraction(1, 1000), 33), Fraction(5, 2), 60),
    ],
)
def test_no_original_is_shown_when_none_is_wanted(times: FrameTimes, slowdown: Fraction, rate: Fraction) -> None:
    timeline = even_timeline(times, slowdown, rate, shows_originals=False)
    moving = [
        output for output in range(timeline.output_count) if output not in timeline.outputs_of(len(times.ticks) - 1)
    ]

    assert all(0 < timeline.position(output).t < 1 for output in moving)
    assert timeline.new_count == len(moving) > 0


def test_without_originals_an_even_slowdown_shows_what_lies_half_an_output_later() -> None:
    timeline = even_timeline(constant(24, 3), 4, shows_originals=False)

    eighths = [Fraction(number, 8) for number in (1, 3, 5, 7)]
    assert list(positions(timeline)) == [*(at(gap, t) for gap in (0, 1) for t in eighths), *[at(2)] * 4]


def test_without_originals_what_would_fall_on_one_is_moved_on() -> None:
    """At half the source's rate, half an output later is the next frame."""
    timeline = even_timeline(constant(24, 4), 1, 12, shows_originals=False)

    assert [timeline.moment(output) for output in (0, 1)] == [Fraction(1, 24), Fraction(3, 24)]
    assert list(positions(timeline)) == [at(1, HALF), at(3)]


@given(timelines(), st.fractions(0, 1, max_denominator=97))
def test_output_at_is_where_the_moment_is_shown(timeline: TimeLine, share: Fraction) -> None:
    warp = timeline.warp
    moment = warp.source_begin + share * (warp.source_end - warp.source_begin)
    found = timeline.output_at(moment)

    if found is not None:
        before = math.floor(found)
        for output in {before, before + 1} & set(range(timeline.output_count)):
            step = warp.segment_of(timeline.moment(output)).begin_speed / timeline.frame_rate
            if warp.segment_of(timeline.moment(output)) is warp.segment_of(moment):
                assert timeline.moment(output) == moment + (output - found) * step
    assert timeline.output_at(warp.source_begin - 1) is timeline.output_at(warp.source_end + 1) is None


@given(RATES, st.integers(1, 40))
def test_four_times_slower_at_the_sources_rate(rate: Fraction, count: int) -> None:
    found = list(positions(even_timeline(constant(rate, count), 4)))

    assert len(found) == 4 * count
    assert found[::4] == [at(frame) for frame in range(count)]
    assert found[-4:] == [at(count - 1)] * 4
    assert [position.t for position in found[:4]] == [
        0,
        Fraction(1, 4),
        Fraction(1, 2),
        Fraction(3, 4),
    ] or count == 1


@given(CONSTANT, st.integers(1, 30))
def test_whole_slowdown_at_the_sources_rate_shows_every_original(times: FrameTimes, slowdown: int) -> None:
    timeline = even_timeline(times, slowdown)

    assert timeline.output_count == slowdown * len(times.ticks)
    assert all(timeline.position(slowdown * frame) == at(frame) for frame in range(len(times.ticks)))


def test_slowdown_of_one_at_twice_the_rate_makes_motion_smooth() -> None:
    timeline = even_timeline(constant(25, 3), 1, 50)

    assert list(positions(timeline)) == [at(0), at(0, HALF), at(1), at(1, HALF), at(2), at(2)]


def test_fractional_slowdown_shows_every_second_original() -> None:
    timeline = even_timeline(constant(24, 3), Fraction(5, 2))

    fifth = Fraction(1, 5)
    assert list(positions(timeline)) == [
        *(at(0), at(0, 2 * fifth), at(0, 4 * fifth), at(1, fifth), at(1, 3 * fifth)),
        *(at(2), at(2), at(2)),
    ]


def test_lower_rate_leaves_frames_out() -> None:
    timeline = even_timeline(constant(60, 6), 1, 20)

    assert list(positions(timeline)) == [at(0), at(3)]
    assert [len(timeline.outputs_of(anchor)) for anchor in range(6)] == [1, 0, 0, 1, 0, 0]


def test_last_frame_of_a_variable_source_is_held_for_its_own_duration() -> None:
    timeline = even_timeline(variable((0, 40, 100), Fraction(1, 1000), 200), 1, 50)

    assert timeline.output_count == 15
    assert timeline.outputs_of(2) == range(5, 15)


def test_only_frame_is_held() -> None:
    assert list(positions(even_timeline(constant(25, 1), 4))) == [at(0)] * 4


def test_ramp_slows_what_it_names_and_nothing_else() -> None:
    third = Fraction(1, 3)
    speeds = [Speed(Fraction(0), third, Fraction(1)), Speed(third, 2 * third, Fraction(1, 8))]
    warp = ramped_warp([*speeds, Speed(2 * third, Fraction(1), Fraction(1))], ease=Fraction(0))
    timeline = TimeLine(plain_track(constant(24, 24)), warp, Fraction(24))

    assert [(each.interval, each.t) for each in positions(timeline)] == [
        *((frame, 0) for frame in range(8)),
        *((8 + step // 8, Fraction(step % 8, 8)) for step in range(64)),
        *((frame, 0) for frame in range(16, 24)),
    ]
    assert timeline.new_count == 8 * 7


def test_part_shows_what_lies_in_it_and_holds_nothing() -> None:
    warp = even_warp(Fraction(1, 4), Fraction(5, 48), Fraction(7, 48))
    timeline = TimeLine(plain_track(constant(24, 9)), warp, Fraction(24))

    assert list(positions(timeline)) == [at(2, HALF), at(2, Fraction(3, 4)), at(3), at(3, Fraction(1, 4))]


def test_still_is_held_and_motion_begins_a_usual_gap_before_it_ends() -> None:
    times = variable((0, 40, 80, 3080, 3120), Fraction(1, 1000), 40)
    track = make_track(times, broken={}, duplicates=(), longest_gap=Fraction(4))
    timeline = TimeLine(track, even_warp(Fraction(1, 4), Fraction(0), track.duration), Fraction(25))

    assert len(timeline.outputs_of(2)) == 4 * 74
    assert list(timeline.new_outputs_of(2)) == []
    assert [timeline.t(3, output) for output in timeline.new_outputs_of(3)] == [Fraction(n, 4) for n in (1, 2, 3)]
    assert timeline.new_count == 4 * 3


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=30),
    st.sampled_from((FILM, NTSC, Fraction(25), Fraction(30), Fraction(60))),
    st.sampled_from((600, 1000, 12288, 90000)),
    st.integers(1, 8),
)
def test_rounded_times_cost_a_variable_source_no_original(
    gaps: list[int], rate: Fraction, ticks_per_second: int, slowdown: int
) -> None:
    """Frames lie on a grid of the source's rate, some missing, their times rounded to ticks."""
    places = [0, *accumulate(gaps)]
    ticks = tuple(round(place / rate * ticks_per_second) for place in places)
    timeline = even_timeline(variable(ticks, Fraction(1, ticks_per_second), ticks[1]), slowdown, rate)

    assert timeline.frame_rate * slowdown <= ticks_per_second, "else a tick is longer than a step, and no rule helps"
    assert all(timeline.position(slowdown * place) == at(frame) for frame, place in enumerate(places))


@given(variable_sources(), SLOWDOWNS, RATES)
def test_a_shown_original_is_off_by_one_tick_at_most(times: FrameTimes, slowdown: Fraction, rate: Fraction) -> None:
    step = 1 / rate / slowdown
    for output, (frame, t) in enumerate(positions(even_timeline(times, slowdown, rate))):
        if t == 0 and frame < len(times.ticks) - 1:
            assert abs(output * step - times.ticks[frame] * times.time_base) <= min(times.time_base, step / 2)
