"""What of a video cannot be made with its settings, told before anything is planned, stored or paid."""

from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.errors import EncodeError, SettingsError, VideoTooLargeError
from slowmo_pipeline.settings import SlowMotionSettings, parse_settings
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.planning import CUT, JUMP, plan_of, timeline_of
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import SETTINGS, VideoKeys, sidecar_key
from slowmo_pipeline.video.info import ClipPart, Stretch, VideoInfo
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.stored import changed, read_json, write_json
from slowmo_pipeline_tests.support.videos import UPLOAD, drop, quiet
from slowmo_pipeline_tests.video.test_info import INFO


def settings_of(**values: object) -> SlowMotionSettings:
    return parse_settings(values, origin="A test")


def second(*, rate: int = 24, count: int | None = None) -> VideoInfo:
    """A second of frames, or so many of them."""
    ticks = tuple(range(rate if count is None else count))
    return changed(INFO, ticks=ticks, time_base=Fraction(1, rate), declared_rate=Fraction(rate), last_duration_ticks=1)


def test_two_frames_an_hour_apart_are_refused_and_nothing_is_stored(folder: Storage, tmp_path: Path) -> None:
    video_id = drop(folder)
    far = write_clip(tmp_path / "far.mp4", grey_frames(2), ticks=[0, 3600], time_base=Fraction(1))
    folder.upload(far, UPLOAD)
    with pytest.raises(VideoTooLargeError, match=r"^359999 new frames .* max_new_frames allows 250000\. Lower .*raise"):
        inspect_upload(folder, video_id, chosen={"frame_rate": 25}, progress=quiet)

    assert read_json(folder, VideoKeys(video_id).source) == {"upload": UPLOAD}
    assert [entry.key for entry in folder.list("videos/")] == [VideoKeys(video_id).source]


def test_limit_on_new_frames_comes_from_the_storage_or_the_launchpad(folder: Storage) -> None:
    video_id = drop(folder, frames=9)
    write_json(folder, SETTINGS, {"max_new_frames": 23})
    with pytest.raises(VideoTooLargeError, match=r"^24 new frames .* allows 23\."):
        inspect_upload(folder, video_id, chosen={}, progress=quiet)

    assert inspect_upload(folder, video_id, chosen={"max_new_frames": 24}, progress=quiet)[0].settings.slowdown == 4


def test_sidecar_does_not_lift_a_limit(folder: Storage) -> None:
    video_id = drop(folder)
    write_json(folder, sidecar_key(UPLOAD), {"max_frames": 10**6})
    with pytest.raises(SettingsError, match="max_frames is not for uploads to set"):
        inspect_upload(folder, video_id, chosen={}, progress=quiet)


def test_smoothness_alone_counts_only_what_is_new() -> None:
    long = changed(INFO, ticks=tuple(range(300)), time_base=Fraction(1, 25), declared_rate=Fraction(25))

    assert timeline_of(long, settings_of(slowdown=1, max_new_frames=99)).new_count == 0


def test_frames_that_no_endpoint_takes_are_told_by_the_first_look() -> None:
    large = changed(INFO, width=20_000, height=10_000, depth=8)
    with pytest.raises(VideoTooLargeError, match="A frame of 600000000 bytes is too large"):
        timeline_of(large, settings_of())


def test_jpeg_for_deep_frames_is_told_by_the_first_look() -> None:
    with pytest.raises(SettingsError, match="images = jpeg holds 8 bits"):
        timeline_of(INFO, settings_of(images="jpeg"))


def test_picture_that_the_encoder_refuses_is_told_by_the_first_look(folder: Storage, tmp_path: Path) -> None:
    """H.265 below 16 pixels failed only once all new frames were made, and paid."""
    video_id = drop(folder)
    folder.upload(write_clip(tmp_path / "low.mp4", grey_frames(3, width=64, height=12)), UPLOAD)
    with pytest.raises(EncodeError, match=r"h265 does not hold 64x12 .* Choose another codec"):
        inspect_upload(folder, video_id, chosen={"codec": "h265"}, progress=quiet)

    assert inspect_upload(folder, video_id, chosen={"codec": "h264"}, progress=quiet)[1].height == 12


THIRD = "8/24-16/24:1/8"
"""Of a second of 24 frames: eight are slowed eight times."""


def test_ramp_counts_its_own_new_frames() -> None:
    assert timeline_of(second(), settings_of(speed=THIRD, max_new_frames=56)).new_count == 56
    with pytest.raises(VideoTooLargeError, match=r"^56 new frames would be made; .* max_new_frames allows 55\."):
        timeline_of(second(), settings_of(speed=THIRD, max_new_frames=55))


@pytest.mark.parametrize("ease", [0, "1/3", "0.4"])
@pytest.mark.parametrize("originals", ["keep", "replace"])
def test_ramp_is_planned_as_it_was_counted(ease: object, originals: str) -> None:
    plan = plan_of(second(), settings_of(speed="0.25-0.75:1/10", ease=ease, originals=originals))

    assert plan.new_frame_count == plan.timeline.new_count > 0
    assert plan.timeline.warp.source_end == 1
    assert len({segment.is_even for segment in plan.timeline.warp.segments}) == (2 if ease else 1)


def test_part_counts_its_own_new_frames() -> None:
    settings = {"from": "f6", "to": "f18", "slowdown": 4}

    assert timeline_of(second(), settings_of(**settings, max_new_frames=36)).new_count == 36
    with pytest.raises(VideoTooLargeError, match=r"^36 new frames .* allows 35\."):
        timeline_of(second(), settings_of(**settings, max_new_frames=35))


def test_times_of_too_many_digits_are_told_by_the_first_look() -> None:
    odd = settings_of(speed="0-0.5:999983/1000000, 0.5-:1/997", ease="99991/999979", frame_rate="30000/1001")
    with pytest.raises(
        SettingsError, match=r"^Output frame \d+ would lie at a time of more than 18 digits: choose round"
    ):
        timeline_of(second(), odd)


@pytest.mark.parametrize(
    ("speed", "told"),
    [
        ("0-f20:1/2, 0.5-:1", r"speed: 1/2-:1 begins before 0-f20:1/2 ends\."),
        ("f3-0.5:1/2, f11-f12:1", r"speed: f11-f12:1 begins before f3-1/2:1/2 ends\."),
        ("5-6:1/2", r"speed: 5-6:1/2 lies behind the end, or holds nothing: what is made lasts 1 s\."),
        ("0-0.5:1/2, f24-f30:1/4", r"speed: f24-f30:1/4 lies behind the end, or holds nothing"),
        ("f12-0.5:1/2", r"speed: f12-1/2:1/2 lies behind the end, or holds nothing"),
        ("f12-0.1:1/2", r"speed: f12-1/10:1/2 lies behind the end, or holds nothing"),
    ],
)
def test_speeds_that_do_not_go_with_the_clip_are_told(speed: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"^{told}"):
        timeline_of(second(), settings_of(speed=speed))


def test_ease_that_a_part_has_no_room_for_is_told() -> None:
    with pytest.raises(
        SettingsError, match=r"^speed and ease do not go together: the part from 0\.416667 to 0\.583333 s is too"
    ):
        timeline_of(second(), settings_of(speed="0.4-0.6:1/2", ease=1))


@pytest.mark.parametrize(
    ("begin", "end"), [("f20", "0.5"), (0.5, "f12"), (1, None), ("f24", None), (None, 0), (None, "f0")]
)
def test_part_that_holds_nothing_is_told(begin: object, end: object) -> None:
    with pytest.raises(SettingsError, match=r"^Nothing lies between from and to: let to lie after from\.$"):
        timeline_of(second(), settings_of(**{"from": begin, "to": end}))


def test_refused_settings_leave_what_was_known(folder: Storage) -> None:
    video_id = drop(folder)
    for chosen in ({"speed": "9-10:1/2"}, {"from": 9}, {"speed": "0.1-0.2:1/2", "ease": 30}):
        with pytest.raises(SettingsError):
            inspect_upload(folder, video_id, chosen=chosen, progress=quiet)

    assert read_json(folder, VideoKeys(video_id).source) == {"upload": UPLOAD}


def test_speeds_are_told_on_the_clock_of_the_whole_clip() -> None:
    """Of a part that begins at its tenth frame."""
    part = ClipPart(begin="f10", end=None, first_frame=10, clip_tick=0, usual_gap=1, start=())
    info = changed(second(), ticks=tuple(range(10, 34)), part=part)
    for speed in ("f12-f18:1/8", "0.5-0.75:1/8"):
        timeline = timeline_of(info, settings_of(**{"from": "f10"}, speed=speed))

        assert [segment.source for segment in timeline.warp.segments] == [0, Fraction(2, 24), Fraction(8, 24)]
        assert timeline.warp.source_end == 1


@pytest.mark.parametrize(("cuts", "expected"), [(30, {3, 7}), (60, {7}), ("off", set()), ("99.5", set())])
def test_cuts_that_are_sure_enough_are_held(cuts: object, expected: set[int]) -> None:
    scores = tuple({3: 30.0, 7: 99.0}.get(gap, 2.5) for gap in range(23))
    track = timeline_of(changed(second(), cut_scores=scores), settings_of(cuts=cuts)).track

    assert track.repeats == dict.fromkeys(expected, CUT)


def test_clock_that_begins_anew_is_held_even_where_cuts_are_not() -> None:
    clock = (Stretch(frame=0, container_tick=0), Stretch(frame=9, container_tick=0))
    track = timeline_of(changed(second(), clock=clock), settings_of(cuts="off")).track

    assert track.repeats == {8: JUMP}


@pytest.mark.parametrize(("duplicates", "anchors"), [("keep", 24), ("replace", 20)])
def test_duplicates_give_way_where_that_is_wanted(duplicates: str, anchors: int) -> None:
    info = changed(second(), duplicates=(3, 5, 9, 23))

    assert timeline_of(info, settings_of(duplicates=duplicates)).track.count == anchors
