"""What every test module may use: the two kinds of storage, and rules that no test may slip past."""

import gc
import logging
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import hypothesis
import pytest
from moto.server import ThreadedMotoServer

from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support import once
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy, fault_proxy
from slowmo_pipeline_tests.support.forked_probes import forking

# A shared machine makes any test slow at times: how long an example takes says nothing.
hypothesis.settings.register_profile("slowmo", deadline=None)
hypothesis.settings.load_profile("slowmo")


once.remember()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server that speaks S3 and holds the bucket `slowmo`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="slowmo")
    yield address
    server.stop()


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the test's own in a bucket, and the environment to reach it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps what the environment was
    return f"s3://slowmo/{uuid.uuid4()}"


@pytest.fixture
def proxy(s3_server: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy in front of the S3 of `s3_url`, which sees and may break what this process asks for from now on."""
    with fault_proxy(s3_server) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", started.url)
        yield started


@pytest.fixture
def bare_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which no variable and no file tells of AWS: what a user has, not what the other tests set."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower() == "https_proxy"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    # Not the pauses between attempts: nobody answers.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    return monkeypatch


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    """A storage in a folder whose path needs quoting in a URL."""
    return open_storage(str(tmp_path / "a storage, 100% ü#1"))


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """A storage of each kind."""
    return (
        request.getfixturevalue("folder")
        if request.param == "folder"
        else open_storage(request.getfixturevalue("s3_url"))
    )


@pytest.fixture(autouse=True)
def _forked_probes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are looked at by forked processes, unless a test is marked `starts_python`."""
    if not request.node.get_closest_marker("starts_python"):
        monkeypatch.setattr("slowmo_pipeline.video.probing.running", forking)


@pytest.fixture(autouse=True)
def _no_error_in_the_log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test during which the package logged an error, unless it is marked `logs_errors`."""
    yield
    if request.node.get_closest_marker("logs_errors"):
        return
    records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    errors = [
        record.getMessage()
        for record in records
        if record.levelno >= logging.ERROR and record.name.partition(".")[0] == "slowmo_pipeline"
    ]
    assert not errors


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs_errors: the test makes the package log an error")
    config.addinivalue_line("markers", "starts_python: the test looks at uploads by a Python that is started anew")
    # Whoever runs the tests may have an account, a home of slowmo and a proxy: none of them is the tests'.
    for name in [name for name in os.environ if name.startswith(("AWS_", "DAGSTER_", "SLOWMO_"))]:
        del os.environ[name]
    os.environ.update({"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull})
    os.environ.pop("NO_PROXY", None)
    # Processes that tests start, in whatever folder, import their interpolators.
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    os.environ["no_proxy"] = "127.0.0.1,localhost"
    # Shells start background jobs with SIGINT ignored. Dagster gives SIGTERM whatever handler SIGINT has, so that its
    # children would ignore being ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage in a million objects of modules, and seldom in those of a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything is installed: a skipped test is one that nobody runs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
