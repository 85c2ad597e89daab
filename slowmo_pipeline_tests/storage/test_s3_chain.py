"""boto3's chain as a bucket meets it: who signs, where to, and with which checksums."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.buckets import MIB
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy, cut

SERVICES = "[default]\nservices = own\n[services own]\ns3 =\n  endpoint_url = https://objects.example.net:8443\n"


@contextmanager
def connections() -> Iterator[tuple[str, list[str]]]:
    """A proxy that lets nothing through and notes where connections shall go: its address, and the list."""
    noted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:  # the name that http.server asks for
            noted.append(self.path)
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", noted
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("bare_aws")
@pytest.mark.parametrize(
    ("settings", "connected_to"),
    [
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "my-bucket.s3.amazonaws.com:443"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "my-bucket.s3.eu-central-1.amazonaws.com:443"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "my-bucket.s3.cn-north-1.amazonaws.com.cn:443"),
        (
            {"AWS_DEFAULT_REGION": "us-west-2", "AWS_USE_FIPS_ENDPOINT": "true"},
            "my-bucket.s3-fips.us-west-2.amazonaws.com:443",
        ),
        (
            {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "my-bucket.s3.dualstack.eu-west-1.amazonaws.com:443",
        ),
        ({"AWS_DEFAULT_REGION": "us-east-1", "config": SERVICES}, "objects.example.net:8443"),
        ({"config": "[default]\nregion = ap-south-1\n"}, "my-bucket.s3.ap-south-1.amazonaws.com:443"),
        ({}, "my-bucket.s3.amazonaws.com:443"),
    ],
    ids=[
        "us-east-1",
        "eu-central-1",
        "china",
        "fips",
        "dual-stack",
        "config file",
        "region of the config file",
        "bare",
    ],
)
def test_bucket_is_reached_where_boto3_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], connected_to: str
) -> None:
    (tmp_path / "config").write_text(settings.get("config", ""))
    variables = {name: value for name, value in settings.items() if name != "config"}
    for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **variables}.items():
        monkeypatch.setenv(name, value)
    with connections() as (address, noted):
        monkeypatch.setenv("HTTPS_PROXY", address)
        with pytest.raises(StorageError, match="s3://my-bucket/slowmo cannot be reached: run again later"):
            open_storage("s3://my-bucket/slowmo").read("settings.json")

    assert set(noted) == {connected_to}


@pytest.mark.usefixtures("bare_aws")
def test_bucket_without_credentials_is_refused() -> None:
    with pytest.raises(
        StorageError,
        match=r"no AWS credentials for s3://bucket/prefix \(Unable to locate credentials\): set AWS_PROFILE",
    ):
        open_storage("s3://bucket/prefix").read("a/b")


@pytest.mark.usefixtures("bare_aws")
@pytest.mark.parametrize(
    ("config", "advice"),
    [
        ("[default]\ns3 =\n  addressing_style = none\n", "cannot be asked with these AWS settings: .*style none"),
        (
            "[profile other]\n",
            r"credentials for s3://bucket/prefix \(The config profile \(missing\) could not .*\): set AWS_PROFILE",
        ),
        ("[default\n", "cannot be asked with these AWS settings: Unable to parse config file"),
    ],
    ids=["value", "profile", "syntax"],
)
def test_settings_that_cannot_be_used_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, advice: str
) -> None:
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    if "profile" in config:
        monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(StorageError, match=advice):
        open_storage("s3://bucket/prefix").read("a/b")


@pytest.mark.usefixtures("bare_aws")
@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT_URL": "minio:9000"},
        {"AWS_ENDPOINT_URL_S3": "http://[::1"},
        {"AWS_ACCESS_KEY_ID": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "/missing", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"},
        {"AWS_ACCESS_KEY_ID": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.net/x"},
        {"AWS_ACCESS_KEY_ID": "", "config": "[default]\ncredential_process = /missing/program\n"},
        {"AWS_ACCESS_KEY_ID": "", "config": "[default]\ncredential_process = echo no-json\n"},
        {"config": "[default]\ns3 = nonsense\n"},
        {"AWS_SESSION_TOKEN": "secret\ntoken"},
    ],
    ids=["address", "brackets", "web identity", "container", "program", "no JSON", "section", "newline in a token"],
)
def test_settings_that_botocore_chokes_on_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (tmp_path / "config").write_text(variables.get("config", ""))
    given = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **variables}
    for name, value in given.items():
        if name != "config" and given["AWS_ACCESS_KEY_ID"] + value:
            monkeypatch.setenv(name, value)
    if not given["AWS_ACCESS_KEY_ID"]:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match="s3://bucket/prefix") as error:
        open_storage("s3://bucket/prefix").read("a/b")

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("bucket", ["My_Bucket!", "a"])
def test_name_that_no_bucket_can_have_is_not_blamed_on_credentials(s3_url: str, bucket: str) -> None:
    with pytest.raises(StorageError) as error:
        open_storage(f"s3://{bucket}/prefix").read("a/b")

    assert "credentials" not in str(error.value)


def test_address_for_s3_alone_wins(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    storage = open_storage(s3_url)
    storage.write("uploads/x", b"1")

    assert [entry.key for entry in storage.uploads().entries] == ["uploads/x"]


def test_general_address_serves_too(s3_url: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    storage = open_storage(s3_url)
    storage.write("uploads/x", b"1")

    assert [entry.key for entry in storage.uploads().entries] == ["uploads/x"]


def test_checksums_can_be_switched_off(
    proxy: FaultProxy, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores that speak S3's protocol of before 2025 refuse them."""
    (tmp_path / "large").write_bytes(bytes(40 * MIB))

    def puts_with_checksum() -> list[bool]:
        proxy.asked.clear()
        storage = open_storage(s3_url)
        storage.write("a/b", b"1")
        storage.upload(tmp_path / "large", "a/c")
        puts = [asked.headers for asked in proxy.asked if asked.method == "PUT"]
        return ["crc" in f"{headers.get('x-amz-trailer', '')} {' '.join(headers)}" for headers in puts]

    assert puts_with_checksum() == [True] * 3
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert puts_with_checksum() == [False] * 3


# Credentials that end.


def keys_used(proxy: FaultProxy) -> list[str]:
    return [asked.headers["authorization"].partition("Credential=")[2].partition("/")[0] for asked in proxy.asked]


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
    return issue


def test_ending_credentials_are_renewed(proxy: FaultProxy, s3_url: str, issuer: Callable[[timedelta], None]) -> None:
    issuer(timedelta(minutes=5))  # less than the ten minutes at which botocore renews
    storage = open_storage(s3_url)
    for _ in range(3):
        storage.write("a/b", b"1")

    assert len(set(keys_used(proxy))) == 3


def test_lasting_credentials_are_not_renewed(
    proxy: FaultProxy, s3_url: str, issuer: Callable[[timedelta], None]
) -> None:
    issuer(timedelta(hours=1))
    storage = open_storage(s3_url)
    for _ in range(3):
        storage.write("a/b", b"1")

    assert keys_used(proxy) == ["KEY1"] * 3


def test_credentials_are_renewed_in_the_middle_of_a_transfer(
    proxy: FaultProxy, s3_url: str, tmp_path: Path, issuer: Callable[[timedelta], None]
) -> None:
    (tmp_path / "large").write_bytes(bytes(70 * MIB))
    issuer(timedelta(minutes=5))
    storage = open_storage(s3_url)
    storage.upload(tmp_path / "large", "a/b")
    assert len(set(keys_used(proxy))) > 2

    proxy.asked.clear()
    proxy.inject(cut)
    storage.download("a/b", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == bytes(70 * MIB)
    assert len(set(keys_used(proxy))) == 2


def test_credentials_that_cannot_be_renewed_are_told(
    proxy: FaultProxy, s3_url: str, issuer: Callable[[timedelta], None]
) -> None:
    issuer(timedelta(minutes=5))  # so few that botocore renews them before each request
    storage = open_storage(s3_url)
    storage.write("a/b", b"1")
    issuer(timedelta(minutes=-1))
    for use in (lambda: storage.read("a/b"), lambda: open_storage(s3_url).read("a/b"), lambda: storage.uploads()):
        with pytest.raises(StorageError, match=r"not take the credentials .*session ended.*: sign in again"):
            use()


def test_role_of_a_web_identity_signs(
    proxy: FaultProxy, s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pods of EKS have it."""
    (tmp_path / "token").write_text("token")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3_server)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/slowmo")
    open_storage(s3_url).write("a/b", b"1")

    [asked] = proxy.asked
    assert asked.headers["x-amz-security-token"]
