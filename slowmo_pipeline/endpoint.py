"""Driving a SageMaker asynchronous endpoint with boto3: submit a chunk, keep the receipt, read a failure.

The local endpoint speaks the same call, so nothing here knows which of the two answers.
"""

import json
import logging
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from botocore import UNSIGNED
from botocore.config import Config

from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.hosted import known_lost, told_to_runs
from slowmo_pipeline.keys import FAILURES
from slowmo_pipeline.record import Epoch, Record
from slowmo_pipeline.serving.owner import ping
from slowmo_pipeline.storage.aws_client import aws_client
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

QUEUE_SECONDS = 21_600
"""Longest wait in the queue (RequestTTLSeconds); SageMaker's largest, since a long video queues many chunks."""

DEADLINE_SLACK_SECONDS = 60
"""Clocks differ, and a result needs a moment to be written."""

HOSTED_POLL_SECONDS = 60
"""How often a waiting run asks SageMaker whether the endpoint is still there."""

_PERMANENT = range(400, 500)

logger = logging.getLogger(__name__)


class Receipt(Record):
    """What the endpoint answered at submission."""

    inference_id: str
    output_location: str
    failure_location: str | None
    submitted_at: Epoch
    """Seconds since the epoch."""
    deadline: Epoch
    """Seconds since the epoch; by then a result or a failure has appeared, or neither ever will."""
    attempt: int
    """1 for the first submission."""


@dataclass(frozen=True)
class ChunkFailure:
    """Why a chunk failed, as the endpoint's failure object tells."""

    message: str
    permanent: bool
    """The chunk is at fault (4xx): another attempt would fail as well."""


class AsyncEndpoint:
    """One asynchronous endpoint over one storage.

    `url` is the address of a local endpoint; None means Amazon SageMaker with the usual AWS settings.
    `timeout_seconds` is the longest processing of one chunk (InvocationTimeoutSeconds, 1 to 3600).
    """

    def __init__(self, name: str, storage: Storage, *, url: str | None, timeout_seconds: int = 3600) -> None:
        self.name = name
        self._storage = storage
        self._url = url
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
        return local

    def submit(self, *, input_key: str, result_key: str, inference_id: str, attempt: int) -> Receipt:
        """Queue one chunk; the result will appear under `result_key`.

        Throttling, 5xx and lost connections are tried five times, with jitter. A connection that is lost after the
        request was accepted makes it run twice: an InferenceId is no idempotency token at SageMaker.
        Raises EndpointUnreachableError when it may be tried again later, EndpointError when that would not help.
        """
        result = PurePosixPath(result_key)
        with told_to_runs(self.name, input_key):
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
        now = time.time()
        return Receipt(
            inference_id=inference_id,
            output_location=output,
            failure_location=failure,
            submitted_at=now,
            deadline=now + QUEUE_SECONDS + self._timeout_seconds + DEADLINE_SLACK_SECONDS,
            attempt=attempt,
        )

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
