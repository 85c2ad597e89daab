"""A home of the tests' own whose local endpoint cross-fades: the whole pipeline, but for the optical flow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.endpoint.local import use_endpoint
from slowmo_pipeline.environment import Home
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline_tests.support import interpolators
from slowmo_pipeline_tests.support.media import grey_frames, grey_numbers, write_clip
from slowmo_pipeline_tests.support.stored import root_of

LIMITS = Limits(max_bytes=10**9, max_pixels=10**8, max_frames=10**5, max_seconds=3600)
NOT_WAITING = {"ops": {"interpolated_chunks": {"config": {"wait": False}}}}


@dataclass(frozen=True)
class TestPipeline:
    """An instance, a storage, and the jobs over them."""

    __test__ = False  # no test class, whatever its name

    instance: dg.DagsterInstance
    storage: Storage

    def drop(self, name: str, *, frames: int = 6, rate: Fraction = Fraction(25)) -> str:
        """Put a clip of grey frames into the uploads and make it a partition; returns its video id."""
        with TemporaryDirectory() as folder:
            clip = write_clip(Path(folder, name), grey_frames(frames), rate=rate)
            self.storage.upload(clip, f"uploads/{name}")
        return self.add(f"uploads/{name}")

    def add(self, upload: str) -> str:
        """Make an upload a partition; returns its video id."""
        video_id = register(self.storage, upload)
        self.instance.add_dynamic_partitions(str(videos.name), [video_id])
        return video_id

    def run(
        self,
        video_id: str,
        *,
        job: str = "slow_motion",
        only: str | None = None,
        config: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> dg.ExecuteInProcessResult:
        """Execute a job, or one asset of it, for one video, with settings for raw_video as the launchpad gives them."""
        run_config = {"ops": {"raw_video": {"config": settings}}} if settings else dict(config or {})
        return defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=video_id,
            asset_selection=[dg.AssetKey(only)] if only else None,
            run_config=run_config,
            raise_on_error=False,
        )

    def final_path(self, video_id: str, suffix: str = ".mp4") -> Path:
        """Where the final video lies, in a folder."""
        root = root_of(self.storage)
        assert root is not None
        return root / VideoKeys(video_id).final(suffix)

    def final_numbers(self, video_id: str, suffix: str = ".mp4") -> list[int]:
        """Which grey frames the final video shows, original ones exactly."""
        with self.storage.local_file(VideoKeys(video_id).final(suffix)) as path:
            return grey_numbers(frame for _, frame in read_frames(path, probe(path, limits=LIMITS)))


@contextmanager
def fade_pipeline(
    folder: Path, *, storage_url: str = "", kept: bool = False, model: str = "Fade"
) -> Iterator[TestPipeline]:
    """A home in that folder with a live endpoint `flow` that cross-fades; the environment names the home meanwhile.

    The instance is the home's own when it is to be `kept`, else one in memory: a run takes a third of the time there.
    """
    home = Home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOWMO_HOME", str(folder))
        patch.setenv("SLOWMO_STORAGE", storage_url)
        storage = open_storage(home.storage_url)
        opened = open_instance(home) if kept else dg.DagsterInstance.ephemeral()
        endpoint = f"flow={interpolators.__name__}:{model}"
        with opened as instance, use_endpoint(home.endpoint, storage.url, workers=1, endpoints=[endpoint]):
            yield TestPipeline(instance, storage)


def failure_message(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step told."""
    [event] = [event for event in result.all_node_events if event.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description is not None
    return failure.description


def materialized(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    """The metadata that an asset reported, as plain values."""
    [event] = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    return {name: getattr(value, "value", value) for name, value in event.materialization.metadata.items()}
