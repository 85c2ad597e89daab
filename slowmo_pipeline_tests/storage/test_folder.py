"""What a storage in a folder has of its own: files that survive, odd entries, disks that fail."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline.errors import DiskFullError, StorageError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.disks import as_nobody, small_disk
from slowmo_pipeline_tests.support.stored import root_of

WRITES: dict[str, Callable[[Storage, Path], Any]] = {
    "write": lambda storage, local: storage.write("new/a", local.read_bytes()),
    "create": lambda storage, local: storage.create("new/a", local.read_bytes()),
    "upload": lambda storage, local: storage.upload(local, "new/a"),
}
READS: dict[str, Callable[[Storage], Any]] = {
    "read": lambda storage: storage.read("a/b"),
    "stat": lambda storage: storage.stat("a/b"),
    "list": lambda storage: list(storage.list("a/")),
    "folders": lambda storage: storage.folders("a/"),
    "uploads": lambda storage: storage.uploads(),
}
writes = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local file."""
    path = tmp_path / "local"
    path.write_bytes(b"content")
    return path


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "storage"):
        with pytest.raises(StorageError, match=r"cannot be made: (Not a directory|File exists)\. Set SLOWMO_STORAGE"):
            open_storage(str(place))


def test_address_for_people_is_a_path(folder: Storage) -> None:
    assert folder.display_path("final/a b.mp4") == f"{root_of(folder)}/final/a b.mp4"


def test_uploads_version_changes_with_size_and_time(folder: Storage) -> None:
    folder.write("uploads/x", b"12345")
    path = root_of(folder) / "uploads/x"
    versions = [folder.stat("uploads/x")]
    os.utime(path, (1, 1))
    versions.append(folder.stat("uploads/x"))
    path.write_bytes(b"123456")
    os.utime(path, (1, 1))
    versions.append(folder.stat("uploads/x"))

    assert len({entry.version for entry in versions if entry}) == 3


# Written so that they survive.


@writes
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(
    folder: Storage, local: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Storage, Path], Any]
) -> None:
    done: list[str] = []
    fsync, rename, link = os.fsync, os.replace, os.link

    def synced(descriptor: int) -> None:
        done.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name[:7]}")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", synced)

    def named(make: Callable[..., None]) -> Callable[..., None]:
        def noted(*names: object) -> None:
            done.append("name")
            make(*names)

        return noted

    monkeypatch.setattr("os.replace", named(rename))
    monkeypatch.setattr("os.link", named(link))
    (root_of(folder) / "new").mkdir()
    write(folder, local)

    assert done == ["sync .staged", "name", "sync new"]


WRITER = """
import os, signal, sys
from pathlib import Path
from slowmo_pipeline.storage.opening import open_storage

storage = open_storage(sys.argv[1])
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)  # between the bytes and the name
storage.write("results/0.tar", bytes(4000))
"""


def killed_writer(storage: Storage) -> list[str]:
    """Kill a process that writes; what lies in the folder then."""
    (root_of(storage) / "results").mkdir(exist_ok=True)
    writer = subprocess.run([sys.executable, "-c", WRITER, storage.url], check=False)
    assert writer.returncode == -signal.SIGKILL
    return os.listdir(root_of(storage) / "results")


def test_killed_writer_leaves_nothing_that_is_listed(folder: Storage) -> None:
    [left] = killed_writer(folder)

    assert left.startswith(".staged-")
    assert [*folder.list("results/")] == [*folder.list("")] == []
    assert folder.stat("results/0.tar") is None


def test_killed_writer_in_the_uploads_is_no_upload(folder: Storage) -> None:
    killed_writer(folder)
    (root_of(folder) / "results").rename(root_of(folder) / "uploads")

    assert folder.uploads().entries == ()
    assert folder.uploads().unusable == {}


def test_what_a_killed_writer_left_is_removed(folder: Storage) -> None:
    killed_writer(folder)

    assert folder.remove_leftovers() == 4000
    assert os.listdir(root_of(folder) / "results") == []


def test_what_is_being_written_is_no_leftover(folder: FolderStorage) -> None:
    with folder._staged("results/0.tar") as (aside, _):
        aside.write_bytes(b"half")
        assert folder.remove_leftovers() == 0
        assert aside.exists()


@writes
def test_failed_write_leaves_nothing(
    folder: Storage, local: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Storage, Path], Any]
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", broken)
    (root_of(folder) / "new").mkdir()
    with pytest.raises(StorageError, match=r"Input/output error\. Look at the disk, then run again"):
        write(folder, local)

    assert os.listdir(root_of(folder) / "new") == []


def test_odd_leftovers_hinder_no_others(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_writer(folder)
    results = root_of(folder) / "results"
    (results / ".staged-loop").symlink_to(".staged-loop")
    (results / ".staged-folder").mkdir()
    os.mkfifo(results / ".staged-pipe")

    assert folder.remove_leftovers() == 4000


SCRATCHES = """
import sys
from slowmo_pipeline.storage.opening import open_storage

storage = open_storage(sys.argv[1])
lost = 0
print("ready", flush=True)
sys.stdin.read()  # until all of them are ready
for _ in range(500):
    with storage.scratch() as folder:
        (folder / "file").write_bytes(b"1")
        lost += not (folder / ".lock").exists() or not (folder / "file").exists()
print(lost)
"""


def test_scratch_in_use_is_never_taken_for_a_leftover(folder: Storage) -> None:
    """Every folder that is made removes what is dead: four processes at once."""
    command = [sys.executable, "-c", SCRATCHES, folder.url]
    gate, opening = os.pipe()
    users = [subprocess.Popen(command, stdin=gate, stdout=subprocess.PIPE) for _ in range(4)]
    assert [user.stdout and user.stdout.readline() for user in users] == [b"ready\n"] * 4
    os.close(gate)
    os.close(opening)

    assert [user.communicate()[0] for user in users] == [b"0\n"] * 4
    assert [user.returncode for user in users] == [0] * 4


# Entries that are no files.


@pytest.mark.parametrize("seconds", [-(10**11), 10**12])
def test_time_that_no_calendar_has_is_no_reason_to_stop(seconds: int) -> None:
    with small_disk(megabytes=1) as disk:  # tmpfs keeps any
        storage = open_storage(str(disk))
        storage.write("uploads/a.mp4", b"1")
        os.utime(disk / "uploads" / "a.mp4", (seconds, seconds))
        [upload] = storage.uploads().entries

        assert storage.stat(upload.key) == upload


def test_odd_entries_are_counted_and_hide_no_other(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.prepare_uploads()
    uploads = root_of(folder) / "uploads"
    for name in (b"a\nb.mp4", b"tab\t.mp4", b"not unicode \xff.mp4", b"clip.mp4#1", b"good.mp4"):
        Path(os.fsdecode(os.fsencode(uploads) + b"/" + name)).write_bytes(b"1")
    (uploads / "sub.mp4").mkdir()
    (uploads / "sub.mp4" / "good.mp4").write_bytes(b"1")
    (uploads / "clip.mp4.slowmo.json").mkdir()
    (uploads / "dangling.mp4").symlink_to("nowhere")
    (uploads / "loop.mp4").symlink_to("loop.mp4")
    (uploads / "above").symlink_to(root_of(folder))
    (uploads / "below a file.mp4").symlink_to("good.mp4/x")
    (uploads / "long.mp4").symlink_to("x" * 300)
    (uploads / "link.mp4").symlink_to("good.mp4")
    os.mkfifo(uploads / "pipe.mp4.slowmo.json")
    (uploads / "device.mp4").symlink_to("/dev/zero")
    monkeypatch.chdir(uploads)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.mp4")
    found = folder.uploads()

    assert sorted(entry.key.removeprefix("uploads/") for entry in found.entries) == [
        *("a\nb.mp4", "clip.mp4#1", "good.mp4", "link.mp4", "not unicode \udcff.mp4", "sub.mp4/good.mp4", "tab\t.mp4")
    ]
    assert {key.removeprefix("uploads/"): reason for key, reason in found.unusable.items()} == {
        "above": "a link to a folder",
        "below a file.mp4": "Not a directory",
        "clip.mp4.slowmo.json": "a folder where settings are expected",
        "dangling.mp4": "No such file or directory",
        "device.mp4": "not a regular file",
        "long.mp4": "File name too long",
        "loop.mp4": "Too many levels of symbolic links",
        "pipe.mp4.slowmo.json": "not a regular file",
        "socket.mp4": "not a regular file",
    }


@pytest.fixture
def shared(folder: Storage) -> Iterator[Storage]:
    """A storage below folders that every user may enter."""
    root = Path(f"/tmp/slowmo-shared-{os.getpid()}")
    yield open_storage(str(root))
    shutil.rmtree(root)


def test_what_may_not_be_read_is_counted_and_hides_no_other(shared: Storage) -> None:
    shared.write("uploads/good.mp4", b"1")
    shared.write("uploads/locked/clip.mp4", b"1")
    (root_of(shared) / "uploads" / "link.mp4").symlink_to("locked/clip.mp4")
    locked = root_of(shared) / "uploads" / "locked"
    locked.chmod(0)
    try:
        with as_nobody():
            found = shared.uploads()
    finally:
        locked.chmod(0o755)

    assert [entry.key for entry in found.entries] == ["uploads/good.mp4"]
    assert found.unusable == {"uploads/link.mp4": "Permission denied", "uploads/locked": "Permission denied"}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_there(folder: Storage, tmp_path: Path, make: Callable[[Path], None]) -> None:
    (root_of(folder) / "a").mkdir()
    make(root_of(folder) / "a" / "b")

    assert folder.stat("a/b") is None
    assert [*folder.list("a/")] == []
    with pytest.raises(FileNotFoundError):  # and does not wait for somebody who writes into the pipe
        folder.read("a/b")
    with pytest.raises(FileNotFoundError):
        folder.download("a/b", tmp_path / "copy")


@pytest.mark.parametrize("key", ["file/below", "file/below/deep", "x" * 300], ids=["file", "deep", "long"])
def test_key_that_cannot_be_is_not_there(folder: Storage, key: str) -> None:
    folder.write("file", b"1")
    folder.delete([key] if len(key) < 256 else [])

    assert folder.stat(key) is None
    assert [*folder.list(f"{key}/")] == []
    with pytest.raises(FileNotFoundError):
        folder.read(key)


def test_file_that_was_moved_out_and_back_has_changed_later_and_is_of_the_same_version(folder: Storage) -> None:
    folder.write("uploads/a.mp4", b"1")
    before = folder.stat("uploads/a.mp4")
    path, aside = root_of(folder) / "uploads" / "a.mp4", root_of(folder) / "aside"
    path.rename(aside)
    time.sleep(0.02)  # the kernel's clock for files stands still for a hundredth of a second
    aside.rename(path)
    after = folder.stat("uploads/a.mp4")

    assert before
    assert after
    assert after.changed > before.changed
    assert after.version == before.version


# Disks that fail.


@writes
def test_full_disk_is_told_with_what_is_free(local: Path, write: Callable[[Storage, Path], Any]) -> None:
    local.write_bytes(bytes(3 << 20))
    with small_disk(megabytes=2) as disk:
        storage = open_storage(str(disk / "storage"))
        storage.write("kept", b"1")
        with pytest.raises(DiskFullError, match=rf"The disk of {disk}/storage is full: 2\.\d MB free\. Free some"):
            write(storage, local)

        assert storage.read("kept") == b"1"
        assert [entry.key for entry in storage.list("")] == ["kept"]
        assert storage.remove_leftovers() == 0


@writes
def test_read_only_disk_is_told_and_can_be_read(local: Path, write: Callable[[Storage, Path], Any]) -> None:
    with small_disk(megabytes=2) as disk:
        open_storage(str(disk)).write("a/b", b"1")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        storage = open_storage(str(disk))
        assert storage.read("a/b") == b"1"
        assert [entry.key for entry in storage.list("")] == ["a/b"]
        with pytest.raises(StorageError, match=r"is on a read-only file system, .* Set SLOWMO_STORAGE"):
            write(storage, local)


@writes
def test_missing_permission_is_told(
    shared: Storage, local: Path, tmp_path: Path, write: Callable[[Storage, Path], Any]
) -> None:
    source = Path(f"{root_of(shared)}-local")
    shutil.copyfile(local, source)
    try:
        with as_nobody(), pytest.raises(StorageError, match=r"Permission denied\. Set SLOWMO_STORAGE to a folder that"):
            write(shared, source)
    finally:
        source.unlink()


@writes
def test_file_in_the_way_of_a_folder_is_told(
    folder: Storage, local: Path, write: Callable[[Storage, Path], Any]
) -> None:
    folder.write("new", b"1")
    with pytest.raises(StorageError, match=r"new: File exists\. Something else stands where .* move it away"):
        write(folder, local)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_storage_deleted_under_way_is_told(folder: Storage, read: Callable[[Storage], Any]) -> None:
    shutil.rmtree(root_of(folder))
    with pytest.raises(StorageError, match=r"is not there any more: it was deleted, or its disk was unmounted\."):
        read(folder)


@writes
def test_storage_deleted_under_way_is_not_made_anew(
    folder: Storage, local: Path, write: Callable[[Storage, Path], Any]
) -> None:
    shutil.rmtree(root_of(folder))
    with pytest.raises(StorageError, match="is not there any more"):
        write(folder, local)
    assert not root_of(folder).exists()


def test_scratch_does_not_make_a_deleted_storage_anew(folder: Storage) -> None:
    shutil.rmtree(root_of(folder))
    with pytest.raises(StorageError, match="is not there any more"), folder.scratch():
        pass
    assert not root_of(folder).exists()


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_hard_links_creates_all_the_same(
    folder: Storage, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    """FAT says EPERM; network shares and FUSE, one of the others."""

    def no_links(*names: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("os.link", no_links)

    assert folder.create("a/b", b"one")
    assert not folder.create("a/b", b"two")
    assert folder.read("a/b") == b"one"
    assert os.listdir(root_of(folder) / "a") == ["b"]


@writes
def test_file_system_without_rename_is_told(
    folder: Storage, local: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Storage, Path], Any]
) -> None:
    """A bucket that is mounted, for one."""

    def not_implemented(*names: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("os.replace", not_implemented)
    monkeypatch.setattr("os.link", lambda *names: not_implemented())
    if write is WRITES["create"]:
        assert write(folder, local)  # which does without
    else:
        with pytest.raises(StorageError, match="a bucket is better named as s3://bucket/prefix than mounted"):
            write(folder, local)
