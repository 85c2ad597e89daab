"""What of a video cannot be made with its settings, told before anything is planned, stored or paid."""

from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.errors import EncodeError, SettingsError, VideoTooLargeError
from slowmo_pipeline.settings import SlowMotionSettings, parse_settings
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.planning import timeline_of
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import SETTINGS, VideoKeys, sidecar_key
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.stored import changed, read_json, write_json
from slowmo_pipeline_tests.support.videos import UPLOAD, drop, quiet
from slowmo_pipeline_tests.video.test_info import INFO


def settings_of(**values: object) -> SlowMotionSettings:
    return parse_settings(values, origin="A test")


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
