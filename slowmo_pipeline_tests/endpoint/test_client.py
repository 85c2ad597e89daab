"""Submitting over real HTTP, to a server of the test's own that answers as the test says."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slowmo_pipeline.endpoint.client import (
    DEADLINE_SLACK_SECONDS,
    QUEUE_SECONDS,
    AsyncEndpoint,
    ChunkFailure,
    Receipt,
    read_failure,
)
from slowmo_pipeline.endpoint.record import EndpointRecord, served
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import endpoint_key
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.interpolators import FADE
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually, grey_chunk, grey_of
from slowmo_pipeline_tests.support.stored import write_json

INPUT, RESULT = "videos/clip-1/0123/chunks/00007.tar", "videos/clip-1/0123/flow-1/results/00007.tar"


@dataclass
class Answers:
    """A server on loopback: what it answers, and what it was asked."""

    url: str = ""
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"InferenceId": "0123-7-2"}'
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answers.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(answers.status)
            for name, value in answers.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    answers.url = f"http://127.0.0.1:{http.server_port}"
    yield answers
    http.shutdown()
    http.server_close()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its attempts botocore sleeps for seconds."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)


def accepted(storage: Storage) -> dict[str, str]:
    return {
        "X-Amzn-SageMaker-OutputLocation": storage.uri(RESULT),
        "X-Amzn-SageMaker-FailureLocation": storage.uri("failures/7-error.out"),
    }


def submit(storage: Storage, url: str | None, *, name: str = "flow", timeout_seconds: int = 900) -> Receipt:
    endpoint = AsyncEndpoint(name, storage, url=url, timeout_seconds=timeout_seconds)
    return endpoint.submit(input_key=INPUT, result_key=RESULT, inference_id="0123-7-2", attempt=2)


def test_receipt_holds_what_was_answered(storage: Storage, server: Answers) -> None:
    server.headers = accepted(storage)
    before = time.time()
    receipt = submit(storage, server.url, timeout_seconds=100)

    assert receipt == Receipt(
        inference_id="0123-7-2",
        failure_location=storage.uri("failures/7-error.out"),
        submitted_at=receipt.submitted_at,
        deadline=receipt.submitted_at + QUEUE_SECONDS + 100 + DEADLINE_SLACK_SECONDS,
        attempt=2,
    )
    assert before <= receipt.submitted_at <= time.time()
    assert Receipt.from_json(receipt.to_json(), where="receipt") == receipt


def test_request_is_sagemakers(folder: Storage, server: Answers) -> None:
    server.headers = accepted(folder)
    submit(folder, server.url, timeout_seconds=100)
    [(path, headers)] = server.asked

    assert path == "/endpoints/flow/async-invocations"
    assert {name: value for name, value in headers.items() if name.startswith("x-amzn-sagemaker-")} == {
        "x-amzn-sagemaker-content-type": "application/x-tar",
        "x-amzn-sagemaker-inputlocation": folder.uri(INPUT),
        "x-amzn-sagemaker-inference-id": "0123-7-2",
        "x-amzn-sagemaker-s3outputpathextension": "videos/clip-1/0123/flow-1/results",
        "x-amzn-sagemaker-filename": "00007.tar",
        "x-amzn-sagemaker-requestttlseconds": "21600",
        "x-amzn-sagemaker-invocationtimeoutseconds": "100",
    }
    assert "authorization" not in headers


def test_local_endpoint_is_not_asked_through_a_proxy(
    folder: Storage, server: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.headers = accepted(folder)
    submit(folder, server.url)

    assert len(server.asked) == 1


def test_local_endpoint_needs_no_aws_settings(
    folder: Storage, server: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    server.headers = accepted(folder)

    assert submit(folder, server.url).attempt == 2


def test_failure_location_may_be_missing(folder: Storage, server: Answers) -> None:
    server.headers = {"X-Amzn-SageMaker-OutputLocation": folder.uri(RESULT)}

    assert submit(folder, server.url).failure_location is None


def test_endpoint_that_writes_elsewhere_is_refused(storage: Storage, server: Answers) -> None:
    server.headers = {**accepted(storage), "X-Amzn-SageMaker-OutputLocation": "s3://other/00007.tar"}
    with pytest.raises(EndpointError) as error:
        submit(storage, server.url)

    assert "endpoint flow would write to s3://other/00007.tar instead of " + storage.uri(RESULT) in str(error.value)
    assert "must be the storage root" in str(error.value)


def test_endpoint_that_reports_failures_elsewhere_is_refused(storage: Storage, server: Answers) -> None:
    server.headers = {**accepted(storage), "X-Amzn-SageMaker-FailureLocation": storage.uri("elsewhere/7")}
    with pytest.raises(EndpointError, match=r"its failure path must be .*/failures/\.") as error:
        submit(storage, server.url)

    assert storage.uri("elsewhere/7") in str(error.value)


def test_sagemaker_without_a_region_is_told(folder: Storage, bare_aws: pytest.MonkeyPatch) -> None:
    with pytest.raises(EndpointError, match=r"no AWS region for the endpoint flow: set AWS_DEFAULT_REGION, or"):
        submit(folder, None)


def test_sagemaker_without_credentials_is_told(folder: Storage, bare_aws: pytest.MonkeyPatch) -> None:
    bare_aws.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(EndpointError, match=r"no AWS credentials for the endpoint flow .*: set AWS_PROFILE"):
        submit(folder, None)


def test_sagemaker_with_a_profile_that_is_not_there_is_told(folder: Storage, bare_aws: pytest.MonkeyPatch) -> None:
    bare_aws.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(EndpointError, match=r"no AWS credentials for the endpoint flow .*: set AWS_PROFILE"):
        submit(folder, None)


def test_refusal_is_quoted(folder: Storage, server: Answers) -> None:
    server.status, server.body = 400, b'{"message": "InputLocation: too far away."}'
    server.headers = {"x-amzn-ErrorType": "ValidationError", "Content-Type": "application/json"}
    with pytest.raises(
        EndpointError, match=rf"^The endpoint flow refused {INPUT}: ValidationError: InputLocation: too far away\. Cor"
    ):
        submit(folder, server.url)

    assert len(server.asked) == 1


@pytest.mark.usefixtures("no_pauses")
def test_busy_endpoint_is_asked_again_then_given_up(folder: Storage, server: Answers) -> None:
    server.status, server.body = 503, b'{"message": "Ending."}'
    with pytest.raises(EndpointError, match="Ending"):
        submit(folder, server.url)

    assert len(server.asked) == 5


@pytest.mark.usefixtures("no_pauses")
def test_nobody_listening_is_told(folder: Storage) -> None:
    with pytest.raises(EndpointUnreachableError, match=r"^The endpoint flow cannot be reached: .*127\.0\.0\.1:1/"):
        submit(folder, "http://127.0.0.1:1")


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"\xff"])
@pytest.mark.parametrize("headers", [{}, {"X-Amzn-SageMaker-FailureLocation": "s3://x/y"}])
def test_answer_outside_the_contract_is_an_endpoint_error(
    folder: Storage, server: Answers, headers: dict[str, str], body: bytes
) -> None:
    server.headers, server.body = headers, body
    with pytest.raises(EndpointError, match="endpoint flow"):
        submit(folder, server.url)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>"])
@pytest.mark.parametrize("status", [404, 413])
def test_refusal_by_something_else_is_an_endpoint_error(
    folder: Storage, server: Answers, status: int, body: bytes
) -> None:
    server.status, server.body = status, body
    with pytest.raises(EndpointError, match=f"The endpoint flow refused {INPUT}"):
        submit(folder, server.url)


def test_dead_local_endpoint_is_noticed(folder: Storage) -> None:
    with pytest.raises(EndpointUnreachableError, match="Start it again with `slowmo endpoint serve`"):
        AsyncEndpoint("flow", folder, url="http://127.0.0.1:1").check_alive()


def test_folder_is_looked_at_more_often_than_a_bucket(folder: Storage, s3_url: str) -> None:
    local = "http://127.0.0.1:1"
    pauses = [
        AsyncEndpoint("flow", storage, url=url).poll_seconds
        for storage, url in ((folder, local), (open_storage(s3_url), local), (open_storage(s3_url), None))
    ]

    assert pauses[0] < 1
    assert pauses[1] == pauses[2] >= 10


def test_real_local_endpoint_keeps_to_the_contract(folder: Storage, tmp_path: Path) -> None:
    folder.write(INPUT, grey_chunk(FADE))
    with LocalServer(tmp_path / "state", folder) as server:
        endpoint = AsyncEndpoint("scripted", folder, url=server.url, state=server.state)
        endpoint.check_alive()
        receipt = endpoint.submit(input_key=INPUT, result_key=RESULT, inference_id="0123-7-1", attempt=1)
        eventually(lambda: folder.stat(RESULT))

        assert grey_of(folder.read(RESULT)) == FADE + 20
        assert receipt.inference_id == "0123-7-1"
        assert folder.key_of(receipt.failure_location or "").startswith("failures/")
        assert served(folder, "scripted").model_id == "scripted-1"


def test_served_tells_model_and_limit(folder: Storage) -> None:
    write_json(folder, endpoint_key("film"), {"model_id": "film-1", "max_body_bytes": 7, "later": "more"})

    assert served(folder, "film") == EndpointRecord(model_id="film-1", max_body_bytes=7)


def test_endpoint_that_never_served_is_named(folder: Storage) -> None:
    with pytest.raises(EndpointError, match=r"No endpoint named 'film' has served the storage .* Start the local one"):
        served(folder, "film")


@pytest.mark.parametrize(
    ("data", "message", "permanent"),
    [
        (b'{"code": 400, "error": "ChunkFormatError", "message": "no"}', "no", True),
        (b'{"code": 413, "message": "large"}', "large", True),
        (b'{"code": 499, "message": ""}', "", True),
        (b'{"code": 500, "message": "no"}', "no", False),
        (b'{"code": "400", "message": "no"}', "no", True),
        (b'{"code": 507, "message": "memory"}', "memory", False),
        (b'{"code": 400}', '{"code": 400}', False),
        (b'{"message": "no"}', '{"message": "no"}', False),
        (b"[1]", "[1]", False),
        (b"7", "7", False),
        (b"null", "null", False),
        (b'{"code": null, "message": "x"}', '{"code": null, "message": "x"}', False),
        (b'{"code": 1e999, "message": "x"}', '{"code": 1e999, "message": "x"}', False),
        (b"<html>502</html>", "<html>502</html>", False),
        (b"", "", False),
        (b"\xff", "\ufffd", False),
        (b"x" * 10_000, "x" * 500, False),
        (b"[" * 100_000, "[" * 500, False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_failure_object(data: bytes, message: str, permanent: bool) -> None:
    assert read_failure(data) == ChunkFailure(message, permanent)
