"""The same server over a bucket."""

import logging
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.interpolators import FADE
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually, grey_of


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="slowmo-local")
    yield "s3://slowmo-local/prefix"
    server.stop()


def test_chunk_and_result_travel_through_a_bucket(bucket: str, tmp_path: Path) -> None:
    storage = open_storage(bucket)
    with LocalServer(tmp_path / "state", storage) as server:
        answer = server.submit(FADE, name="0.tar")
        eventually(lambda: storage.stat("results/0.tar"))

    assert answer["OutputLocation"] == "s3://slowmo-local/prefix/results/0.tar"
    assert grey_of(storage.read("results/0.tar")) == FADE + 20
