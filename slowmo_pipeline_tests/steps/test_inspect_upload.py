"""What a look at an upload finds, what it reads again, and which settings hold."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline.errors import (
    SettingsError,
    SlowmoError,
    UnknownVideoError,
    UnreadableVideoError,
    VideoTooLargeError,
)
from slowmo_pipeline.planning.plan import plan_hash
from slowmo_pipeline.settings import parse_settings
from slowmo_pipeline.steps.inspect_upload import inspect_upload, joint_version
from slowmo_pipeline.steps.records import Source, read_info, read_source
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import SETTINGS, VideoKeys, sidecar_key, video_id_of
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline_tests.support import videos
from slowmo_pipeline_tests.support.fields import scene, woven
from slowmo_pipeline_tests.support.media import BT709, write_clip, write_planes
from slowmo_pipeline_tests.support.stored import read_json, root_of, write_json
from slowmo_pipeline_tests.support.videos import UPLOAD, clip, drop, quiet

SIDECAR = sidecar_key(UPLOAD)


class Looker:
    """Looks at the video, and tells which stages of work that took."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.video_id = drop(storage)
        self.stages: set[str] = set()
        self.on_progress: Callable[[], None] = lambda: None

    def __call__(self, **chosen: Any) -> tuple[Source, VideoInfo]:
        self.stages.clear()
        return inspect_upload(self.storage, self.video_id, chosen=chosen, progress=self._note)

    def slowdown(self, **chosen: Any) -> Fraction:
        return self(**chosen)[0].settings.slowdown

    def _note(self, stage: str, done: int, total: int, unit: str) -> None:
        self.stages.add(stage)
        self.on_progress()

    def write_sidecar(self, **settings: Any) -> None:
        write_json(self.storage, SIDECAR, settings)


@pytest.fixture
def looked(storage: Storage) -> Looker:
    return Looker(storage)


@pytest.fixture
def looked_in_folder(folder: Storage) -> Looker:
    return Looker(folder)


def touch(storage: Storage, seconds: int) -> None:
    """Make the upload look as written at another time."""
    assert root_of(storage)
    os.utime(root_of(storage) / UPLOAD, (seconds, seconds))


def test_first_look_hashes_probes_and_stores(looked: Looker) -> None:
    source, info = looked()

    assert looked.stages == {"read", "probe"}
    assert source.upload == UPLOAD
    assert len(source.sha256) == 64
    assert source.settings == parse_settings({}, origin="")
    assert (info.frame_count, info.width, info.height) == (9, 64, 48)
    assert read_source(looked.storage, looked.video_id) == source
    assert read_info(looked.storage, looked.video_id) == info


def test_tests_that_start_from_a_look_start_from_what_one_leaves(looked: Looker) -> None:
    found = looked(slowdown=3)
    videos.looked(looked.storage, looked.video_id, slowdown=3)

    assert (read_source(looked.storage, looked.video_id), read_info(looked.storage, looked.video_id)) == found


def test_a_video_that_is_not_read_in_the_plain_way_has_a_plan_of_its_own(looked: Looker, tmp_path: Path) -> None:
    white = write_planes(tmp_path / "w.mkv", [250, 128, 128], pixel_format="yuv444p", colour=BT709, size=(64, 48))
    plain, _ = looked()
    looked.storage.upload(white, UPLOAD)
    source, info = looked()

    assert (plain.reading, source.reading) == ("", info.reading) == ("", "headroom codes")
    assert plain.plan == plan_hash(sha256=plain.sha256, settings=plain.settings.plan_settings)
    assert source.plan != plan_hash(sha256=source.sha256, settings=source.settings.plan_settings)


def test_second_look_reads_nothing(looked: Looker) -> None:
    first = looked()

    assert looked() == first
    assert looked.stages == set()


def test_other_settings_alone_read_nothing(looked: Looker) -> None:
    looked()

    assert looked.slowdown(slowdown=8) == 8
    assert looked.stages == set()


def test_touched_file_is_hashed_but_not_probed(looked_in_folder: Looker) -> None:
    before, info = looked_in_folder()
    touch(looked_in_folder.storage, 1000)
    after, same_info = looked_in_folder()

    assert looked_in_folder.stages == {"read"}
    assert (after.sha256, same_info) == (before.sha256, info)
    assert after.version != before.version


def test_changed_content_is_probed(looked: Looker) -> None:
    before, _ = looked()
    looked.storage.write(UPLOAD, clip(5))
    after, info = looked()

    assert looked.stages == {"read", "probe"}
    assert info.frame_count == 5
    assert after.sha256 != before.sha256
    assert read_info(looked.storage, looked.video_id).frame_count == 5


def test_lost_info_is_found_again(looked: Looker) -> None:
    _, info = looked()
    looked.storage.delete([VideoKeys(looked.video_id).info])

    assert looked()[1] == info


def test_chosen_settings_win(looked: Looker) -> None:
    looked.write_sidecar(slowdown=8)

    assert looked.slowdown(slowdown=3) == 3


def test_chosen_settings_stay_in_force(looked: Looker) -> None:
    looked.write_sidecar(slowdown=8)
    looked(slowdown=3, codec="ffv1")
    source, _ = looked()

    assert (source.settings.slowdown, source.settings.codec) == (Fraction(3), "ffv1")


def test_chosen_settings_leave_nothing_of_those_before(looked: Looker) -> None:
    looked(slowdown=3, codec="ffv1")
    source, _ = looked(slowdown=5)

    assert (source.settings.slowdown, source.settings.codec) == (Fraction(5), "h264")


def test_sidecar_wins_over_the_defaults(looked: Looker) -> None:
    looked.write_sidecar(slowdown="5/2", frame_rate=60)
    source, _ = looked()

    assert (source.settings.slowdown, source.settings.frame_rate) == (Fraction(5, 2), Fraction(60))


def test_sidecar_written_later_wins_over_what_was_in_force(looked: Looker) -> None:
    looked(slowdown=3)
    looked.write_sidecar(slowdown=8)

    assert looked.slowdown() == 8
    assert looked.stages <= {"read"}


def test_settings_of_the_storage_are_the_defaults(looked: Looker) -> None:
    write_json(looked.storage, SETTINGS, {"slowdown": 9, "codec": "prores"})

    assert looked.slowdown() == 9
    looked.write_sidecar(slowdown=8)
    settings = looked()[0].settings
    assert settings.slowdown == 8
    assert settings.codec == "prores"
    assert looked.slowdown(codec="ffv1") == 9


def test_bad_settings_of_the_storage_are_named(looked: Looker) -> None:
    write_json(looked.storage, SETTINGS, {"slowdown": 0})

    with pytest.raises(SettingsError, match=r"settings\.json: slowdown = 0"):
        looked(codec="ffv1")


def test_sidecar_that_is_gone_leaves_its_settings(looked: Looker) -> None:
    looked.write_sidecar(slowdown=8)
    looked()
    looked.storage.delete([SIDECAR])

    assert looked.slowdown() == 8


def test_bad_sidecar_is_named_and_changes_nothing(looked: Looker) -> None:
    before, _ = looked()
    looked.write_sidecar(slowdown=0)
    with pytest.raises(SettingsError, match=f"^{SIDECAR}: slowdown = 0 must lie between 1 and 1000"):
        looked()

    assert read_source(looked.storage, looked.video_id) == before


def test_huge_sidecar_is_not_even_read(looked: Looker) -> None:
    looked.storage.write(SIDECAR, b" " * 70_000 + b"{}")
    with pytest.raises(SettingsError, match=f"{SIDECAR} has 70002 bytes, allowed are 65536"):
        looked()


def test_bad_choice_is_named(looked: Looker) -> None:
    with pytest.raises(SettingsError, match=r"^The run's settings: codec = 'vp9' should be 'h264'"):
        looked(codec="vp9")


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_frames": 5}, "max_frames allows, 5"),
        ({"max_pixels": 99}, "max_pixels allows 99"),
        ({"max_bytes": 9}, "max_bytes"),
    ],
    ids=["frames", "pixels", "bytes"],
)
def test_tighter_limit_is_held_against_a_known_video(looked: Looker, limit: dict[str, int], reason: str) -> None:
    before, _ = looked()
    with pytest.raises(VideoTooLargeError, match=reason):
        looked(**limit)

    assert read_source(looked.storage, looked.video_id) == before


def test_unregistered_video_is_unknown(storage: Storage) -> None:
    with pytest.raises(
        UnknownVideoError, match=r"video nobody-12345678 is not registered\. Put its file into .*uploads"
    ):
        inspect_upload(storage, "nobody-12345678", chosen={}, progress=quiet)


def test_vanished_upload_is_told(looked: Looker) -> None:
    looked()
    looked.storage.delete([UPLOAD])
    with pytest.raises(UnknownVideoError, match=r"clip\.mp4 is gone\. Put it back, or delete its partition\."):
        looked()


@pytest.mark.parametrize("content", [b"", b"no video", clip(1)], ids=["empty", "text", "one frame"])
def test_unreadable_upload_leaves_nothing_behind(looked: Looker, content: bytes) -> None:
    looked.storage.write(UPLOAD, content)
    with pytest.raises(UnreadableVideoError, match=r"clip\.mp4"):
        looked()

    assert read_json(looked.storage, VideoKeys(looked.video_id).source) == {"upload": UPLOAD}
    assert looked.storage.stat(VideoKeys(looked.video_id).info) is None


def test_upload_that_grows_while_it_is_read_is_refused(looked_in_folder: Looker) -> None:
    root = root_of(looked_in_folder.storage)
    assert root

    def grow() -> None:
        looked_in_folder.on_progress = lambda: None
        with (root / UPLOAD).open("ab") as file:
            file.write(b"more")

    looked_in_folder.on_progress = grow
    with pytest.raises(SlowmoError, match="changed while it was read: run again once it is complete"):
        looked_in_folder()

    assert "sha256" not in read_json(looked_in_folder.storage, VideoKeys(looked_in_folder.video_id).source)


def test_joint_version_changes_with_either(storage: Storage) -> None:
    drop(storage)
    storage.write(SIDECAR, b"{}")
    versions = set()
    for upload, sidecar in (("1", None), ("2", None), ("1", "{}"), ("1", "[]"), ("2", "{}")):
        storage.write(UPLOAD, upload.encode())
        storage.delete([SIDECAR])
        if sidecar:
            storage.write(SIDECAR, sidecar.encode())
        entry = storage.stat(UPLOAD)
        assert entry
        versions.add(joint_version(entry, storage.stat(SIDECAR)))

    assert len(versions) == 5


def test_source_survives_its_stored_form(looked: Looker) -> None:
    source, _ = looked(slowdown="5/2", frame_rate="30000/1001", crf=3)

    assert Source.from_json(source.to_json(), where="source.json") == source


def test_names_of_all_kinds_are_looked_at(folder: Storage, tmp_path: Path) -> None:
    for name in ("my holiday.mp4", "100% Käfer #1.mp4", "日本.mp4"):
        video_id = drop(folder, key=f"uploads/{name}")

        assert video_id == video_id_of(f"uploads/{name}")
        assert inspect_upload(folder, video_id, chosen={}, progress=quiet)[1].frame_count == 9


@pytest.mark.parametrize("info", [{"format": 0}, {}, {"format": 1, "ticks": None}])
def test_info_that_another_version_stored_is_made_anew(looked: Looker, info: dict[str, Any]) -> None:
    _, found = looked()
    write_json(looked.storage, VideoKeys(looked.video_id).info, info)

    assert looked()[1] == found
    assert "probe" in looked.stages


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_settings_that_are_no_file_hang_nothing(looked_in_folder: Looker, make: Callable[[Path], None]) -> None:
    """A pipe as settings file was waited for, for ever."""
    make(root_of(looked_in_folder.storage) / SIDECAR)

    assert looked_in_folder.slowdown() == 4


PARTS: list[dict[str, Any]] = [{"from": "f2"}, {"to": 0.25}, {"from": "f3", "to": "f6"}]


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_another_part_is_probed_and_the_same_is_not(looked_in_folder: Looker, part: dict[str, Any]) -> None:
    whole = looked_in_folder()[1]
    source, info = looked_in_folder(**part)
    assert "probe" in looked_in_folder.stages
    assert info.part is not None
    assert info.frame_count < whole.frame_count

    assert looked_in_folder() == (source, info)
    assert looked_in_folder.stages == set()
    assert looked_in_folder(**part, slowdown=8, crf=30)[1] == info
    assert looked_in_folder.stages == set()
    assert looked_in_folder(slowdown=4)[1] == whole


def test_only_what_decides_what_probing_looks_for_makes_it_look_again(looked_in_folder: Looker) -> None:
    looked_in_folder()
    for settings in ({"cuts": 50}, {"longest_gap": 9}, {"ease": 1}, {"originals": "replace"}, {"speed": "0-0.2:1/2"}):
        looked_in_folder(**settings)
        assert looked_in_folder.stages == set()


def test_sidecar_names_a_part(looked_in_folder: Looker) -> None:
    looked_in_folder.write_sidecar(**{"from": "f3", "to": "f6"})
    source, info = looked_in_folder()

    assert (source.settings.from_, source.settings.to) == (3, 6)
    assert info.frame_count == 4


def test_touched_part_is_not_probed(looked_in_folder: Looker) -> None:
    before = looked_in_folder(**{"from": "f3"})[1]
    touch(looked_in_folder.storage, 1000)

    assert looked_in_folder()[1] == before
    assert looked_in_folder.stages == {"read"}


def test_limits_hold_the_part(looked_in_folder: Looker) -> None:
    assert looked_in_folder(**{"from": "f3", "to": "f6", "max_frames": 4})[1].frame_count == 4
    with pytest.raises(VideoTooLargeError, match="max_frames allows, 4"):
        looked_in_folder(**{"from": "f3", "to": "f7", "max_frames": 4})


def test_another_handling_of_interlaced_video_takes_another_look(looked: Looker, tmp_path: Path) -> None:
    interlaced = write_clip(tmp_path / "clip.mp4", woven(scene(24), top_first=True), rate=Fraction(25))
    looked.storage.write(UPLOAD, interlaced.read_bytes())

    source, info = looked(interlaced="keep")
    mended, found = looked(interlaced="auto")
    assert (info.frame_count, found.frame_count) == (12, 24)
    assert source.plan != mended.plan
    looked(slowdown=3)
    assert looked.stages == set()
