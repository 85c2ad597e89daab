"""One contract for both kinds of storage."""

import os
import re
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from moto.s3.models import s3_backends

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline.storage.opening import open_storage

NAMES = [
    *(
        "clip.mp4",
        "my holiday.mp4",
        "Käfer 日本.mp4",
        "e\u0301.mp4",
        "100%.mp4",
        "a%20b.mp4",
        "clip #1.mp4",
        "it's.mp4",
    ),
    *('"quoted".mp4', "a+b&c=d?.mp4", "a\\b.mp4", "[x]{y}*|<>.mp4", "`~^.mp4", ".hidden.mp4", "..mp4", "no suffix"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_survive(storage: Storage, name: str) -> None:
    key = f"uploads/a folder/{name}"
    storage.write(key, b"content")

    assert storage.read(key) == b"content"
    assert [entry.key for entry in storage.list("uploads/")] == [key]
    assert [entry.key for entry in storage.uploads().entries] == [key]
    assert storage.key_of(storage.uri(key)) == key
    with storage.local_file(key) as path:
        assert (path.name, path.read_bytes()) == (name, b"content")
    storage.delete([key])
    assert storage.stat(key) is None


def test_write_replaces(storage: Storage) -> None:
    storage.write("a/b", b"one")
    before = storage.stat("a/b")
    storage.write("a/b", b"another")
    after = storage.stat("a/b")

    assert storage.read("a/b") == b"another"
    assert before
    assert after
    assert before.version != after.version


def test_create_leaves_what_is_there(storage: Storage) -> None:
    assert storage.create("a/b", b"one")
    assert not storage.create("a/b", b"two")
    assert storage.read("a/b") == b"one"


def test_one_of_many_creates(storage: Storage) -> None:
    created: list[bool] = []
    start = threading.Barrier(4)

    def create() -> None:
        start.wait()
        created.append(storage.create("a/new", b"mine"))

    writers = [threading.Thread(target=create) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(created) == [False, False, False, True]
    assert [entry.key for entry in storage.list("a/")] == ["a/new"]


def test_empty_object(storage: Storage) -> None:
    storage.write("a/b", b"")

    assert storage.read("a/b") == b""
    with storage.local_file("a/b") as path:
        assert path.stat().st_size == 0


def test_missing_keys(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("a/missing")
    with pytest.raises(FileNotFoundError), storage.local_file("a/missing"):
        pass
    with pytest.raises(FileNotFoundError):
        storage.download("a/missing", tmp_path / "copy")
    storage.delete(["a/missing"])

    assert storage.stat("a/missing") is None
    assert list(storage.list("a/")) == list(storage.uploads().entries) == []
    assert storage.folders("a/") == ()
    assert not (tmp_path / "copy").exists()


def test_listing_tells_what_stat_tells(storage: Storage) -> None:
    storage.write("a/b", b"12345")
    [listed] = storage.list("a/")
    found = storage.stat("a/b")

    assert found
    assert (
        (listed.key, listed.size, listed.version) == (found.key, found.size, found.version) == ("a/b", 5, found.version)
    )
    assert abs(found.modified - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_upload_has_one_version_however_it_is_looked_at(storage: Storage) -> None:
    storage.write("uploads/a.mp4", b"12345")
    [listed] = storage.uploads().entries
    found = storage.stat("uploads/a.mp4")

    assert found
    assert (listed.key, listed.size, listed.version) == (found.key, found.size, found.version)
    assert found.version


def test_change_is_told_alike_however_an_upload_is_looked_at(storage: Storage) -> None:
    storage.write("uploads/a.mp4", b"12345")
    [listed], [dropped] = storage.list("uploads/"), storage.uploads().entries
    found = storage.stat("uploads/a.mp4")

    assert found
    assert listed.changed == dropped.changed == found.changed
    assert abs(found.changed / 10**9 - time.time()) < 60


def test_listing_goes_all_the_way_down(storage: Storage) -> None:
    keys = {"a/1", "a/b/2", "a/b/c/d/3"}
    for key in (*keys, "ab/4", "b/a/5"):
        storage.write(key, b"")

    assert {entry.key for entry in storage.list("a/")} == keys


def test_listing_of_many(storage: Storage) -> None:
    """S3 lists a thousand at a time."""
    keys = {f"uploads/{number:04d}" for number in range(1003)}
    if isinstance(storage, FolderStorage):
        storage.prepare_uploads()
        for key in keys:
            (storage.root / key).touch()
    else:
        bucket, _, prefix = storage.url.removeprefix("s3://").partition("/")
        for key in keys:
            s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}/{key}", b"")

    assert {entry.key for entry in storage.list("uploads/")} == keys
    assert {entry.key for entry in storage.uploads().entries} == keys


def test_folders_are_those_right_below(storage: Storage) -> None:
    for key in ("videos/b-2/source.json", "videos/a-1/x/y", "videos/file", "other/c"):
        storage.write(key, b"")

    assert storage.folders("videos/") == ("a-1", "b-2")


def test_deleting_some(storage: Storage) -> None:
    for key in ("a/1", "a/2", "a/3"):
        storage.write(key, b"")
    storage.delete(f"a/{number}" for number in (1, 7, 3))

    assert [entry.key for entry in storage.list("a/")] == ["a/2"]


def test_upload_and_fetch_are_each_others_inverse(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(os.urandom(100_000))
    storage.upload(tmp_path / "source", "uploads/x")
    storage.download("uploads/x", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"source", "copy"}


def test_download_to_a_place_that_cannot_be_written_is_told(storage: Storage, tmp_path: Path) -> None:
    storage.write("a/b", b"1")
    (tmp_path / "folder").mkdir()
    for place, why in (("missing/copy", "cannot be written: .*"), ("folder", "is there and no regular file: .*")):
        with pytest.raises(StorageError, match=f"{tmp_path / place} {why} Choose another place"):
            storage.download("a/b", tmp_path / place)

    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_file_that_cannot_be_uploaded_is_not_blamed_on_the_storage(storage: Storage, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=f"{tmp_path / name} cannot be read: (No such|Is a directory)"):
        storage.upload(tmp_path / name, "a/b")


def test_the_longest_name_can_be_downloaded_to(storage: Storage, tmp_path: Path) -> None:
    storage.write("a/b", b"1")
    storage.download("a/b", tmp_path / ("n" * 255))

    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["n" * 255]


def test_fetch_replaces(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"old and longer")
    storage.write("a/b", b"new")
    storage.download("a/b", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == b"new"


def test_upload_is_a_file_until_the_storage_is_closed(storage: Storage) -> None:
    storage.write("uploads/x/clip.mp4", b"1")
    upload = storage.stat("uploads/x/clip.mp4")
    assert upload
    for _ in range(2):
        with storage.local_upload(upload) as path:
            assert (path.name, path.read_bytes()) == ("clip.mp4", b"1")
    storage.close()

    assert storage.read("uploads/x/clip.mp4") == b"1"


def test_another_version_of_an_upload_is_another_file(storage: Storage) -> None:
    for content in (b"1", b"22"):
        storage.write("uploads/clip.mp4", content)
        upload = storage.stat("uploads/clip.mp4")
        assert upload
        with storage.local_upload(upload) as path:
            assert path.read_bytes() == content


def test_scratch_is_ones_own_and_goes(storage: Storage) -> None:
    with storage.scratch() as one, storage.scratch() as other:
        (one / "large").write_bytes(b"1")
        assert one != other
    assert not one.exists()


SCRATCH = """
import os, signal, sys
from slowmo_pipeline.storage.opening import open_storage

with open_storage(sys.argv[1]).scratch() as folder:
    (folder / "large").write_bytes(bytes(3000))
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_a_killed_process_left_in_scratch_goes(storage: Storage, by_hand: bool) -> None:
    killed = subprocess.run([sys.executable, "-c", SCRATCH, storage.url], check=False, capture_output=True, text=True)
    left = Path(killed.stdout.strip())
    assert (left / "large").exists()

    if by_hand:
        assert storage.remove_leftovers() == 3000
    else:
        with storage.scratch():
            pass
    assert not left.exists()


def test_scratch_in_use_is_no_leftover(storage: Storage) -> None:
    with storage.scratch() as folder:
        assert open_storage(storage.url).remove_leftovers() == 0
        assert folder.exists()


def test_reader_sees_the_old_or_the_new_whole(storage: Storage) -> None:
    size = 300_000
    storage.write("a/b", b"0" * size)
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(storage.read("a/b"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        storage.write("a/b", b"%d" % (number % 10) * size)
    stop.set()
    reader.join()

    assert {len(set(data)) for data in seen} == {1}
    assert {len(data) for data in seen} == {size}


COPY = """
import resource, sys
from pathlib import Path
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.stored import read_json, root_of, write_json

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

storage, folder = open_storage(sys.argv[1]), Path(sys.argv[2])
storage.write("small", b"1")  # what a first use loads is not meant
before = peak()
storage.upload(folder / "large", "large")
storage.download("large", folder / "copy")
print((peak() - before) // 1024)
storage.delete(["large"])
"""


def test_large_file_streams_in_little_memory(storage: Storage, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        for number in range(128):
            file.write(bytes([number]) * 2**20)
    command = [sys.executable, "-c", COPY, storage.url, str(tmp_path)]
    megabytes = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert file_sha256(tmp_path / "copy") == file_sha256(tmp_path / "large")
    assert megabytes < 96


OUTSIDE = ["file:///etc/passwd", "s3://other/videos/x", "https://x/y", "videos/x", "", "file://", "s3://"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_location_outside_the_root_is_refused(storage: Storage, location: str) -> None:
    with pytest.raises(StorageError, match="does not lie below the storage root"):
        storage.key_of(location)


@pytest.mark.parametrize(
    "tail", ["", "-b/x", "/", "//etc/passwd", "/../x", "/a/../../x", "/a/..", "/./x", "/a//b", "/a/"]
)
def test_location_that_leads_astray_is_refused(storage: Storage, tail: str) -> None:
    with pytest.raises(StorageError, match=re.escape(f"{storage.url}{tail} does not lie below")):
        storage.key_of(storage.url + tail)


def test_dots_within_names_are_no_way_out(storage: Storage) -> None:
    assert storage.key_of(storage.uri("a/..b/c..d/...")) == "a/..b/c..d/..."


def test_same_root_from_its_own_url(storage: Storage) -> None:
    storage.write("a/b", b"1")

    assert open_storage(storage.url).read("a/b") == b"1"
    assert open_storage(storage.url + "/").uri("a/b") == storage.uri("a/b")


@pytest.mark.parametrize("url", ["ftp://x/y", "http://x", "s3:/bucket", "s3://", "s3:///prefix", "gs://bucket"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StorageError, match=f"SLOWMO_STORAGE = {url} is neither a folder nor s3://bucket/prefix"):
        open_storage(url)
