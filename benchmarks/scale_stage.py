"""The stage of the scale benchmark: S3 (moto's) and an endpoint whose work costs nothing, in one server that counts.

`python -m benchmarks.scale_stage STORAGE` serves until its input ends, and first prints its address. Requests signed
by the endpoint itself are not counted: with SageMaker, they come from there.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.serving.local.invocation import parse_invocation
from slowmo_pipeline.serving.local.request_queue import Request as Invocation
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.interpolators import Fade

BUCKET = "slowmo"
ENDPOINT = "flow"
"""Its name at SageMaker, and the interpolator that videos take by default."""

_ACCOUNT = "123456789012"
_ENDPOINT_KEY = "endpoint"
_PIPELINE_KEY = "pipeline"


@dataclass(frozen=True)
class Requests:
    """How many requests of each kind, as AWS prices them."""

    put: int = 0
    """With those that begin and end a multipart upload."""
    list: int = 0
    get: int = 0
    head: int = 0
    delete: int = 0
    """Requests, each of up to a thousand keys."""
    invoke: int = 0
    """InvokeEndpointAsync."""
    describe: int = 0
    """DescribeEndpoint."""

    def __add__(self, other: "Requests") -> "Requests":
        """Those of both."""
        return Requests(**{kind: count + getattr(other, kind) for kind, count in vars(self).items()})

    def __sub__(self, other: "Requests") -> "Requests":
        """Those that the other did not have yet."""
        return Requests(**{kind: count - getattr(other, kind) for kind, count in vars(self).items()})


@dataclass(frozen=True)
class Stage:
    """The running server."""

    url: str

    def requests(self) -> Requests:
        """What the pipeline asked for so far; looking is not counted."""
        return Requests(**{name: int(count) for name, count in self._ask("GET", "/counts").items()})

    def release(self) -> None:
        """Let the results of all accepted invocations appear."""
        self._ask("POST", "/release")

    def fill(self, prefix: str, count: int) -> None:
        """Put so many uploads of a byte below a prefix of the bucket."""
        self._ask("POST", f"/fill/{count}/{prefix}")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = HTTPConnection(urlsplit(self.url).netloc)
        connection.request(method, path)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@contextmanager
def stage(storage_url: str) -> Iterator[Stage]:
    """Serve that storage; the environment leads boto3 here from now on."""
    command = [sys.executable, "-m", "benchmarks.scale_stage", storage_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        _sign(url, _PIPELINE_KEY)
        try:
            write_served(
                open_storage(storage_url),
                ENDPOINT,
                EndpointRecord(
                    model_id="fade-1", max_body_bytes=10**9, sagemaker_endpoint=ENDPOINT, instance_type="ml.g5.xlarge"
                ),
            )
            yield Stage(url)
        finally:
            server.stdin.close()


def _sign(url: str, access_key: str) -> None:
    os.environ.update(
        AWS_ENDPOINT_URL=url,
        AWS_ACCESS_KEY_ID=access_key,
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    os.environ.pop("AWS_PROFILE", None)


class _Counting:
    """Counts what the pipeline asks, accepts invocations, and hands the rest to moto."""

    def __init__(self, storage_url: str) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._storage_url = storage_url
        self._lock = threading.Lock()
        self._requests = Requests()
        self._accepted: list[Invocation] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        match request.path.split("/")[1:]:
            case ["counts"]:
                answer = _json(vars(self._requests))
            case ["release"]:
                self._release()
                answer = _json({})
            case ["fill", count, *prefix]:
                _fill("/".join(prefix), int(count))
                answer = _json({})
            case ["endpoints", name, "async-invocations"]:
                self._count("invoke")
                answer = self._invoke(name, request)
            case _ if request.headers.get("X-Amz-Target", "").endswith(".DescribeEndpoint"):
                self._count("describe")
                answer = _json({"EndpointName": ENDPOINT, "EndpointStatus": "InService"})
            case _:
                if f"Credential={_ENDPOINT_KEY}/" not in request.headers.get("Authorization", ""):
                    self._count(_kind(request))
                return self._moto(environ, start_response)
        return answer(environ, start_response)

    @cached_property
    def _storage(self) -> Storage:
        return open_storage(self._storage_url)

    def _count(self, kind: str) -> None:
        with self._lock:
            self._requests = replace(self._requests, **{kind: getattr(self._requests, kind) + 1})

    def _invoke(self, name: str, request: Request) -> Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        asked = parse_invocation(name, headers, self._storage)
        self._accepted.append(asked)
        answer = _json({"InferenceId": asked.inference_id}, status=202)
        answer.headers["X-Amzn-SageMaker-OutputLocation"] = self._storage.uri(asked.result_key)
        answer.headers["X-Amzn-SageMaker-FailureLocation"] = self._storage.uri(asked.failure_key)
        return answer

    def _release(self) -> None:
        while self._accepted:
            asked = self._accepted.pop()
            self._storage.write(asked.result_key, handle(self._storage.read(asked.input_key), Fade()))


def _kind(request: Request) -> str:
    if request.method == "GET":
        return "list" if "list-type" in request.args else "get"
    if request.method == "POST":
        return "delete" if "delete" in request.args else "put"
    return request.method.lower()


def _json(value: dict[str, Any], *, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, content_type="application/json")


def _fill(prefix: str, count: int) -> None:
    from moto.s3.models import s3_backends

    # Not over HTTP: 20,000 requests would take longer than all that is measured.
    backend = s3_backends[_ACCOUNT]["aws"]
    for number in range(count):
        backend.put_object(BUCKET, f"{prefix}{number:06}.mp4", b"x")


def main() -> None:
    """Serve until nobody holds the other end of the input."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, _Counting(sys.argv[1]), threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _sign(url, _ENDPOINT_KEY)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    print(url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
