"""S3 when it is busy, refuses, or cuts answers short; and credentials that end."""

import json
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline import bucket
from slowmo_pipeline.bucket import part_bytes
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage import Storage
from slowmo_pipeline_tests.fault_proxy import Asked, FaultProxy, cut, drop, drop_answer, fault_proxy, late, refuse_as_s3

MIB = 1 << 20

UNASKED_SECONDS = 0.15
"""obstore asks for credentials no more often."""

OPERATIONS: dict[str, Callable[[Storage], Any]] = {
    "read": lambda storage: storage.read("a/b"),
    "write": lambda storage: storage.write("a/c", b"2"),
    "create": lambda storage: storage.create("a/d", b"3"),
    "list": lambda storage: list(storage.list("a/")),
    "folders": lambda storage: storage.folders("a/"),
    "uploads": lambda storage: list(storage.uploads()),
    "stat": lambda storage: storage.stat("a/b"),
    "delete": lambda storage: storage.delete(["a/b"]),
}
BODILESS = {name: operation for name, operation in OPERATIONS.items() if name != "stat"}
"""Without the operation whose answer cannot say why it was refused."""


@pytest.fixture
def proxy(s3_server: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with fault_proxy(s3_server) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", started.url)
        yield started


@pytest.fixture
def storage(proxy: FaultProxy, s3_url: str) -> Storage:
    """A bucket behind the proxy, with the object a/b."""
    storage = Storage(s3_url)
    storage.write("a/b", b"1")
    proxy.asked.clear()
    return storage


def keys_used(proxy: FaultProxy) -> list[str]:
    return [asked.headers["authorization"].partition("Credential=")[2].partition("/")[0] for asked in proxy.asked]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("fault", [refuse_as_s3(503, "SlowDown"), refuse_as_s3(500, "InternalError"), drop])
def test_busy_bucket_is_asked_again(proxy: FaultProxy, storage: Storage, operation: Any, fault: Any) -> None:
    proxy.inject(fault)
    operation(storage)

    assert len(proxy.asked) == 2


@pytest.mark.parametrize("operation", BODILESS.values(), ids=BODILESS)
def test_refused_credentials_are_told_at_once(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(400, "ExpiredToken"))
    with pytest.raises(StorageError) as error:
        operation(storage)

    assert len(proxy.asked) == 1
    assert str(error.value) == (
        f"AWS does not take the credentials for {storage.url} (ExpiredToken): sign in again (`aws sso login`, "
        "AWS_PROFILE or new AWS_* variables), then run again: nothing done is lost."
    )


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_missing_permission_is_told_with_the_way_to_it(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(403, "AccessDenied"))
    with pytest.raises(StorageError, match=r"not let these credentials use s3:.* the pipeline's policy of deploy/"):
        operation(storage)


@pytest.mark.parametrize("operation", BODILESS.values(), ids=BODILESS)
def test_missing_bucket_is_no_missing_key(proxy: FaultProxy, storage: Storage, operation: Any) -> None:
    proxy.inject(refuse_as_s3(404, "NoSuchBucket"))
    with pytest.raises(StorageError, match="does not exist: make it, or set SLOWMO_STORAGE to another one"):
        operation(storage)


def test_bucket_of_another_region_is_told(proxy: FaultProxy, storage: Storage) -> None:
    proxy.inject(refuse_as_s3(301, "PermanentRedirect"))
    with pytest.raises(StorageError, match="another region: set AWS_DEFAULT_REGION"):
        storage.read("a/b")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("fault", [refuse_as_s3(503, "SlowDown"), drop], ids=["503", "drop"])
def test_bucket_that_stays_busy_is_told(
    proxy: FaultProxy, storage: Storage, monkeypatch: pytest.MonkeyPatch, operation: Any, fault: Any
) -> None:
    monkeypatch.setitem(bucket._RETRIES, "max_retries", 1)
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    proxy.inject(fault, times=99)
    with pytest.raises(StorageError, match=r"cannot be used now; run again later, nothing done is lost\. S3 says: "):
        operation(Storage(storage.url))


def test_write_whose_answer_was_lost_is_repeated(proxy: FaultProxy, storage: Storage) -> None:
    proxy.inject(drop_answer)
    storage.write("a/c", b"2")

    assert [asked.method for asked in proxy.forwarded[-2:]] == ["PUT", "PUT"]
    assert storage.read("a/c") == b"2"


def test_body_that_was_cut_short_is_completed(proxy: FaultProxy, storage: Storage, tmp_path: Path) -> None:
    content = os.urandom(3 * MIB)
    storage.write("a/c", content)
    proxy.inject(cut, times=2)

    assert storage.read("a/c") == content
    proxy.inject(cut)
    storage.fetch("a/c", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("operation", ["read", "write", "list"])
def test_line_that_stands_still_is_given_up(
    proxy: FaultProxy, storage: Storage, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setitem(bucket._CLIENT, "read_timeout", timedelta(seconds=0.5))
    proxy.inject(late(5))
    began = time.monotonic()
    OPERATIONS[operation](Storage(storage.url))

    assert time.monotonic() - began < 4


def test_only_one_of_two_writers_creates(storage: Storage) -> None:
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


def test_large_file_goes_up_in_parts(proxy: FaultProxy, storage: Storage, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(20 * MIB)
    storage.upload(tmp_path / "large", "uploads/large")
    sizes = sorted(len(asked.body) for asked in proxy.asked if asked.method == "PUT")

    assert sizes == [4 * MIB, 8 * MIB, 8 * MIB]


@pytest.mark.parametrize("size", [0, 1, 100 * MIB, 80_000 * MIB, 80_000 * MIB + 1, 5 * MIB * MIB])
def test_parts_keep_to_what_s3_takes(size: int) -> None:
    assert 5 * MIB <= part_bytes(size) <= 5 * 1024 * MIB
    assert -(-size // part_bytes(size)) <= 10_000


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


@pytest.mark.parametrize("size", [1, 20 * MIB], ids=["whole", "in parts"])
def test_objects_are_encrypted_as_the_environment_says(
    proxy: FaultProxy, storage: Storage, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", "arn:aws:kms:us-east-1:123456789012:key/1")
    Storage(storage.url).write("a/c", bytes(size))
    first: Asked = proxy.asked[0]

    assert first.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert first.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:us-east-1:123456789012:key/1"


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Credentials by a program, as SSO tools and role switchers give them: KEY1, KEY2, … each good for a while.

    Called with how long; a negative time makes the program fail.
    """
    program, config = tmp_path / "issue.py", tmp_path / "config"

    def issue(good_for: timedelta) -> None:
        program.write_text(
            "import json, pathlib, sys\n"
            f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
            "number = int(count.read_text()) + 1 if count.exists() else 1\n"
            "count.write_text(str(number))\n"
            f"sys.exit('session ended') if {good_for < timedelta(0)} else None\n"
            f"end = {(datetime.now(timezone.utc) + good_for).isoformat()!r}\n"
            "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 'secret',"
            " 'SessionToken': 'token', 'Expiration': end}))\n"
        )

    config.write_text(f"[default]\ncredential_process = {json.dumps(sys.executable)} {program}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    # Ask botocore before each request, as it is asked once a minute.
    monkeypatch.setattr(bucket, "_TRUSTED", timedelta(0))
    return issue


def test_ending_credentials_are_renewed(proxy: FaultProxy, s3_url: str, issuer: Callable[[timedelta], None]) -> None:
    issuer(timedelta(minutes=5))  # less than the ten minutes at which botocore renews
    storage = Storage(s3_url)
    for _ in range(3):
        storage.write("a/b", b"1")
        time.sleep(UNASKED_SECONDS)

    assert len(set(keys_used(proxy))) == 3


def test_lasting_credentials_are_not_renewed(
    proxy: FaultProxy, s3_url: str, issuer: Callable[[timedelta], None]
) -> None:
    issuer(timedelta(hours=1))
    storage = Storage(s3_url)
    for _ in range(3):
        storage.write("a/b", b"1")
        time.sleep(UNASKED_SECONDS)

    assert keys_used(proxy) == ["KEY1"] * 3


def test_credentials_that_cannot_be_renewed_are_told(
    proxy: FaultProxy, s3_url: str, issuer: Callable[[timedelta], None]
) -> None:
    issuer(timedelta(minutes=5))
    storage = Storage(s3_url)
    storage.write("a/b", b"1")
    issuer(timedelta(minutes=-1))
    time.sleep(UNASKED_SECONDS)
    for use in (lambda: storage.read("a/b"), lambda: Storage(s3_url), lambda: list(storage.uploads())):
        with pytest.raises(StorageError, match=r"not take the credentials .*session ended.*: sign in again"):
            use()
