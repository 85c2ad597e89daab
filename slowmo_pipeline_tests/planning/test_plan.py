"""What a plan asks for, held against the time line it was made from."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.chunks.documents import MAX_FRAMES
from slowmo_pipeline.errors import DamagedRecordError, VideoTooLargeError
from slowmo_pipeline.interpolation.film.recursion import between
from slowmo_pipeline.planning.plan import (
    MAX_CHUNK_INTERVALS,
    MAX_PAYLOAD_BYTES,
    Chunk,
    NewFrame,
    Plan,
    make_plan,
    plan_hash,
)
from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import STILL, make_track
from slowmo_pipeline.planning.warp import even_warp
from slowmo_pipeline_tests.support.strategies import timelines
from slowmo_pipeline_tests.support.timelines import constant, even_timeline, positions, variable

CUT = "scene cut"


MILLISECOND = Fraction(1, 1000)


@st.composite
def long_timelines(draw: st.DrawFn) -> TimeLine:
    """So many frames that one chunk does not hold their intervals."""
    rate, count = draw(st.sampled_from((20, 25, 60))), draw(st.integers(30, 45))
    repeats = draw(st.sets(st.integers(0, count - 2), max_size=10))
    slowdown = draw(st.fractions(min_value=1, max_value=4, max_denominator=5))
    return even_timeline(constant(25, count), slowdown, rate, dict.fromkeys(repeats, CUT))


TIMELINES = st.one_of(timelines(), long_timelines())


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    images, returned = draw(st.integers(1, 60)), draw(st.integers(2, 20))
    return make_plan(
        draw(TIMELINES),
        frame_bytes=1000,
        max_chunk_bytes=images * 1000,
        max_payload_bytes=returned * 3000,
    )


def plan_of(
    *,
    frames: int,
    slowdown: Fraction | int = 4,
    repeats: Mapping[int, str] | None = None,
    images: int = 9999,
    returned: int = 9999,
    rate: Fraction | int = 25,
) -> Plan:
    timeline = even_timeline(constant(25, frames), slowdown, rate, repeats)
    return make_plan(timeline, frame_bytes=100, max_chunk_bytes=100 * images, max_payload_bytes=1670 * returned)


def expected_new_frames(plan: Plan) -> list[NewFrame]:
    track = plan.timeline.track
    return [
        NewFrame(output, track.frames[interval], t)
        for output, (interval, t) in enumerate(positions(plan.timeline))
        if t > 0
    ]


def intervals_of(chunk: Chunk) -> range:
    return range(chunk.first_anchor, chunk.last_anchor)


def ends(plan: Plan) -> list[tuple[int, int]]:
    """First and last anchor of each chunk."""
    return [(chunk.first_anchor, chunk.last_anchor) for chunk in plan.chunks]


@given(plans())
def test_every_new_frame_is_wanted_by_exactly_one_chunk(plan: Plan) -> None:
    wanted = [new for chunk in plan.chunks for new in plan.new_frames(chunk)]

    assert wanted == expected_new_frames(plan)
    assert plan.new_frame_count == len(wanted)


@given(plans())
def test_chunk_says_truly_how_many_frames_it_wants(plan: Plan) -> None:
    for chunk in plan.chunks:
        assert chunk.new_frame_count == len(list(plan.new_frames(chunk))) > 0


@given(plans())
def test_wanted_frames_lie_between_frames_that_travel(plan: Plan) -> None:
    for chunk in plan.chunks:
        frames = list(plan.frames_of(chunk))
        before = [new.frame for new in plan.new_frames(chunk)]

        assert frames == sorted(set(frames))
        assert (before[0], before[-1]) == (frames[0], frames[-2])
        assert set(before) <= set(frames)


@given(plans())
def test_the_frame_after_a_new_one_is_the_next_that_travels(plan: Plan) -> None:
    track = plan.timeline.track
    for chunk in plan.chunks:
        frames = list(plan.frames_of(chunk))
        for new in plan.new_frames(chunk):
            after = track.frames[plan.timeline.position(new.output).interval + 1]
            assert frames[frames.index(new.frame) + 1] == after


@given(TIMELINES, st.integers(1, 60))
def test_chunks_keep_to_the_limits(timeline: TimeLine, images: int) -> None:
    plan = make_plan(timeline, frame_bytes=1000, max_chunk_bytes=images * 1000 + 999)

    for chunk in plan.chunks:
        assert len(intervals_of(chunk)) <= MAX_CHUNK_INTERVALS
        assert len(intervals_of(chunk)) == 1 or len(plan.frames_of(chunk)) + chunk.new_frame_count <= images


@given(TIMELINES, st.integers(2, 20))
def test_payloads_keep_to_theirs(timeline: TimeLine, images: int) -> None:
    frame_bytes, largest = 6000, 8000 + 1536
    plan = make_plan(timeline, frame_bytes=frame_bytes, max_payload_bytes=images * largest + largest - 1)

    for chunk in plan.chunks:
        assert max(chunk.new_frame_count, 2) <= images


@given(plans())
def test_a_part_lists_the_whole_interval(plan: Plan) -> None:
    expected = [(plan.timeline.position(new.output).interval, new) for new in expected_new_frames(plan)]
    for chunk in plan.chunks:
        inside = [new for interval, new in expected if interval in intervals_of(chunk)]
        assert list(plan.listed_frames(chunk)) == inside


UHD, HD = 3840 * 2160 * 3, 1920 * 1080 * 3


@pytest.mark.parametrize(
    ("frame_bytes", "slowdown"),
    [(UHD, 4), (UHD, 8), (UHD, 16), (2 * UHD, 4), (2 * UHD, 8), (2 * UHD, 16), (2 * HD, 8), (HD, 100)],
)
def test_intervals_of_large_frames_stay_whole(frame_bytes: int, slowdown: int) -> None:
    plan = make_plan(even_timeline(constant(25, 5), slowdown), frame_bytes=frame_bytes)
    travelling = Counter(frame for chunk in plan.chunks for frame in plan.frames_of(chunk))

    assert max(travelling.values()) <= 2
    assert sum(chunk.new_frame_count for chunk in plan.chunks) == 4 * (slowdown - 1)
    assert all(list(plan.listed_frames(chunk)) == list(plan.new_frames(chunk)) for chunk in plan.chunks)


@pytest.mark.parametrize(("frame_bytes", "slowdown"), [(UHD, 4), (2 * UHD, 16), (2 * HD, 8), (4 * UHD, 16), (UHD, 32)])
def test_the_network_is_asked_for_the_middle_however_large_the_frames(frame_bytes: int, slowdown: int) -> None:
    plan = make_plan(even_timeline(constant(25, 3), slowdown), frame_bytes=frame_bytes)
    asked: set[Fraction] = set()

    def make(left: Fraction, right: Fraction, t: Fraction) -> Fraction:
        asked.add(t)
        return left + t * (right - left)

    for chunk in plan.chunks:
        (times,) = ([new.t for new in plan.listed_frames(chunk)],)
        wanted = [new.t for new in plan.new_frames(chunk)]
        returned = range(times.index(wanted[0]), times.index(wanted[-1]) + 1)
        assert list(between(Fraction(0), Fraction(1), times, make, returned=returned)) == wanted
    assert asked == {Fraction(1, 2)}


@given(TIMELINES, st.integers(3, 60))
def test_chunk_ends_only_where_the_next_part_had_no_room(timeline: TimeLine, images: int) -> None:
    plan = make_plan(timeline, frame_bytes=1000, max_chunk_bytes=images * 1000)

    assert len({chunk.first_anchor for chunk in plan.chunks}) == len(plan.chunks), "no interval was split"
    for one, other in pairwise(plan.chunks):
        intervals = other.first_anchor + 1 - one.first_anchor
        next_part = len(timeline.new_outputs_of(other.first_anchor))
        assert intervals > MAX_CHUNK_INTERVALS or intervals + 1 + one.new_frame_count + next_part > images


@given(plans())
def test_chunks_are_numbered_and_in_order(plan: Plan) -> None:
    assert [chunk.index for chunk in plan.chunks] == list(range(len(plan.chunks)))
    assert all(one.end_output <= other.first_output for one, other in pairwise(plan.chunks))
    assert all(one.last_anchor <= other.first_anchor + 1 for one, other in pairwise(plan.chunks))


@given(plans())
def test_every_output_belongs_to_one_frame(plan: Plan) -> None:
    last = plan.timeline.track.frames[-1]
    outputs = [shown for frame in range(last + 1) for shown in plan.outputs_of_frame(frame)]

    assert [output for output, _ in outputs] == list(range(plan.timeline.output_count))
    assert [output for output, is_new in outputs if is_new] == [new.output for new in expected_new_frames(plan)]


@given(plans())
def test_what_is_not_new_shows_the_frame_before_it(plan: Plan) -> None:
    track = plan.timeline.track
    shown = {
        output: frame for frame in {*track.frames} for output, is_new in plan.outputs_of_frame(frame) if not is_new
    }

    assert shown == {
        output: track.frames[interval] for output, (interval, t) in enumerate(positions(plan.timeline)) if t == 0
    }


@given(plans())
def test_most_new_frames_are_those_of_one_interval(plan: Plan) -> None:
    counts = Counter(plan.timeline.position(new.output).interval for new in expected_new_frames(plan))

    assert plan.most_new_frames == max(counts.values(), default=0)


@given(plans())
def test_plan_survives_its_stored_form(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json(), where="plan.json") == plan


def test_stored_form_does_not_grow_with_the_slowdown() -> None:
    sizes = [len(plan_of(frames=30, slowdown=slowdown).to_json()) for slowdown in (2, 200)]

    assert sizes[1] < sizes[0] + 50


def test_plan_of_another_format_is_refused() -> None:
    with pytest.raises(DamagedRecordError, match=r"plan\.json is damaged: format = 0 must be 2"):
        Plan.from_json(plan_of(frames=3).to_json().replace(b'"format":2', b'"format":0'), where="plan.json")


def test_small_frames_are_cut_by_intervals() -> None:
    plan = plan_of(frames=2 * MAX_CHUNK_INTERVALS + 2)

    assert ends(plan) == [(0, 32), (32, 64), (64, 65)]
    assert plan.chunks[0] == Chunk(0, 0, 32, first_output=1, end_output=128, new_frame_count=96)


def test_neighbours_share_a_frame() -> None:
    plan = plan_of(frames=9, images=13)  # two gaps: 3 frames there, 6 back; three would be 4 and 9

    assert ends(plan) == [(0, 3), (3, 6), (6, 8)]


def test_interval_that_wants_too_much_is_asked_for_in_several_chunks() -> None:
    plan = plan_of(frames=3, slowdown=11, returned=4)

    assert ends(plan) == [(0, 1)] * 3 + [(1, 2)] * 3
    assert [[new.output for new in plan.new_frames(chunk)] for chunk in plan.chunks[:3]] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9, 10],
    ]


def test_frames_of_which_two_do_not_fit_are_refused() -> None:
    timeline = even_timeline(constant(25, 2), 3)

    assert len(make_plan(timeline, frame_bytes=MAX_PAYLOAD_BYTES * 3 // 8 - 2000).chunks) == 1
    with pytest.raises(VideoTooLargeError, match="is too large: an endpoint takes two in 998000000 bytes"):
        make_plan(timeline, frame_bytes=MAX_PAYLOAD_BYTES * 3 // 8)


def test_tiny_frames_far_apart_keep_to_the_wire_format() -> None:
    timeline = even_timeline(variable((0, 100), Fraction(1), 1), 100, 60)
    plan = make_plan(timeline, frame_bytes=16 * 16 * 3)

    assert plan.new_frame_count == 100 * 100 * 60 - 1
    for chunk in (plan.chunks[0], plan.chunks[30], plan.chunks[-1]):
        times = [new.t for new in plan.listed_frames(chunk)]
        assert chunk.new_frame_count < len(times) <= MAX_FRAMES
        assert max(later - earlier for earlier, later in pairwise([Fraction(0), *times, Fraction(1)])) < 1e-4


def test_repeated_interval_shows_its_frame() -> None:
    plan = plan_of(frames=4, repeats={1: CUT})

    assert [list(plan.outputs_of_frame(frame)) for frame in (0, 1)] == [
        [(0, False), (1, True), (2, True), (3, True)],
        [(4, False), (5, False), (6, False), (7, False)],
    ]
    assert Counter(new.frame for chunk in plan.chunks for new in plan.new_frames(chunk)) == {0: 3, 2: 3}


def test_repeated_intervals_do_not_change_the_number_of_outputs() -> None:
    assert (
        plan_of(frames=9).timeline.output_count
        == plan_of(frames=9, repeats={3: CUT, 4: CUT}).timeline.output_count
        == 36
    )


def test_last_frame_is_held() -> None:
    assert list(plan_of(frames=3).outputs_of_frame(2)) == [(8, False), (9, False), (10, False), (11, False)]


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(frames=1),
        plan_of(frames=5, slowdown=1),
        plan_of(frames=3, repeats={0: CUT, 1: CUT}),
        plan_of(frames=9, slowdown=1, rate=Fraction(25, 4)),
    ],
    ids=["one frame", "neither slower nor faster", "all held", "frames left out"],
)
def test_nothing_wanted_makes_no_chunk(plan: Plan) -> None:
    assert plan.chunks == ()
    assert plan.new_frame_count == 0


def test_fractional_slowdown_wants_frames_at_odd_times() -> None:
    plan = plan_of(frames=3, slowdown=Fraction(5, 2))

    assert [(new.output, new.frame, str(new.t)) for new in plan.new_frames(plan.chunks[0])] == [
        (1, 0, "2/5"),
        (2, 0, "4/5"),
        (3, 1, "1/5"),
        (4, 1, "3/5"),
    ]


def test_intervals_that_want_nothing_do_not_travel_at_the_ends_of_a_chunk() -> None:
    plan = plan_of(frames=10, repeats=dict.fromkeys((0, 1, 8), CUT))

    assert ends(plan) == [(2, 8)]


def test_duplicates_that_are_left_out_do_not_travel() -> None:
    times = constant(24, 6)
    track = make_track(times, broken={}, duplicates={1, 3, 5}, longest_gap=Fraction(4))
    plan = make_plan(TimeLine(track, even_warp(Fraction(1, 2), Fraction(0), track.duration), times.rate), frame_bytes=9)
    [chunk] = plan.chunks

    assert list(plan.frames_of(chunk)) == [0, 2, 4]
    assert [(new.output, new.frame) for new in plan.new_frames(chunk)] == [
        (1, 0),
        (2, 0),
        (3, 0),
        (5, 2),
        (6, 2),
        (7, 2),
    ]
    assert [list(plan.outputs_of_frame(frame)) for frame in (1, 3, 5)] == [[], [], []]


def test_held_still_sends_its_frame_once() -> None:
    times = variable((0, 40, 1040, 1080), MILLISECOND, 40)
    track = make_track(times, broken={}, duplicates=(), longest_gap=Fraction(4))
    plan = make_plan(TimeLine(track, even_warp(Fraction(1, 2), Fraction(0), track.duration), times.rate), frame_bytes=9)
    [chunk] = plan.chunks

    assert track.repeats == {1: STILL}
    assert list(plan.frames_of(chunk)) == [0, 1, 2, 3]
    assert [(new.frame, new.t) for new in plan.new_frames(chunk)] == [(frame, Fraction(1, 2)) for frame in (0, 1, 2)]
    assert [is_new for _, is_new in plan.outputs_of_frame(1)] == [False] * 49 + [True]


SETTINGS: dict[str, Any] = {"slowdown": "4", "frame_rate": None, "images": "lossless"}


def test_plan_hash_is_the_same_for_the_same() -> None:
    assert plan_hash(sha256="ab", settings=SETTINGS) == plan_hash(
        sha256="ab", settings=dict(reversed(SETTINGS.items()))
    )


@pytest.mark.parametrize(("plan_format", "expected"), [(1, "85349a9c90791262"), (2, "414359c1ceff726f")])
def test_stored_plans_keep_their_names(plan_format: int, expected: str) -> None:
    """Another value here makes every stored plan and result anew: was that meant?"""
    assert plan_hash(sha256="ab", settings=SETTINGS, plan_format=plan_format) == expected


@pytest.mark.parametrize("change", [{"slowdown": "5"}, {"frame_rate": "4"}, {"images": "jpeg"}, {"more": 1}])
def test_plan_hash_changes_with_every_setting(change: dict[str, Any]) -> None:
    assert plan_hash(sha256="ab", settings=SETTINGS) != plan_hash(sha256="ab", settings={**SETTINGS, **change})


def test_plan_hash_changes_with_content_and_format() -> None:
    names = {
        plan_hash(sha256=content, settings=SETTINGS, plan_format=each) for content in ("ab", "ac") for each in (1, 2)
    }

    assert len(names) == 4
    assert plan_hash(sha256="ab", settings=SETTINGS) in names, "by the format of today"
