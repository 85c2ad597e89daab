"""Dagster resources: the storage, the endpoint, and who is told how far a run has come."""

import logging
from collections.abc import Callable

import dagster as dg
from pydantic import Field, PrivateAttr

from slowmo_pipeline.endpoint.client import AsyncEndpoint
from slowmo_pipeline.endpoint.local import live_endpoint, live_server
from slowmo_pipeline.endpoint.local_client import Held, held_at
from slowmo_pipeline.endpoint.record import served
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError
from slowmo_pipeline.progress import RunProgress
from slowmo_pipeline.steps.records import ActivePlan, read_active_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.storage.patience import CHUNK_ATTEMPTS


class PipelineStorage(dg.ConfigurableResource):  # type: ignore[type-arg]  # the argument is for its value type: itself
    """The storage root of the pipeline."""

    url: str | None = Field(
        default=None,
        description="A folder or s3://bucket/prefix. Unset: SLOWMO_STORAGE, else the folder `storage` of SLOWMO_HOME.",
    )

    _opened: Storage | None = PrivateAttr(None)
    _active: dict[str, ActivePlan] = PrivateAttr(default_factory=dict)

    def open(self) -> Storage:
        """The storage, made ready to use: one for all steps of a run, which so share its local copies."""
        if self._opened is None:
            self._opened = open_storage(self.url or current_home().storage_url)
        return self._opened

    def active_plan(self, video_id: str) -> ActivePlan:
        """The plan that a video is made with, read once a run. Raises what `read_active_plan` raises."""
        if video_id not in self._active:
            self._active[video_id] = read_active_plan(self.open(), video_id)
        return self._active[video_id]

    def activate(self, active: ActivePlan) -> None:
        """Take a plan that was just made for the one of its video, instead of reading it."""
        self._active[active.video_id] = active

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Let go of plans and local copies at the end of a run."""
        self._active.clear()
        if self._opened is not None:
            self._opened.close()


class SageMakerAsyncEndpoint(dg.ConfigurableResource):  # type: ignore[type-arg]  # as above
    """How asynchronous endpoints are reached.

    Which one a video uses is its setting `interpolator`; whether that is one of Amazon SageMaker or the local one of
    SLOWMO_HOME, the storage tells.
    """

    timeout_seconds: int = Field(default=3600, ge=1, le=3600, description="Longest processing of one chunk.")
    max_attempts: int = Field(
        default=CHUNK_ATTEMPTS, ge=1, description="How often a chunk is tried when the endpoint fails."
    )

    def connect(self, name: str, storage: Storage) -> AsyncEndpoint:
        """The endpoint of that name.

        Raises EndpointError when the storage knows none, or another than the local one here, and
        EndpointUnreachableError when the local one does not run.
        """
        known = served(storage, name)
        if known.sagemaker_endpoint is not None:
            return AsyncEndpoint(known.sagemaker_endpoint, storage, url=None, timeout_seconds=self.timeout_seconds)
        state = current_home().endpoint
        live = live_server(state)
        if live is None:
            raise EndpointUnreachableError(
                f"No local endpoint runs for {current_home().root}. Start one with `slowmo endpoint serve` or "
                "`slowmo up`."
            )
        address, models = live
        model_id = models.get(name)
        if model_id not in (None, known.model_id):
            raise EndpointError(
                f"The local endpoint of {current_home().root} runs {model_id} as {name}, but the last one that began "
                f"to serve {storage.url} runs {known.model_id}: start this home's endpoint again, or give each home a "
                "SLOWMO_STORAGE of its own."
            )
        return AsyncEndpoint(name, storage, url=address.url, state=state, timeout_seconds=self.timeout_seconds)


def local_model(name: str) -> str | None:
    """The model that the local endpoint of SLOWMO_HOME runs under that name; None when it has none, or does not run."""
    live = live_server(current_home().endpoint)
    return live[1].get(name) if live else None


def held_here(below: str) -> Held | None:
    """What the local endpoint of SLOWMO_HOME holds of requests for results below a prefix; None when none runs."""
    state = current_home().endpoint
    live = live_endpoint(state)
    return held_at(live.url, below, state=state) if live else None


ProgressFor = Callable[[logging.Logger], RunProgress]
"""What the resource `progress` is: given a run's log, who is told how far the run has come."""
