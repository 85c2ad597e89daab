"""Each change of an upload or its sidecar is run once, also one back to what was before; nothing finished is run again.

The ticks are the daemon's own, over a storage of each kind.
"""

import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.steps.changes import Change, noted
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.keys import VideoKeys, sidecar_key, video_id_of
from slowmo_pipeline_tests.support.daemon import Daemon, daemon
from slowmo_pipeline_tests.support.stored import root_of
from slowmo_pipeline_tests.support.videos import clip, finish, quiet, serve

in_a_folder = pytest.mark.parametrize("storage", ["folder"], indirect=True)


@dataclass
class Upload:
    """One upload, and the daemon that looks at it."""

    storage: Storage
    daemon: Daemon
    key: str

    @property
    def video_id(self) -> str:
        return video_id_of(self.key)

    def put(self, content: bytes) -> None:
        """Upload a clip."""
        self._put(self.key, content)

    def set(self, settings: bytes | None) -> None:
        """Upload its sidecar, or remove it."""
        if settings is None:
            self.storage.delete([sidecar_key(self.key)])
        else:
            self._put(sidecar_key(self.key), settings)

    def runs(self) -> int:
        """How many runs the video has after a tick; in a folder, a change takes two."""
        self.daemon.tick()
        if not self.storage.uploads_appear_whole:
            self.daemon.tick()
        return len(self.daemon.asked_for(self.video_id))

    def finish(self) -> None:
        """Leave a finished video, as another home may have."""
        serve(self.storage)
        inspect_upload(self.storage, register(self.storage, self.key), chosen={}, progress=quiet)
        cut(self.storage, self.video_id, progress=quiet)
        finish(self.storage, self.video_id)

    def _put(self, key: str, content: bytes) -> None:
        """Its version follows from its content, as S3's does: a file brings its own old time along."""
        self.storage.write(key, content)
        if isinstance(self.storage, FolderStorage):
            seconds = int(hashlib.sha256(content).hexdigest()[:7], 16)
            os.utime(self.storage.root / key, (seconds, seconds))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOWMO_HOME", str(tmp_path_factory.mktemp("home")))
        with daemon("new_uploads") as started:
            yield started


@pytest.fixture
def upload(home: Daemon, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Upload:
    monkeypatch.setenv("SLOWMO_STORAGE", storage.url)
    home.lose_cursor()
    return Upload(storage, home, f"uploads/{uuid.uuid4()}/clip.mp4")


def test_settings_that_come_back_are_run_again(upload: Upload) -> None:
    upload.put(b"clip")
    counts = []
    for slowdown in (4, 8, 4):
        upload.set(b'{"slowdown": %d}' % slowdown)
        counts += [upload.runs(), upload.runs()]

    assert counts == [1, 1, 2, 2, 3, 3]
    assert len({key.split(":")[1] for key in upload.daemon.asked_for(upload.video_id)}) == 2, "versions"


def test_a_file_that_comes_back_is_run_again(upload: Upload) -> None:
    counts = []
    for content in (b"first", b"second", b"first"):
        upload.put(content)
        counts.append(upload.runs())

    assert counts == [1, 2, 3]


def test_settings_that_are_removed_and_put_back_are_run_each_time(upload: Upload) -> None:
    upload.put(b"clip")
    counts = [upload.runs()]
    for settings in (b'{"crf": 30}', None, b'{"crf": 30}'):
        upload.set(settings)
        counts.append(upload.runs())

    assert counts == [1, 2, 3, 4]


def test_an_upload_that_was_gone_meanwhile_is_run_again(upload: Upload) -> None:
    counts = []
    for content in (b"first", b"second", b"first"):
        upload.put(content)
        counts.append(upload.runs())
        upload.storage.delete([upload.key])
        counts.append(upload.runs())

    assert counts == [1, 1, 2, 2, 3, 3]


@in_a_folder
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_was_moved_out_for_another_and_back_is_run_again(upload: Upload, what: str) -> None:
    root = root_of(upload.storage)
    place = root / upload.key if what == "file" else (root / upload.key).parent
    upload.put(b"clip")
    counts = [upload.runs()]
    place.rename(root / "aside")
    upload.put(b"another clip")
    counts.append(upload.runs())
    place.rename(root / "another")
    counts.append(upload.runs())
    (root / "aside").rename(place)
    counts.append(upload.runs())

    assert counts == [1, 2, 2, 3]


@in_a_folder
def test_a_change_of_permissions_is_no_change(upload: Upload) -> None:
    upload.put(b"clip")
    upload.set(b"{}")
    before = upload.runs()
    for path in Path(root_of(upload.storage) / upload.key).parent.iterdir():
        path.chmod(0o600)

    assert (before, upload.runs()) == (1, 1)


def test_a_lost_cursor_repeats_no_run_and_loses_no_change(upload: Upload) -> None:
    upload.put(b"clip")
    counts = []
    for settings in (None, b'{"slowdown": 3}', None):
        upload.set(settings)
        for _ in range(2):
            upload.daemon.lose_cursor()
            counts.append(upload.runs())

    assert counts == [1, 1, 2, 2, 3, 3]


def test_a_new_home_knows_what_is_finished(upload: Upload) -> None:
    upload.put(clip(4))
    upload.finish()

    assert upload.runs() == 0
    assert upload.video_id in upload.daemon.instance.get_dynamic_partitions(str(videos.name))


def test_a_new_home_runs_what_has_changed_since_it_was_finished(upload: Upload) -> None:
    upload.put(clip(4))
    upload.finish()
    upload.set(b'{"codec": "ffv1"}')

    assert upload.runs() == 1


def test_what_was_finished_is_run_when_it_comes_back_while_another_is_under_way(upload: Upload) -> None:
    upload.put(clip(4))
    upload.finish()
    counts = [upload.runs()]
    for content in (b"another clip", clip(4)):
        upload.put(content)
        counts.append(upload.runs())

    assert counts == [0, 1, 2]


@pytest.mark.parametrize("storage", ["s3"], indirect=True)
def test_a_daemon_killed_between_reservation_and_launch_loses_and_repeats_nothing(upload: Upload) -> None:
    for content in (b"first", b"second"):
        upload.put(content)
        upload.runs()
    upload.put(b"first")
    killed = subprocess.run([sys.executable, "-m", "slowmo_pipeline_tests.support.daemon", "new_uploads"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(upload.daemon.asked_for(upload.video_id)) == 2

    assert [upload.runs(), upload.runs()] == [3, 3]


def test_a_torn_record_of_the_last_change_is_made_anew(storage: Storage) -> None:
    now = Change(version="a", changed=2000)
    storage.write(VideoKeys("video-1").requested, b"{")

    assert noted(storage, "video-1", now) == now
    assert noted(storage, "video-1", Change(version="b", changed=1)) == Change(version="b", changed=2001)


def test_a_change_is_later_than_the_last_one_whatever_the_clock_says() -> None:
    before = Change(version="a", changed=2000)

    assert Change(version="b", changed=3000).after(before) == Change(version="b", changed=3000)
    assert Change(version="b", changed=1000).after(before) == Change(version="b", changed=2001)
    assert Change(version="a", changed=1000).after(before) == before, "it is no other change"
