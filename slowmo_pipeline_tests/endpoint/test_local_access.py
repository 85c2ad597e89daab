"""Who may use the local server: real processes, asked by plain boto3 and by what a web page can send."""

import http.client
import os
import platform
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from slowmo_pipeline.endpoint import record as endpoint_record
from slowmo_pipeline.endpoint.client import AsyncEndpoint
from slowmo_pipeline.endpoint.local_client import Held, held_at, held_by, ping
from slowmo_pipeline.endpoint.request_token import make_token, read_token, write_token
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.interpolators import FADE
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually, grey_chunk

KEY = "results/precious.tar"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    yield from started(tmp_path_factory.mktemp("closed"))


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    yield from started(tmp_path_factory.mktemp("open"), "--open")


def started(folder: Path, *options: str) -> Iterator[LocalServer]:
    with LocalServer(folder / "state", open_storage(str(folder / "storage")), *options) as server:
        server.storage.write(KEY, b"precious")
        server.storage.write("chunk.tar", grey_chunk(FADE))
        yield server


def overwrite(server: LocalServer, token: str | None = None) -> None:
    """Have the server write where something lies, as any program of any user could ask it to."""
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=server.url,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    if token is not None:
        client.meta.events.register(
            "before-call.sagemaker-runtime", lambda params, **_: params["headers"].update({"x-slowmo-token": token})
        )
    folder, _, name = KEY.partition("/")
    client.invoke_endpoint_async(
        EndpointName="scripted",
        InputLocation=server.storage.uri("chunk.tar"),
        S3OutputPathExtension=folder,
        Filename=name,
    )


def posted(server: LocalServer, headers: dict[str, str]) -> int:
    """Post such a request as a web page would, and return the status."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    sagemaker = {"inputlocation": server.storage.uri("chunk.tar"), "s3outputpathextension": "results"}
    asked = {f"x-amzn-sagemaker-{name}": value for name, value in (sagemaker | {"filename": "precious.tar"}).items()}
    connection.request("POST", "/endpoints/scripted/async-invocations", headers=asked | headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ü" * 64])
def test_nothing_is_written_without_the_token(server: LocalServer, token: str | None) -> None:
    with pytest.raises(ClientError, match="slowmo endpoint serve --open") as caught:
        overwrite(server, token)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert held_at(server.url, "", state=server.state) == Held(ping_of(server)["server"], {})
    assert server.storage.read(KEY) == b"precious"


def ping_of(server: LocalServer) -> dict[str, str]:
    answer = ping(server.url)
    assert answer
    return answer


def test_no_key_is_told_without_the_token(server: LocalServer) -> None:
    assert held_at(server.url, "", state=None) is None


def test_our_own_client_finds_the_token(server: LocalServer) -> None:
    endpoint = AsyncEndpoint("scripted", server.storage, url=server.url, state=server.state)
    endpoint.submit(input_key="chunk.tar", result_key="results/own.tar", inference_id="1", attempt=1)
    eventually(lambda: server.storage.stat("results/own.tar"))


def test_our_own_client_tells_where_the_token_lies(server: LocalServer) -> None:
    endpoint = AsyncEndpoint("scripted", server.storage, url=server.url)
    with pytest.raises(EndpointError, match=f"token, which lies in {server.state}"):
        endpoint.submit(input_key="chunk.tar", result_key="results/own.tar", inference_id="1", attempt=1)


def test_of_a_server_that_does_not_tell_its_requests_may_be_held(server: LocalServer) -> None:
    """Another user's, for example: what was sent to it must not be sent again."""
    there = endpoint_record.LocalServer(id=ping_of(server)["server"], url=server.url, host=platform.node())
    assert held_by(there, Held("another", {}), "") is None


def test_a_token_that_was_deleted_comes_back(server: LocalServer) -> None:
    before = read_token(server.state)
    (server.state / "request-token").unlink()
    assert eventually(lambda: read_token(server.state)) == before


def test_an_open_server_takes_what_plain_boto3_sends(open_server: LocalServer) -> None:
    overwrite(open_server)
    eventually(lambda: open_server.storage.read(KEY) != b"precious")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Host": "rebound.example"},
    ],
    ids=str,
)
def test_no_web_page_drives_even_an_open_server(open_server: LocalServer, headers: dict[str, str]) -> None:
    assert posted(open_server, headers) in (400, 403)
    assert posted(open_server, {}) == 202


def test_the_token_is_for_its_user_alone_by_any_umask(tmp_path: Path) -> None:
    (tmp_path / "request-token.tmp").touch(0o666)
    before = os.umask(0)
    try:
        write_token(tmp_path, make_token())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "request-token").stat().st_mode) == 0o600


def test_servers_have_tokens_of_their_own(server: LocalServer, open_server: LocalServer) -> None:
    assert read_token(server.state) != read_token(open_server.state)


@pytest.mark.parametrize("content", [b"", b"hf_secret", b"\xff" * 64, b"0" * 63])
def test_a_file_that_holds_no_token_is_not_sent(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "request-token").write_bytes(content)
    assert read_token(tmp_path) is None
