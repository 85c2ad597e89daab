"""One contract for both kinds of storage, and what each has of its own."""

import os
import re
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from moto.s3.models import s3_backends

from slowmo_pipeline.digest import file_sha256
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage import Storage, is_staged

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
    assert [entry.key for entry in storage.uploads()] == [key]
    assert storage.key_of(storage.location(key)) == key
    with storage.local_file(key) as path:
        assert (path.name, path.read_bytes()) == (name, b"content")
    storage.delete([key])
    assert storage.stat(key) is None


def test_write_replaces(storage: Storage) -> None:
    storage.write("a/b", b"one")
    before = storage.stat("a/b")
    storage.write("a/b", memoryview(b"another"))
    after = storage.stat("a/b")

    assert storage.read("a/b") == b"another"
    assert before
    assert after
    assert before.version != after.version


def test_create_leaves_what_is_there(storage: Storage) -> None:
    assert storage.create("a/b", b"one")
    assert not storage.create("a/b", b"two")
    assert storage.read("a/b") == b"one"


def test_empty_object(storage: Storage) -> None:
    storage.write("a/b", b"")

    assert storage.read("a/b") == b""
    with storage.local_file("a/b") as path:
        assert path.stat().st_size == 0


def test_json_round_trip(storage: Storage) -> None:
    value = {"name": "Käfer", "list": [1, 2.5, None, True], "nested": {"": []}}
    storage.write_json("a/b.json", value)

    assert storage.read_json("a/b.json") == value


def test_missing_keys(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("a/missing")
    with pytest.raises(FileNotFoundError), storage.local_file("a/missing"):
        pass
    with pytest.raises(FileNotFoundError):
        storage.fetch("a/missing", tmp_path / "copy")
    storage.delete(["a/missing"])

    assert storage.read_json("a/missing") is None
    assert storage.stat("a/missing") is None
    assert storage.upload_entry("a/missing") is None
    assert list(storage.list("a/")) == list(storage.uploads()) == []
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
    [listed] = storage.uploads()
    found = storage.upload_entry("uploads/a.mp4")

    assert found
    assert (listed.key, listed.size, listed.version) == (found.key, found.size, found.version)
    assert found.version


def test_listing_goes_all_the_way_down(storage: Storage) -> None:
    keys = {"a/1", "a/b/2", "a/b/c/d/3"}
    for key in (*keys, "ab/4", "b/a/5"):
        storage.write(key, b"")

    assert {entry.key for entry in storage.list("a/")} == keys


def test_listing_of_many(storage: Storage) -> None:
    """S3 lists a thousand at a time."""
    keys = {f"uploads/{number:04d}" for number in range(1003)}
    if storage.root is None:
        bucket, _, prefix = storage.url.removeprefix("s3://").partition("/")
        for key in keys:
            s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}/{key}", b"")
    else:
        (storage.root / "uploads").mkdir()
        for key in keys:
            (storage.root / key).touch()

    assert {entry.key for entry in storage.list("uploads/")} == keys
    assert {entry.key for entry in storage.uploads()} == keys


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
    storage.fetch("uploads/x", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"source", "copy"}


def test_fetch_replaces(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"old and longer")
    storage.write("a/b", b"new")
    storage.fetch("a/b", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == b"new"


def test_temporary_copy_goes(s3_url: str) -> None:
    storage = Storage(s3_url)
    storage.write("a/b.tar", b"1")
    with storage.local_file("a/b.tar") as path:
        assert path.name == "b.tar"

    assert not path.parent.exists()


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
from slowmo_pipeline.storage import Storage

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

storage, folder = Storage(sys.argv[1]), Path(sys.argv[2])
storage.write("small", b"1")  # what a first use loads is not meant
before = peak()
storage.upload(folder / "large", "large")
storage.fetch("large", folder / "copy")
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
    assert storage.key_of(storage.location("a/..b/c..d/...")) == "a/..b/c..d/..."


def test_same_root_from_its_own_url(storage: Storage) -> None:
    storage.write("a/b", b"1")

    assert Storage(storage.url).read("a/b") == b"1"
    assert Storage(storage.url + "/").location("a/b") == storage.location("a/b")


def test_bucket_without_a_prefix(s3_url: str) -> None:
    root = Storage("s3://slowmo")
    storage = Storage(s3_url)
    storage.write("uploads/x", b"1")
    inner = storage.url.removeprefix("s3://slowmo/")

    assert root.read(f"{inner}/uploads/x") == b"1"
    assert root.key_of(storage.location("uploads/x")) == f"{inner}/uploads/x"


@pytest.mark.parametrize("url", ["ftp://x/y", "http://x", "s3:/bucket", "s3://", "s3:///prefix", "gs://bucket"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StorageError, match=f"SLOWMO_STORAGE = {url} is neither a folder nor s3://bucket/prefix"):
        Storage(url)


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be made: Not a directory\. Set SLOWMO_STORAGE"):
        Storage(str(tmp_path / "file" / "storage"))


def test_bucket_without_credentials_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(StorageError, match="no AWS credentials for s3://bucket/prefix: set AWS_PROFILE"):
        Storage("s3://bucket/prefix")


def test_address_for_s3_alone_wins(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    storage = Storage(s3_url)
    storage.write("uploads/x", b"1")

    assert [entry.key for entry in storage.uploads()] == ["uploads/x"]


def test_general_address_serves_too(s3_url: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    storage = Storage(s3_url)
    storage.write("uploads/x", b"1")

    assert [entry.key for entry in storage.uploads()] == ["uploads/x"]


def test_odd_files_do_not_stop_a_folders_uploads(folder: Storage) -> None:
    assert folder.root
    uploads = folder.root / "uploads"
    (uploads / "sub.mp4").mkdir(parents=True)
    for name in (b"a\nb.mp4", b"tab\t.mp4", b"not unicode \xff.mp4", b"clip.mp4#1", b"good.mp4", b"sub.mp4/good.mp4"):
        Path(os.fsdecode(os.fsencode(uploads) + b"/" + name)).write_bytes(b"1")
    (uploads / "dangling.mp4").symlink_to("nowhere")
    (uploads / "loop.mp4").symlink_to("loop.mp4")
    (uploads / "above").symlink_to(folder.root)

    assert sorted(entry.key.removeprefix("uploads/") for entry in folder.uploads()) == [
        *("a\nb.mp4", "clip.mp4#1", "good.mp4", "not unicode \udcff.mp4", "sub.mp4/good.mp4", "tab\t.mp4")
    ]


def test_odd_keys_do_not_stop_a_buckets_uploads(s3_url: str) -> None:
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    for key in ("a\nb.mp4", "/two slashes.mp4", "./dot.mp4", "folder/", "good.mp4"):
        # By its own door: over HTTP this server does not take such names, S3 does.
        s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}/uploads/{key}", b"1")

    assert {entry.key for entry in Storage(s3_url).uploads()} == {"uploads/a\nb.mp4", "uploads/good.mp4"}


def test_folders_upload_changes_its_version_with_size_and_time(folder: Storage) -> None:
    folder.write("uploads/x", b"12345")
    assert folder.root
    path = folder.root / "uploads/x"
    versions = [folder.upload_entry("uploads/x")]
    os.utime(path, (1, 1))
    versions.append(folder.upload_entry("uploads/x"))
    path.write_bytes(b"123456")
    os.utime(path, (1, 1))
    versions.append(folder.upload_entry("uploads/x"))

    assert len({entry.version for entry in versions if entry}) == 3


def test_what_a_killed_writer_leaves_is_told_apart() -> None:
    assert is_staged("uploads/clip.mp4#1")
    assert is_staged("uploads/clip.mp4#23")
    assert not is_staged("uploads/clip #1.mp4")


def test_address_for_people_is_a_path_in_a_folder_and_a_location_in_a_bucket(folder: Storage, s3_url: str) -> None:
    assert folder.shown("final/a b.mp4") == str(folder.root) + "/final/a b.mp4"
    assert Storage(s3_url).shown("final/a.mp4") == f"{s3_url}/final/a.mp4"
