"""What a storage in S3 has of its own: requests, what S3 may answer to them, and copies of what lies there."""

import os
import threading
import time
import types
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3
from moto.s3.models import s3_backends

from slowmo_pipeline.errors import DiskFullError, StorageError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.storage.patience import S3_REQUEST
from slowmo_pipeline_tests.support.buckets import MIB, OPERATIONS, every_operation, write_an_hour_ago
from slowmo_pipeline_tests.support.disks import small_disk
from slowmo_pipeline_tests.support.fault_proxy import (
    Asked,
    FaultProxy,
    Forward,
    Told,
    cut,
    drop,
    drop_answer,
    held_until,
    refuse_as_s3,
)


@pytest.fixture
def storage(proxy: FaultProxy, s3_url: str) -> Storage:
    """A bucket behind the proxy, with the object a/b."""
    storage = open_storage(s3_url)
    storage.write("a/b", b"1")
    proxy.asked.clear()
    return storage


@every_operation
@pytest.mark.parametrize("fault", [refuse_as_s3(503, "SlowDown"), refuse_as_s3(500, "InternalError"), drop])
def test_busy_bucket_is_asked_again(proxy: FaultProxy, storage: Storage, operation: Any, fault: Any) -> None:
    proxy.inject(fault)
    operation(storage)

    assert len(proxy.asked) == 2


@every_operation
def test_refused_credentials_are_told_at_once(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(400, "ExpiredToken"), times=99)
    with pytest.raises(StorageError) as error:
        operation(storage)

    assert len(proxy.asked) == 1 or proxy.asked[0].method == "HEAD", "whose answer cannot say why"
    assert str(error.value) == (
        f"AWS does not take the credentials for {storage.url} (ExpiredToken): sign in again (`aws sso login`, "
        "AWS_PROFILE or new AWS_* variables), then run again: nothing done is lost."
    )


@every_operation
def test_clock_that_is_off_is_told(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(403, "RequestTimeTooSkewed", "The difference is too large."), times=99)
    with pytest.raises(StorageError, match=r"clock is too far off .* \(RequestTimeTooSkewed: .*\): set the clock"):
        operation(storage)


@every_operation
def test_missing_permission_is_told_with_the_way_to_it(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(403, "AccessDenied"), times=99)
    with pytest.raises(StorageError, match=r"not let these credentials use s3:.* the pipeline's policy of deploy/"):
        operation(storage)


def test_missing_permission_for_one_object_is_told(proxy: FaultProxy, storage: Storage) -> None:
    """The listing that is asked for the reason is allowed."""
    proxy.inject(refuse_as_s3(403, "AccessDenied"))
    with pytest.raises(StorageError, match=r"not let these credentials use s3:"):
        storage.stat("a/b")


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "stat"])
def test_missing_bucket_is_no_missing_key(proxy: FaultProxy, storage: Storage, name: str) -> None:
    proxy.inject(refuse_as_s3(404, "NoSuchBucket"))
    with pytest.raises(StorageError, match="does not exist: make it, or set SLOWMO_STORAGE to another one"):
        OPERATIONS[name](storage)


@every_operation
def test_bucket_of_another_region_is_told(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    """Where nothing says which one it is."""
    proxy.inject(refuse_as_s3(400, "BadRequest"), times=99, meant=lambda asked: asked.path == "/slowmo")
    proxy.inject(refuse_as_s3(301, "PermanentRedirect"), times=99)
    with pytest.raises(StorageError, match="another region: set AWS_DEFAULT_REGION"):
        operation(storage)


def test_bucket_of_another_region_is_found_there(proxy: FaultProxy, storage: Storage) -> None:
    proxy.inject(
        lambda asked, forward: Told(301, {"x-amz-bucket-region": "eu-west-1"}, b"<Error><Code>x</Code></Error>")
    )

    assert storage.read("a/b") == b"1"
    assert "/eu-west-1/s3/aws4_request" in proxy.asked[-1].headers["authorization"]


@every_operation
def test_anything_else_is_not_blamed_on_what_it_is_not(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(400, "KMS.DisabledException", "The key is disabled."), times=99)
    with pytest.raises(StorageError) as error:
        operation(storage)

    told = str(error.value)
    assert told.startswith(f"{storage.url} refused a request: KMS.DisabledException: The key is disabled. Correct what")
    assert not [word for word in ("sign in", "credentials", "permission", "clock", "later") if word in told]


def test_objects_that_are_not_deleted_are_told(proxy: FaultProxy, storage: Storage) -> None:
    """S3 answers 200 and names them."""
    error = "<Error><Key>a/b</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    answer = Told(200, {"content-type": "application/xml"}, f"<DeleteResult>{error}</DeleteResult>".encode())
    proxy.inject(lambda asked, forward: answer)
    with pytest.raises(StorageError, match="not let these credentials use"):
        storage.delete(["a/b"])


@every_operation
@pytest.mark.parametrize("fault", [refuse_as_s3(503, "SlowDown"), drop], ids=["503", "drop"])
def test_bucket_that_stays_busy_is_told(
    proxy: FaultProxy, storage: Storage, monkeypatch: pytest.MonkeyPatch, operation: Any, fault: Any
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    proxy.inject(fault, times=999)
    with pytest.raises(
        StorageError, match=r"(is busy or broken|cannot be reached): run again later, nothing done is lost"
    ):
        operation(storage)

    assert [asked.method for asked in proxy.asked].count(proxy.asked[0].method) == 8


def test_write_whose_answer_was_lost_is_repeated(proxy: FaultProxy, storage: Storage) -> None:
    proxy.inject(drop_answer)
    storage.write("a/c", b"2")

    assert [asked.method for asked in proxy.forwarded[-2:]] == ["PUT", "PUT"]
    assert storage.read("a/c") == b"2"


def test_object_that_two_create_at_once_is_looked_at_again(
    proxy: FaultProxy, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slowmo_pipeline.storage.s3.time", types.SimpleNamespace(sleep=lambda seconds: None))
    proxy.inject(refuse_as_s3(409, "ConditionalRequestConflict"), times=2)
    assert storage.create("a/new", b"1")

    proxy.inject(refuse_as_s3(409, "ConditionalRequestConflict"), times=99)
    with pytest.raises(StorageError, match="is busy or broken"):
        storage.create("a/other", b"1")


def test_store_without_conditional_writes_is_not_called_busy(proxy: FaultProxy, storage: Storage) -> None:
    proxy.inject(refuse_as_s3(501, "NotImplemented", "A header you provided implies functionality"), times=99)
    with pytest.raises(StorageError, match="refused a request: NotImplemented: A header you provided"):
        storage.create("a/new", b"1")


@pytest.mark.parametrize("name", ["read", "stat"])
def test_answer_of_something_else_is_told(proxy: FaultProxy, storage: Storage, name: str) -> None:
    """A portal's page, with 200."""
    proxy.inject(lambda asked, forward: Told(200, {"content-type": "text/html"}, b"<html>Sign in</html>"), times=99)
    with pytest.raises(StorageError, match="is not what was expected there: its answer has no"):
        OPERATIONS[name](storage)


def test_error_below_botocore_is_told(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(body: object, amt: int) -> None:
        raise urllib3.exceptions.SSLError("decryption failed")

    monkeypatch.setattr("slowmo_pipeline.storage.s3.time", types.SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr("botocore.response.StreamingBody.read", broken)
    with pytest.raises(StorageError, match="cannot be reached: run again later"):
        storage.read("a/b")


def test_large_object_comes_down_in_one_request(proxy: FaultProxy, storage: Storage, tmp_path: Path) -> None:
    storage.write("a/c", bytes(20 * MIB))
    proxy.asked.clear()
    storage.download("a/c", tmp_path / "copy")

    assert [(asked.method, asked.headers.get("range")) for asked in proxy.asked] == [("GET", None)]
    assert (tmp_path / "copy").stat().st_size == 20 * MIB


@pytest.mark.parametrize("whole", [True, False], ids=["read", "download"])
def test_body_that_was_cut_short_goes_on_where_it_broke(
    proxy: FaultProxy, storage: Storage, tmp_path: Path, whole: bool
) -> None:
    content = os.urandom(4 * MIB)
    storage.write("a/c", content)
    proxy.asked.clear()
    proxy.inject(cut, times=2)
    if whole:
        assert storage.read("a/c") == content
    else:
        storage.download("a/c", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content

    ranges = [asked.headers.get("range") for asked in proxy.asked]
    assert ranges == [None, f"bytes={2 * MIB}-", f"bytes={3 * MIB}-"]


def test_object_that_changes_while_it_is_read_is_told(proxy: FaultProxy, storage: Storage, tmp_path: Path) -> None:
    storage.write("a/c", os.urandom(2 * MIB))

    def cut_and_changed(asked: Asked, forward: Forward) -> Told:
        told = cut(asked, forward)
        storage.write("a/c", os.urandom(2 * MIB))
        return told

    proxy.inject(cut_and_changed)
    with pytest.raises(StorageError, match="a/c changed while it was read: run again"):
        storage.download("a/c", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_line_that_breaks_for_ever_is_given_up(
    proxy: FaultProxy, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slowmo_pipeline.storage.s3.time", types.SimpleNamespace(sleep=lambda seconds: None))
    storage.write("a/c", bytes(MIB))
    proxy.inject(lambda asked, forward: replace(forward(asked), sent=0), times=99)
    with pytest.raises(StorageError, match="cannot be reached: run again later"):
        storage.download("a/c", tmp_path / "copy")


@pytest.mark.parametrize("operation", ["read", "write", "list"])
def test_line_that_stands_still_is_given_up(
    proxy: FaultProxy, storage: Storage, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setitem(S3_REQUEST, "read_timeout", 0.5)
    given_up = threading.Event()
    proxy.inject(held_until(given_up))
    OPERATIONS[operation](open_storage(storage.url))
    given_up.set()

    assert len(proxy.asked) > 1, "and asked again"


def test_large_file_goes_up_in_parts(proxy: FaultProxy, storage: Storage, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(70 * MIB)
    storage.upload(tmp_path / "large", "uploads/large")

    assert len([asked for asked in proxy.asked if asked.method == "PUT"]) == 3
    assert storage.stat("uploads/large") is not None


def test_file_that_disappears_is_not_blamed_on_the_bucket(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path}/gone cannot be read: No such file or directory"):
        storage.upload(tmp_path / "gone", "uploads/gone")


def test_many_are_deleted_with_one_request(proxy: FaultProxy, storage: Storage) -> None:
    for number in range(5):
        storage.write(f"a/{number}", b"")
    proxy.asked.clear()
    storage.delete([f"a/{number}" for number in range(7)])

    assert len(proxy.asked) == 1
    assert [entry.key for entry in storage.list("a/")] == ["a/b"]


def test_nothing_to_delete_costs_no_request(proxy: FaultProxy, storage: Storage) -> None:
    storage.delete([])

    assert proxy.asked == []


@pytest.mark.parametrize("size", [1, 40 * MIB], ids=["whole", "in parts"])
def test_objects_are_encrypted_as_the_environment_says(
    proxy: FaultProxy, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", key)
    (tmp_path / "file").write_bytes(bytes(size))
    open_storage(storage.url).upload(tmp_path / "file", "a/c")
    first = proxy.asked[0].headers

    assert first["x-amz-server-side-encryption"] == "aws:kms"
    assert first["x-amz-server-side-encryption-aws-kms-key-id"] == key


def test_address_for_people_is_the_buckets(s3_url: str) -> None:
    assert open_storage(s3_url).display_path("final/a.mp4") == f"{s3_url}/final/a.mp4"


def test_bucket_without_a_prefix(s3_url: str) -> None:
    root = open_storage("s3://slowmo")
    storage = open_storage(s3_url)
    storage.write("uploads/x", b"1")
    inner = storage.url.removeprefix("s3://slowmo/")

    assert root.read(f"{inner}/uploads/x") == b"1"
    assert root.key_of(storage.uri("uploads/x")) == f"{inner}/uploads/x"


def test_odd_keys_do_not_stop_a_buckets_uploads(s3_url: str) -> None:
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    for key in ("a\nb.mp4", "/two slashes.mp4", "./dot.mp4", "clip.mp4#1", "\x01.mp4", "folder/", "good.mp4"):
        # By its own door: over HTTP this server does not take such names, S3 does.
        content = b"" if key == "folder/" else b"1"
        s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}/uploads/{key}", content)
    found = open_storage(s3_url).uploads()

    assert {entry.key.removeprefix("uploads/") for entry in found.entries} == {
        *("a\nb.mp4", "/two slashes.mp4", "clip.mp4#1", "\x01.mp4", "good.mp4")
    }
    assert found.unusable == {"uploads/./dot.mp4": "a name that no address can hold"}


def test_the_same_content_again_has_changed_later_and_is_of_the_same_version(storage: Storage) -> None:
    write_an_hour_ago(storage, "uploads/clip.mp4", b"1")
    before = storage.stat("uploads/clip.mp4")
    storage.write("uploads/clip.mp4", b"1")
    after = storage.stat("uploads/clip.mp4")

    assert before
    assert after
    assert 3599 <= (after.changed - before.changed) / 10**9 <= 3700
    assert after.version == before.version


def test_key_with_two_slashes_is_an_object_like_any_other(storage: Storage) -> None:
    storage.write("uploads//clip.mp4", b"1")
    [upload] = storage.uploads().entries

    with storage.local_upload(upload) as path:
        assert path.read_bytes() == b"1"


# Copies of what lies in the bucket.


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def copies(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "scratch").glob("*/*") if path.name != ".lock")


def test_upload_comes_down_once_until_the_storage_is_closed(home: Path, proxy: FaultProxy, s3_url: str) -> None:
    storage = open_storage(s3_url)
    storage.write("uploads/clip.mp4", b"1")
    upload = storage.stat("uploads/clip.mp4")
    assert upload
    proxy.asked.clear()
    for _ in range(3):
        with storage.local_upload(upload):
            assert copies(home) == ["clip.mp4"]
    storage.close()

    assert [asked.method for asked in proxy.asked] == ["GET"]
    assert copies(home) == []


def test_upload_comes_down_once_for_many_threads(home: Path, proxy: FaultProxy, s3_url: str) -> None:
    storage = open_storage(s3_url)
    storage.write("uploads/clip.mp4", b"1")
    upload = storage.stat("uploads/clip.mp4")
    assert upload
    proxy.asked.clear()
    threads = [threading.Thread(target=lambda: storage.local_upload(upload).__enter__()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [asked.method for asked in proxy.asked] == ["GET"]


def test_upload_that_was_replaced_meanwhile_is_not_taken_for_it(home: Path, s3_url: str) -> None:
    storage = open_storage(s3_url)
    storage.write("uploads/clip.mp4", b"1")
    upload = storage.stat("uploads/clip.mp4")
    assert upload
    storage.write("uploads/clip.mp4", b"another")
    with pytest.raises(StorageError, match="changed while it was read: run again"):
        storage.local_upload(upload).__enter__()
    assert copies(home) == []


def test_other_copies_go_with_their_use(home: Path, storage: Storage) -> None:
    with open_storage(storage.url).local_file("a/b") as path:
        assert path.is_relative_to(home)
        assert path.parent.stat().st_mode & 0o077 == 0, "it is nobody else's business"

    assert copies(home) == []


def test_two_storages_with_one_clip_keep_apart(home: Path, s3_url: str) -> None:
    with ExitStack() as stack:
        paths = []
        for number, storage in enumerate((open_storage(f"{s3_url}/a"), open_storage(f"{s3_url}/b"))):
            storage.write("uploads/clip.mp4", b"%d" % number)
            upload = storage.stat("uploads/clip.mp4")
            assert upload
            paths.append(stack.enter_context(storage.local_upload(upload)))

        assert [path.read_bytes() for path in paths] == [b"0", b"1"]


def test_copy_for_which_there_is_no_room_is_not_begun(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write("uploads/clip.mp4", bytes(3 * MIB))
    with small_disk(megabytes=2) as disk:
        monkeypatch.setenv("SLOWMO_HOME", str(disk))
        copy = open_storage(storage.url).local_file("uploads/clip.mp4")
        with pytest.raises(DiskFullError, match=r"2\.1 MB free, 3\.1 MB are needed\. .* or set SLOWMO_HOME"):
            copy.__enter__()
        assert copies(disk) == []
