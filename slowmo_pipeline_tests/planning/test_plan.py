"""What a plan asks for, held against the time line it was made from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.chunks.documents import MAX_FRAMES
from slowmo_pipeline.errors import DamagedRecordError, VideoTooLargeError
from slowmo_pipeline.interpolation.film.recursion import between
from slowmo_pipeline.planning.plan import MAX_CHUNK_GAPS, MAX_PAYLOAD_BYTES, Chunk, NewFrame, Plan, make_plan, plan_hash
from slowmo_pipeline.planning.timeline import ConstantRate, TimeLine, VariableRate
from slowmo_pipeline_tests.support.positions import positions

CUT = "scene cut"


@st.composite
def timelines(draw: st.DrawFn) -> TimeLine:
    count = draw(st.integers(1, 45))
    slowdown = draw(st.fractions(min_value=1, max_value=6, max_denominator=5))
    if draw(st.booleans()):
        return TimeLine(ConstantRate(Fraction(25), count), slowdown, Fraction(draw(st.sampled_from((20, 25, 60)))))
    ticks = tuple(accumulate([0, *draw(st.lists(st.integers(1, 150), max_size=30))]))
    return TimeLine(VariableRate(ticks, Fraction(1, 1000), 40), slowdown, Fraction(25))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    timeline = draw(timelines())
    held = draw(st.sets(st.integers(0, max(timeline.source.count - 2, 0)), max_size=10))
    images, returned = draw(st.integers(1, 60)), draw(st.integers(2, 20))
    return make_plan(
        timeline,
        dict.fromkeys(held, CUT),
        frame_bytes=1000,
        max_chunk_bytes=images * 1000,
        max_payload_bytes=returned * 3000,
    )


def plan_of(
    *,
    frames: int,
    slowdown: Fraction | int = 4,
    repeated_gaps: Mapping[int, str] | None = None,
    images: int = 9999,
    returned: int = 9999,
    rate: Fraction = Fraction(25),
) -> Plan:
    timeline = TimeLine(ConstantRate(Fraction(25), frames), Fraction(slowdown), rate)
    return make_plan(
        timeline, repeated_gaps or {}, frame_bytes=100, max_chunk_bytes=100 * images, max_payload_bytes=1670 * returned
    )


def expected_new_frames(plan: Plan) -> list[NewFrame]:
    return [
        NewFrame(output, gap, t)
        for output, (gap, t) in enumerate(positions(plan.timeline))
        if t > 0 and gap not in plan.repeated_gaps
    ]


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
        gaps = [new.gap for new in plan.new_frames(chunk)]

        assert chunk.first_frame == gaps[0]
        assert chunk.last_frame == gaps[-1] + 1
        assert chunk.last_frame < plan.timeline.source.count


@given(timelines(), st.integers(1, 60))
def test_chunks_keep_to_the_limits(timeline: TimeLine, images: int) -> None:
    plan = make_plan(timeline, {}, frame_bytes=1000, max_chunk_bytes=images * 1000 + 999)

    for chunk in plan.chunks:
        assert chunk.last_frame - chunk.first_frame <= MAX_CHUNK_GAPS
        assert chunk.frame_count == 2 or chunk.frame_count + chunk.new_frame_count <= images


@given(timelines(), st.integers(2, 20))
def test_payloads_keep_to_theirs(timeline: TimeLine, images: int) -> None:
    frame_bytes, largest = 6000, 8000 + 1536
    plan = make_plan(timeline, {}, frame_bytes=frame_bytes, max_payload_bytes=images * largest + largest - 1)

    for chunk in plan.chunks:
        assert max(chunk.new_frame_count, 2) <= images


@given(plans())
def test_a_part_lists_the_whole_gap(plan: Plan) -> None:
    expected = expected_new_frames(plan)
    for chunk in plan.chunks:
        gaps = range(chunk.first_frame, chunk.last_frame)
        assert list(plan.listed_frames(chunk)) == [new for new in expected if new.gap in gaps]


UHD, HD = 3840 * 2160 * 3, 1920 * 1080 * 3


@pytest.mark.parametrize(
    ("frame_bytes", "slowdown"),
    [(UHD, 4), (UHD, 8), (UHD, 16), (2 * UHD, 4), (2 * UHD, 8), (2 * UHD, 16), (2 * HD, 8), (HD, 100)],
)
def test_gaps_of_large_frames_stay_whole(frame_bytes: int, slowdown: int) -> None:
    timeline = TimeLine(ConstantRate(Fraction(25), 5), Fraction(slowdown), Fraction(25))
    plan = make_plan(timeline, {}, frame_bytes=frame_bytes)
    travelling = Counter(frame for chunk in plan.chunks for frame in range(chunk.first_frame, chunk.last_frame + 1))

    assert max(travelling.values()) <= 2
    assert sum(chunk.new_frame_count for chunk in plan.chunks) == 4 * (slowdown - 1)
    assert all(list(plan.listed_frames(chunk)) == list(plan.new_frames(chunk)) for chunk in plan.chunks)


@pytest.mark.parametrize(("frame_bytes", "slowdown"), [(UHD, 4), (2 * UHD, 16), (2 * HD, 8), (4 * UHD, 16), (UHD, 32)])
def test_the_network_is_asked_for_the_middle_however_large_the_frames(frame_bytes: int, slowdown: int) -> None:
    timeline = TimeLine(ConstantRate(Fraction(25), 3), Fraction(slowdown), Fraction(25))
    plan = make_plan(timeline, {}, frame_bytes=frame_bytes)
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


@given(timelines(), st.integers(3, 60))
def test_chunk_ends_only_where_the_next_part_had_no_room(timeline: TimeLine, images: int) -> None:
    plan = make_plan(timeline, {}, frame_bytes=1000, max_chunk_bytes=images * 1000)

    assert len({chunk.first_frame for chunk in plan.chunks}) == len(plan.chunks), "no gap was split"
    for one, other in pairwise(plan.chunks):
        gaps = other.first_frame + 1 - one.first_frame
        next_part = sum(new.gap == other.first_frame for new in plan.new_frames(other))
        assert gaps > MAX_CHUNK_GAPS or gaps + 1 + one.new_frame_count + next_part > images


@given(plans())
def test_chunks_are_numbered_and_in_order(plan: Plan) -> None:
    assert [chunk.index for chunk in plan.chunks] == list(range(len(plan.chunks)))
    assert all(one.end_output <= other.first_output for one, other in pairwise(plan.chunks))
    assert all(one.last_frame <= other.first_frame + 1 for one, other in pairwise(plan.chunks))


@given(plans())
def test_every_output_belongs_to_one_frame(plan: Plan) -> None:
    outputs = [shown for frame in range(plan.timeline.source.count) for shown in plan.outputs_of_frame(frame)]

    assert [output for output, _ in outputs] == list(range(plan.timeline.output_count))
    assert [output for output, is_new in outputs if is_new] == [new.output for new in expected_new_frames(plan)]


@given(plans())
def test_plan_survives_its_stored_form(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json(), where="plan.json") == plan


def test_stored_form_does_not_grow_with_the_slowdown() -> None:
    sizes = [len(plan_of(frames=30, slowdown=slowdown).to_json()) for slowdown in (2, 200)]

    assert sizes[1] < sizes[0] + 50


def test_plan_of_another_format_is_refused() -> None:
    with pytest.raises(DamagedRecordError, match=r"plan\.json is damaged: format = 0 must be 1"):
        Plan.from_json(plan_of(frames=3).to_json().replace(b'"format":1', b'"format":0'), where="plan.json")


def test_small_frames_are_cut_by_gaps() -> None:
    plan = plan_of(frames=2 * MAX_CHUNK_GAPS + 2)

    assert [(chunk.first_frame, chunk.last_frame) for chunk in plan.chunks] == [(0, 32), (32, 64), (64, 65)]
    assert plan.chunks[0] == Chunk(0, 0, 32, first_output=1, end_output=128, new_frame_count=96)


def test_neighbours_share_a_frame() -> None:
    plan = plan_of(frames=9, images=13)  # two gaps: 3 frames there, 6 back; three would be 4 and 9

    assert [(chunk.first_frame, chunk.last_frame) for chunk in plan.chunks] == [(0, 3), (3, 6), (6, 8)]


def test_gap_that_wants_too_much_is_asked_for_in_several_chunks() -> None:
    plan = plan_of(frames=3, slowdown=11, returned=4)

    assert [(chunk.first_frame, chunk.last_frame) for chunk in plan.chunks] == [(0, 1)] * 3 + [(1, 2)] * 3
    assert [[new.output for new in plan.new_frames(chunk)] for chunk in plan.chunks[:3]] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9, 10],
    ]


def test_frames_of_which_two_do_not_fit_are_refused() -> None:
    timeline = TimeLine(ConstantRate(Fraction(25), 2), Fraction(3), Fraction(25))

    assert len(make_plan(timeline, {}, frame_bytes=MAX_PAYLOAD_BYTES * 3 // 8 - 2000).chunks) == 1
    with pytest.raises(VideoTooLargeError, match="is too large: an endpoint takes two in 998000000 bytes"):
        make_plan(timeline, {}, frame_bytes=MAX_PAYLOAD_BYTES * 3 // 8)


def test_tiny_frames_far_apart_keep_to_the_wire_format() -> None:
    timeline = TimeLine(VariableRate((0, 100), Fraction(1), 1), Fraction(100), Fraction(60))
    plan = make_plan(timeline, {}, frame_bytes=16 * 16 * 3)

    assert plan.new_frame_count == 100 * 100 * 60 - 1
    for chunk in (plan.chunks[0], plan.chunks[30], plan.chunks[-1]):
        times = [new.t for new in plan.listed_frames(chunk)]
        assert chunk.new_frame_count < len(times) <= MAX_FRAMES
        assert max(later - earlier for earlier, later in pairwise([Fraction(0), *times, Fraction(1)])) < 1e-4


def test_held_gap_repeats_its_frame() -> None:
    plan = plan_of(frames=4, repeated_gaps={1: CUT})

    assert [list(plan.outputs_of_frame(frame)) for frame in (0, 1)] == [
        [(0, False), (1, True), (2, True), (3, True)],
        [(4, False), (5, False), (6, False), (7, False)],
    ]
    assert Counter(new.gap for chunk in plan.chunks for new in plan.new_frames(chunk)) == {0: 3, 2: 3}


def test_held_gaps_do_not_change_the_number_of_outputs() -> None:
    assert (
        plan_of(frames=9).timeline.output_count
        == plan_of(frames=9, repeated_gaps={3: CUT, 4: CUT}).timeline.output_count
        == 36
    )


def test_last_frame_is_held() -> None:
    assert list(plan_of(frames=3).outputs_of_frame(2)) == [(8, False), (9, False), (10, False), (11, False)]


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(frames=1),
        plan_of(frames=5, slowdown=1),
        plan_of(frames=3, repeated_gaps={0: CUT, 1: CUT}),
        plan_of(frames=9, slowdown=1, rate=Fraction(25, 4)),
    ],
    ids=["one frame", "neither slower nor faster", "all held", "frames left out"],
)
def test_nothing_wanted_makes_no_chunk(plan: Plan) -> None:
    assert plan.chunks == ()
    assert plan.new_frame_count == 0


def test_fractional_slowdown_wants_frames_at_odd_times() -> None:
    plan = plan_of(frames=3, slowdown=Fraction(5, 2))

    assert [(new.output, new.gap, str(new.t)) for new in plan.new_frames(plan.chunks[0])] == [
        (1, 0, "2/5"),
        (2, 0, "4/5"),
        (3, 1, "1/5"),
        (4, 1, "3/5"),
    ]


def test_gaps_that_want_nothing_do_not_travel_at_the_ends_of_a_chunk() -> None:
    plan = plan_of(frames=10, repeated_gaps=dict.fromkeys((0, 1, 8), CUT))

    assert [(chunk.first_frame, chunk.last_frame) for chunk in plan.chunks] == [(2, 8)]


SETTINGS: dict[str, Any] = {"slowdown": "4", "frame_rate": None, "images": "lossless"}


def test_plan_hash_is_the_same_for_the_same() -> None:
    assert plan_hash(sha256="ab", settings=SETTINGS) == plan_hash(
        sha256="ab", settings=dict(reversed(SETTINGS.items()))
    )
    # Another value here makes every stored plan and result anew: was that meant?
    assert plan_hash(sha256="ab", settings=SETTINGS) == "85349a9c90791262"


@pytest.mark.parametrize("change", [{"slowdown": "5"}, {"frame_rate": "4"}, {"images": "jpeg"}, {"more": 1}])
def test_plan_hash_changes_with_every_setting(change: dict[str, Any]) -> None:
    assert plan_hash(sha256="ab", settings=SETTINGS) != plan_hash(sha256="ab", settings={**SETTINGS, **change})


def test_plan_hash_changes_with_content_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_hash(sha256="ab", settings=SETTINGS)
    monkeypatch.setattr("slowmo_pipeline.planning.plan.PLAN_FORMAT", 0)

    assert len({before, plan_hash(sha256="ac", settings=SETTINGS), plan_hash(sha256="ab", settings=SETTINGS)}) == 3


def test_chunk_counts_both_its_ends() -> None:
    assert replace(plan_of(frames=3).chunks[0], first_frame=4, last_frame=9).frame_count == 6
