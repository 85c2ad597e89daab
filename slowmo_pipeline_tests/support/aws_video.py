"""A video of four chunks on the stage of AWS, and what was asked of the runtime for it."""

import io
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from slowmo_pipeline.chunks.files import ResultReader
from slowmo_pipeline.defs.resources import SageMakerAsyncEndpoint
from slowmo_pipeline.endpoint.record import EndpointRecord
from slowmo_pipeline.endpoint.sagemaker import why_lost
from slowmo_pipeline.steps.interpolate import Interpolated, Interpolation
from slowmo_pipeline.steps.pending_marker import needed_run, read_pending
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES, PlanKeys, ResultKeys, VideoKeys
from slowmo_pipeline_tests.support import interpolators
from slowmo_pipeline_tests.support.aws_stage import Stage
from slowmo_pipeline_tests.support.fault_proxy import Asked, FaultProxy
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.stored import read_json, write_json
from slowmo_pipeline_tests.support.videos import interpolate, quiet

CHUNKS = 4
ENDPOINT = "slowmo-flow"
FOUND = EndpointRecord(
    model_id=interpolators.Fade.model_id,
    max_body_bytes=10**9,
    sagemaker_endpoint=ENDPOINT,
    instance_type="ml.g5.xlarge",
)


@dataclass(frozen=True)
class Video:
    """A video of four chunks, cut and ready to be submitted."""

    stage: Stage
    storage: Storage
    video_id: str

    @property
    def runtime(self) -> FaultProxy:
        return self.stage.runtime

    @cached_property
    def chunks(self) -> PlanKeys:
        return read_active_plan(self.storage, self.video_id).keys

    @cached_property
    def results(self) -> ResultKeys:
        return self.chunks.model(FOUND.model_id)

    def interpolate(self, *, wait: bool = True, max_attempts: int = 3) -> Interpolated:
        """One run: whatever it knows, it has from the storage."""
        resource = SageMakerAsyncEndpoint(timeout_seconds=3600, max_attempts=max_attempts)
        return Interpolation(
            self.storage,
            lambda name: resource.connect(name, self.storage),
            read_active_plan(self.storage, self.video_id),
            max_attempts=max_attempts,
            progress=quiet,
        ).run(wait=wait)

    def expire(self) -> None:
        """Let the deadline of all that was submitted pass."""
        receipts = [entry.key for entry in self.storage.list(self.results.receipts)]
        for key in (VideoKeys(self.video_id).pending, *receipts):
            record = read_json(self.storage, key)
            write_json(self.storage, key, {**record, "deadline": time.time() - 1})

    def wait_for_results(self, count: int) -> None:
        """Wait until the runtime has stored so many."""
        eventually(lambda: len([*self.storage.list(self.results.results)]) == count)

    @property
    def why_run(self) -> str | None:
        """What the completion sensor finds."""
        pending = read_pending(self.storage, self.video_id)
        assert pending is not None
        failures = {entry.key for entry in self.storage.list(FAILURES)}
        needed = needed_run(
            self.storage,
            self.video_id,
            pending,
            failures=failures,
            why_lost=why_lost,
            local_model=lambda name: None,
            held=lambda below: None,
        )
        return needed.why if needed else None

    @property
    def computed(self) -> list[int]:
        """The chunks that the runtime was given, in order."""
        return [chunk_of(asked) for asked in self.runtime.forwarded]

    @property
    def submitted(self) -> list[int]:
        """The chunks that somebody tried to submit, in order, botocore's own repetitions too."""
        return [chunk_of(asked) for asked in self.runtime.asked]

    def results_are_right(self) -> bool:
        """Whether each chunk has the result that it must have."""
        for chunk in range(CHUNKS):
            found, expected = (
                dict(ResultReader(io.BytesIO(data)).frames())
                for data in (
                    self.storage.read(self.results.result(chunk)),
                    interpolate(self.storage.read(self.chunks.chunk(chunk))),
                )
            )
            if found.keys() != expected.keys() or not all(np.array_equal(found[key], expected[key]) for key in found):
                return False
        return True


def chunk_of(asked: Asked) -> int:
    """The chunk that was submitted."""
    return int(asked.headers["x-amzn-sagemaker-filename"].removesuffix(".tar"))
