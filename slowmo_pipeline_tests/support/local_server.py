"""A local endpoint server of the tests' own, in a process of its own; its client is plain boto3 with the token."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import psutil
from botocore import UNSIGNED
from botocore.config import Config

from slowmo_pipeline.chunks.documents import Want
from slowmo_pipeline.chunks.files import ResultReader, write_chunk
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.endpoint.local_state import EndpointAddress
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline_tests.support import interpolators

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

SCRIPTED = f"scripted={interpolators.__name__}:Scripted"
"""The endpoint most tests use, as --endpoint takes it."""

GATED = f"--endpoint=flow={interpolators.__name__}:Gated"
"""An endpoint `flow` whose worker is at work until the gate is open (interpolators.Gated)."""


def grey_chunk(value: int) -> bytes:
    """A chunk of two flat grey frames, of `value` and `value` + 40, that wants the frame in the middle as output 1."""
    frames = [(index, np.full((8, 8, 3), value + 40 * index, np.uint8)) for index in (0, 1)]
    file = io.BytesIO()
    write_chunk(file, frames, [Want(output=1, frame=0, t=Fraction(1, 2))], image_format=ImageFormat.LOSSLESS)
    return file.getvalue()


def grey_of(result: bytes) -> int:
    """The grey value of a result's only frame."""
    [(_, frame)] = ResultReader(io.BytesIO(result)).frames()
    return int(frame[0, 0, 0])


def eventually(condition: Callable[[], Any]) -> Any:
    """The first true value of a condition, however slow the machine; pytest's timeout ends a wait for nothing."""
    pause = 0.02
    while not (value := condition()):
        time.sleep(pause)
        # A look at Dagster's database costs more than this; who has waited for long can wait a little longer.
        pause = min(1.05 * pause, 0.5)
    return value


class LocalServer:
    """A server with one worker that serves `scripted`, in a with statement that ends it unless the test did."""

    def __init__(self, state: Path, storage: Storage, *options: str) -> None:
        command = [sys.executable, "-m", "slowmo_pipeline.serving.local.server"]
        command += ["--state", str(state), "--storage", storage.url, "--workers=1", f"--endpoint={SCRIPTED}", *options]
        self.storage = storage
        self.state = state
        self.gate = state.with_suffix(".gate")
        """Once this file is there, what is HELD goes on."""
        # A file: a pipe that nobody reads would fill and stop the server.
        self._log = state.with_suffix(".log")
        with self._log.open("wb") as log:
            gate = {"SLOWMO_TEST_GATE": str(self.gate)}
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, **gate})
        address = eventually(lambda: live_endpoint(state) or self.process.poll() is not None)
        assert isinstance(address, EndpointAddress), self._log.read_text()
        self.url = address.url
        self.client: SageMakerRuntimeClient = boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.url,
            region_name="us-east-1",
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
        )
        self.client.meta.events.register("before-call.sagemaker-runtime", self._add_token)

    def _add_token(self, params: dict[str, Any], **_: object) -> None:
        params["headers"]["x-slowmo-token"] = (self.state / "request-token").read_text()

    def __enter__(self) -> "LocalServer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end()

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        return psutil.Process(self.process.pid).children()

    def submit(self, value: int, *, name: str, **options: Any) -> dict[str, Any]:
        """Store a grey chunk and invoke the endpoint with it; the result is to be `results/NAME`."""
        self.storage.write(f"chunks/{name}", grey_chunk(value))
        request = {
            "EndpointName": "scripted",
            "InputLocation": self.storage.uri(f"chunks/{name}"),
            "S3OutputPathExtension": "results",
            "Filename": name,
        }
        answer = self.client.invoke_endpoint_async(**{**request, **options})
        return dict(answer)

    def end(self) -> str:
        """Ask it to end; what it logged."""
        self.process.terminate()
        self.process.wait()
        return self._log.read_text()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
