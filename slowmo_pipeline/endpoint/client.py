"""Driving a SageMaker asynchronous endpoint with boto3: submit a chunk, keep the receipt, read a failure.

The local endpoint speaks the same call, so nothing here knows which of the two answers.
"""

import json
import logging
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED
from botocore.config import Config

from slowmo_pipeline.endpoint.local_client import REQUEST_ID_HEADER, SERVER_ID_HEADER, Held, held_at, ping
from slowmo_pipeline.endpoint.record import LocalServer
from slowmo_pipeline.endpoint.request_token import TOKEN_HEADER, read_token
from slowmo_pipeline.endpoint.sagemaker import errors_as_run_error, known_lost
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.record import Epoch, Record
from slowmo_pipeline.storage.aws_client import aws_client
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole
from slowmo_pipeline.storage.keys import FAILURES

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

QUEUE_SECONDS = 21_600
"""Longest wait in the queue (RequestTTLSeconds); SageMaker's largest, since a long video queues many chunks."""

DEADLINE_SLACK_SECONDS = 60
"""Clocks differ, and a result needs a moment to be written."""

_FAIR_CLOCK_SECONDS = 5
"""A Date header tells whole seconds; a clock that is no further off is the better one."""

HOSTED_POLL_SECONDS = 60
"""How often a waiting run asks SageMaker whether the endpoint is still there."""

_PERMANENT = range(400, 500)

logger = logging.getLogger(__name__)


class Receipt(Record):
    """What the endpoint answered at submission."""

    inference_id: str
    failure_location: str | None
    submitted_at: Epoch
    """Seconds since the epoch, by the clock of who answered."""
    deadline: Epoch
    """Seconds since the epoch; by then a result or a failure has appeared, or neither ever will. Not for a local server
    that says that it holds the request."""
    attempt: int
    """1 for the first submission."""
    server: LocalServer | None = None
    """The local server that accepted it; None for SageMaker, and for a local one of version 0.1.0."""
    request_id: str | None = None
    """The server's own id of the request, at SageMaker that of the call; None for one of version 0.1.0."""

    @property
    def local_request(self) -> str:
        """The id that a local server knows the request by; version 0.1.0 kept it in the failure's location alone."""
        return self.request_id or PurePosixPath(self.failure_location or "").name.removesuffix("-error.out")


@dataclass(frozen=True)
class ChunkFailure:
    """Why a chunk failed, as the endpoint's failure object tells."""

    message: str
    permanent: bool
    """The chunk is at fault (4xx): another attempt would fail as well."""


class AsyncEndpoint:
    """One asynchronous endpoint over one storage.

    `url` is the address of a local endpoint, and `state` its state folder, where its token lies (None: it wants none);
    `url` None means Amazon SageMaker with the usual AWS settings.
    `timeout_seconds` is the longest processing of one chunk (InvocationTimeoutSeconds, 1 to 3600).
    """

    def __init__(
        self,
        name: str,
        storage: Storage,
        *,
        url: str | None,
        state: Path | None = None,
        timeout_seconds: int = 3600,
    ) -> None:
        self.name = name
        self._storage = storage
        self._url = url
        self._state = state
        self._timeout_seconds = timeout_seconds
        self._next_question = 0.0

    @cached_property
    def _client(self) -> "SageMakerRuntimeClient":
        if self._url is None:
            hosted: SageMakerRuntimeClient = aws_client("sagemaker-runtime")
            return hosted
        # A loopback server checks no signature: no account and no region are needed, and no proxy of the environment.
        local: SageMakerRuntimeClient = aws_client(
            "sagemaker-runtime",
            endpoint_url=self._url,
            region_name="us-east-1",
            config=Config(signature_version=UNSIGNED, proxies={}),
        )
        local.meta.events.register("before-call.sagemaker-runtime.InvokeEndpointAsync", self._add_token)
        return local

    def _add_token(self, params: dict[str, Any], **_: object) -> None:
        # Read for each request: a server that starts again has another one.
        token = read_token(self._state) if self._state else None
        if token is not None:
            params["headers"][TOKEN_HEADER] = token

    def submit(self, *, input_key: str, result_key: str, inference_id: str, attempt: int) -> Receipt:
        """Queue one chunk; the result will appear under `result_key`.

        Throttling, 5xx and lost connections are tried five times, with jitter. A connection that is lost after the
        request was accepted makes it run twice: an InferenceId is no idempotency token at SageMaker.
        Raises EndpointUnreachableError when it may be tried again later, EndpointError when that would not help.
        """
        result = PurePosixPath(result_key)
        with errors_as_run_error(self.name, input_key):
            answer = self._client.invoke_endpoint_async(
                EndpointName=self.name,
                ContentType="application/x-tar",
                InputLocation=self._storage.uri(input_key),
                InferenceId=inference_id,
                S3OutputPathExtension=str(result.parent),
                Filename=result.name,
                RequestTTLSeconds=QUEUE_SECONDS,
                InvocationTimeoutSeconds=self._timeout_seconds,
            )
        output, expected = answer.get("OutputLocation"), self._storage.uri(result_key)
        if output != expected:
            raise EndpointError(
                f"The endpoint {self.name} would write to {output} instead of {expected}: its output path must be the "
                "storage root."
            )
        failure = answer.get("FailureLocation")
        if failure is not None and not failure.startswith(self._storage.uri(FAILURES)):
            raise EndpointError(
                f"The endpoint {self.name} would report a failure in {failure}: its failure path must be "
                f"{self._storage.uri(FAILURES)}."
            )
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        now = _time_there(headers)
        return Receipt(
            inference_id=inference_id,
            failure_location=failure,
            submitted_at=now,
            deadline=now + QUEUE_SECONDS + self._timeout_seconds + DEADLINE_SLACK_SECONDS,
            attempt=attempt,
            server=self._server(headers),
            request_id=headers.get(REQUEST_ID_HEADER),
        )

    def _server(self, headers: Mapping[str, str]) -> LocalServer | None:
        """The local server that gave an answer; it may be another than the one that was connected to."""
        if self._url is None or SERVER_ID_HEADER not in headers:
            return None
        state = str(self._state) if self._state else None
        return LocalServer(id=headers[SERVER_ID_HEADER], url=self._url, host=platform.node(), state=state)

    def held(self, below: str) -> Held | None:
        """What a local endpoint holds of requests for results below a prefix.

        None when SageMaker is the endpoint, which tells no such thing, or when nobody answers.
        """
        return held_at(self._url, below, state=self._state) if self._url is not None else None

    def check_alive(self) -> None:
        """Raise when nothing more comes of what was sent.

        EndpointUnreachableError for a local endpoint that is gone, EndpointError for one that SageMaker has lost. It is
        asked once a minute at most; when it does not tell, results are waited for until their deadline.
        """
        if self._url is None:
            self._check_hosted()
        elif ping(self._url) is None:
            raise EndpointUnreachableError(
                f"The local endpoint at {self._url} no longer answers. Start it again with `slowmo endpoint serve` or "
                "`slowmo up`; what it had accepted is not lost."
            )

    def _check_hosted(self) -> None:
        if time.monotonic() < self._next_question:
            return
        self._next_question = time.monotonic() + HOSTED_POLL_SECONDS
        if lost := known_lost(self.name, logger):
            raise EndpointError(lost)

    @property
    def poll_seconds(self) -> float:
        """A fair pause between two looks for results."""
        return self._storage.poll_seconds


def _time_there(headers: Mapping[str, str]) -> float:
    """Now by the clock that also says when an endpoint was created: AWS takes requests of one that is minutes off."""
    here = time.time()
    try:
        there = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return here
    return there if abs(there - here) > _FAIR_CLOCK_SECONDS else here


def read_receipt(storage: Storage, key: str) -> Receipt | None:
    """The receipt under a key; None when there is none, and for a torn one: its chunk is submitted again then."""
    return read_if_whole(storage, Receipt, key, torn="Its chunk counts as not submitted.")


def read_failure(data: bytes) -> ChunkFailure:
    """Parse a failure object: `{"code": 400, "message": …}`, or any text a container may have answered."""
    try:
        value = json.loads(data)
        return ChunkFailure(str(value["message"]), int(value["code"]) in _PERMANENT)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ChunkFailure(data[:500].decode("utf-8", "replace"), permanent=False)
