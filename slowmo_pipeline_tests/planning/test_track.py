"""The track against its definition: what is shown at a moment, found by looking at all frames."""

from collections.abc import Collection, Mapping
from fractions import Fraction
from itertools import accumulate
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.planning.clock import FrameTimes
from slowmo_pipeline.planning.track import STILL, Track, make_track, plain_track
from slowmo_pipeline_tests.support.timelines import constant, variable

MILLISECOND = Fraction(1, 1000)


class Wanted(NamedTuple):
    """What a track is made of."""

    times: FrameTimes
    broken: Mapping[int, str]
    duplicates: Collection[int]
    longest_gap: Fraction

    @property
    def track(self) -> Track:
        return make_track(self.times, broken=self.broken, duplicates=self.duplicates, longest_gap=self.longest_gap)


@st.composite
def sources(draw: st.DrawFn) -> FrameTimes:
    count = draw(st.integers(1, 14))
    if draw(st.booleans()):
        return constant(draw(st.sampled_from((Fraction(24), Fraction(30000, 1001)))), count)
    gaps = draw(st.lists(st.one_of(st.integers(30, 45), st.integers(1, 900)), min_size=count - 1, max_size=count - 1))
    return variable((0, *accumulate(gaps)), MILLISECOND, draw(st.integers(1, 500)))


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    times = draw(sources())
    count = len(times.ticks)
    gaps = st.integers(0, max(count - 2, 0))
    broken = draw(st.dictionaries(gaps, st.sampled_from(("scene cut", "time stamps jump")), max_size=4))
    duplicates = draw(st.sets(st.integers(1, count), max_size=6))
    return Wanted(times, broken if count > 1 else {}, duplicates, draw(st.fractions(1, 9, max_denominator=4)))


class Shown(NamedTuple):
    """What is shown at a moment: one frame, or something between two."""

    frame: int
    following: int | None = None
    t: Fraction = Fraction(0)


def shown_by_definition(wanted: Wanted, tick: Fraction) -> Shown:
    ticks = wanted.times.ticks
    shown = [frame for frame in range(len(ticks)) if frame == 0 or frame not in wanted.duplicates]
    before = max(frame for frame in shown if ticks[frame] <= tick)
    following = min((frame for frame in shown if ticks[frame] > tick), default=None)
    if following is None or any(gap in wanted.broken for gap in range(before, following)):
        return Shown(before)
    begin, end = ticks[before], ticks[following]
    if following == before + 1 and end - begin > wanted.longest_gap * wanted.times.usual_gap:
        begin = end - wanted.times.usual_gap
    if tick <= begin:
        return Shown(before)
    return Shown(before, following, (tick - begin) / (end - begin))


def shown_by(track: Track, tick: Fraction) -> Shown:
    moment = tick * track.times.time_base
    anchor = max(anchor for anchor in range(track.count) if track.time(anchor) <= moment)
    if anchor == track.count - 1 or anchor in track.repeats or moment == track.time(anchor):
        return Shown(track.frames[anchor])
    begin, end = track.time(anchor), track.time(anchor + 1)
    return Shown(track.frames[anchor], track.frames[anchor + 1], (moment - begin) / (end - begin))


@given(wishes(), st.lists(st.fractions(0, 1, max_denominator=1000), max_size=10))
def test_what_is_shown_follows_the_definition(wanted: Wanted, shares: list[Fraction]) -> None:
    ticks = wanted.times.ticks
    near = [Fraction(tick) + off for tick in ticks for off in (-1, Fraction(-1, 2), 0, Fraction(1, 2), 1)]
    usual = [Fraction(tick - wanted.times.usual_gap) for tick in ticks]
    for tick in [*near, *usual, *(share * wanted.times.end for share in shares)]:
        if tick >= 0:
            assert shown_by(wanted.track, tick) == shown_by_definition(wanted, tick)


@given(wishes())
def test_anchors_ascend_and_end_where_the_source_does(wanted: Wanted) -> None:
    track = wanted.track

    assert list(track.times.ticks) == sorted(set(track.times.ticks))
    assert list(track.frames) == sorted(track.frames)
    assert (track.frames[0], track.times.ticks[0]) == (0, 0)
    assert (track.count, track.duration) == (len(track.times.ticks), wanted.times.end * wanted.times.time_base)


@given(wishes())
def test_frames_have_the_anchors_at_which_they_stand(wanted: Wanted) -> None:
    track = wanted.track
    for frame in range(len(wanted.times.ticks)):
        anchors = track.anchors_of(frame)
        assert list(anchors) == [anchor for anchor, each in enumerate(track.frames) if each == frame]
        assert (len(anchors) == 0) == (frame > 0 and frame in wanted.duplicates)
        assert len(anchors) < 2 or track.repeats[anchors[0]] == STILL


@given(wishes(), st.data())
def test_frames_between_anchors_stand_there_once(wanted: Wanted, data: st.DataObject) -> None:
    track = wanted.track
    first = data.draw(st.integers(0, track.count - 1))
    last = data.draw(st.integers(first, track.count - 1))

    assert list(track.frames_between(first, last)) == sorted({track.frames[at] for at in range(first, last + 1)})


@given(wishes())
def test_repeats_tell_their_reasons(wanted: Wanted) -> None:
    track = wanted.track
    for anchor, reason in track.repeats.items():
        gaps = range(track.frames[anchor], track.frames[anchor + 1])
        assert (
            reason == STILL
            if len(gaps) == 0
            else reason in [wanted.broken[gap] for gap in gaps if gap in wanted.broken]
        )


@given(sources())
def test_nothing_special_leaves_a_plain_track(times: FrameTimes) -> None:
    longest = Fraction(times.end, times.usual_gap)

    assert make_track(times, broken={}, duplicates=(), longest_gap=max(longest, Fraction(1))) == plain_track(times)
    assert plain_track(times).is_plain


def track_of(ticks: list[int], **wanted: Any) -> Track:
    made = Wanted(variable(ticks, MILLISECOND, 40), {}, (), Fraction(4))._replace(**wanted)
    return made.track


def test_still_is_held_until_a_usual_gap_before_the_next_frame() -> None:
    track = track_of([0, 40, 80, 3080, 3120])

    assert (track.times.ticks, track.frames) == ((0, 40, 80, 3040, 3080, 3120), (0, 1, 2, 2, 3, 4))
    assert track.repeats == {2: STILL}


@pytest.mark.parametrize(("length", "held"), [(160, False), (161, True)])
def test_gap_is_long_beyond_the_longest(length: int, held: bool) -> None:
    track = track_of([0, 40, 80, 80 + length, 120 + length, 160 + length])

    assert track.repeats == ({2: STILL} if held else {})


def test_still_at_either_end() -> None:
    track = track_of([0, 1000, 1040, 1080, 1120, 2120])

    assert track.times.ticks == (0, 960, 1000, 1040, 1080, 1120, 2080, 2120)
    assert track.frames == (0, 0, 1, 2, 3, 4, 4, 5)
    assert track.repeats == {0: STILL, 5: STILL}


def test_cut_across_a_still_is_a_cut() -> None:
    track = track_of([0, 40, 1040, 1080], broken={1: "scene cut"})

    assert (track.frames, track.repeats) == (range(4), {1: "scene cut"})


def test_cut_before_the_last_frame_and_behind_the_first() -> None:
    assert track_of([0, 40, 80, 120], broken={0: "scene cut", 2: "scene cut"}).repeats.keys() == {0, 2}


def test_motion_runs_across_duplicates() -> None:
    track = track_of([0, 40, 80, 120, 160], duplicates={1, 3})

    assert (track.times.ticks, track.frames, track.repeats) == ((0, 80, 160), (0, 2, 4), {})
    assert not track.is_plain


def test_last_frame_that_is_a_duplicate_is_left_out_and_the_one_before_held() -> None:
    track = track_of([0, 40, 80], duplicates={2})

    assert (track.times.ticks, track.frames, track.duration) == ((0, 40), (0, 1), Fraction(120, 1000))


def test_run_of_duplicates_is_no_still() -> None:
    track = track_of(list(range(0, 480, 40)), duplicates=set(range(2, 10)))

    assert (track.frames, track.repeats) == ((0, 1, 10, 11), {})


def test_cut_behind_a_duplicate_holds_the_frame_that_it_repeats() -> None:
    track = track_of([0, 40, 80, 120], duplicates={1}, broken={1: "scene cut"})

    assert (track.frames, track.repeats) == ((0, 2, 3), {0: "scene cut"})


def test_hole_of_an_exact_clock_has_no_number() -> None:
    times = FrameTimes((0, 1, 3), Fraction(1, 25), 4, 0, 1, Fraction(25))
    track = make_track(times, broken={}, duplicates=(), longest_gap=Fraction(4))

    assert track.frames == range(3)
    assert (track.time(2), track.tolerance) == (Fraction(3, 25), Fraction(0))
