"""AWS without an account: moto over HTTP for its services, a runtime that computes, and a proxy in front of each.

The runtime is what answers InvokeEndpointAsync, and moto has none: the tests choose this project's local endpoint
server (`local_server.py`), or `container_runtime`, which hands chunks to a container's HTTP server as SageMaker does.
"""

import http.client
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

import boto3
import pytest
from moto.server import ThreadedMotoServer

from slowmo_pipeline.serving.local.invocation import parse_invocation
from slowmo_pipeline.serving.local.request_queue import Request
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.fault_proxy import Asked, Fault, FaultProxy, Forward, Told, fault_proxy
from slowmo_pipeline_tests.support.sagemaker_server import Script, scripted_sagemaker

BUCKET = "slowmo-stage"
REGION = "us-east-1"


@dataclass(frozen=True)
class Stage:
    """What stands while the stage is up; the environment of this process, and of those it starts, leads here."""

    aws: FaultProxy
    """In front of moto: S3, SNS, SQS, SageMaker's control plane, autoscaling, CloudWatch."""
    runtime: FaultProxy
    """In front of the runtime, once its target is set."""
    script: Script
    """How SageMaker's endpoints behave."""

    def storage(self, prefix: str) -> Storage:
        """A storage in the bucket."""
        return open_storage(f"s3://{BUCKET}/{prefix}")


@contextmanager
def aws_stage() -> Iterator[Stage]:
    """Set the stage up, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with (
        ExitStack() as stack,
        pytest.MonkeyPatch.context() as patch,
        scripted_sagemaker() as script,
        fault_proxy(f"http://{host}:{port}") as aws,
        fault_proxy("http://127.0.0.1:1") as runtime,
    ):
        stack.callback(server.stop)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        patch.setenv("AWS_ENDPOINT_URL", aws.url)
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime.url)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps what the environment was
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield Stage(aws, runtime, script)


def _accepted(asked: Asked, storage: Storage) -> tuple[Request, Told]:
    """The request as the runtime understands it, and SageMaker's answer to one that it queues."""
    request = parse_invocation(asked.path.split("/")[2], asked.headers, storage)
    headers = {
        "content-type": "application/json",
        "x-amzn-sagemaker-outputlocation": storage.uri(request.result_key),
        "x-amzn-sagemaker-failurelocation": storage.uri(request.failure_key),
    }
    return request, Told(202, headers, f'{{"InferenceId": "{request.inference_id}"}}'.encode())


def swallow(storage: Storage) -> Fault:
    """Accept a request of which nothing is ever heard again."""
    return lambda asked, forward: _accepted(asked, storage)[1]


def fail(storage: Storage, body: bytes) -> Fault:
    """Accept a request that ends in a failure object of this content."""

    def fault(asked: Asked, forward: Forward) -> Told:
        request, told = _accepted(asked, storage)
        storage.write(request.failure_key, body)
        return told

    return fault


def fail_besides(storage: Storage, body: bytes) -> Fault:
    """Run a request twice: once it succeeds, once it leaves a failure object."""

    def fault(asked: Asked, forward: Forward) -> Told:
        told = forward(asked)
        key = storage.key_of(told.headers["x-amzn-sagemaker-failurelocation"])
        assert key.startswith(FAILURES)
        storage.write(key, body)
        return told

    return fault


@dataclass
class Held:
    """Accepts requests and keeps them back until the test releases them."""

    storage: Storage
    proxy: FaultProxy
    requests: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked, forward: Forward) -> Told:
        self.requests.append(asked)
        return _accepted(asked, self.storage)[1]

    def release(self, *numbers: int) -> None:
        """Let the runtime have these, in this order."""
        for number in numbers:
            assert self.proxy.forward(self.requests[number]).status == 202


@contextmanager
def container_runtime(storage: Storage, port: int) -> Iterator[str]:
    """The address of a runtime that posts each chunk to `/invocations` of the container's server at `port`.

    As SageMaker does it: the body of a 2xx answer is the result, any other body the failure object.
    """
    queue: SimpleQueue[Request | None] = SimpleQueue()

    def work() -> None:
        while (request := queue.get()) is not None:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/invocations", storage.read(request.input_key), {"Content-Type": "x"})
            answer = connection.getresponse()
            storage.write(request.result_key if answer.status < 300 else request.failure_key, answer.read())
            connection.close()

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            request, told = _accepted(Asked("POST", self.path, headers, b""), storage)
            queue.put(request)
            self.send_response(told.status)
            for name, value in {**told.headers, "content-length": str(len(told.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    worker = threading.Thread(target=work)
    worker.start()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        queue.put(None)
        worker.join()
