"""`slowmo delete`: a video goes whole, from the storage and from Dagster."""

from collections.abc import Callable

import dagster as dg
from dagster import RunsFilter
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from rich.filesize import decimal

from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.machine.dead_runs import close_dead_runs
from slowmo_pipeline.machine.home import locked
from slowmo_pipeline.steps.removal import objects_of
from slowmo_pipeline.storage.base import Storage


def remove_video(
    home: Home, instance: dg.DagsterInstance, storage: Storage, video_id: str, *, sure: Callable[[str], bool]
) -> bool:
    """Delete a video's objects and its partition, if `sure` of what it is told; whether it was done.

    Raises UnknownVideoError when nothing is known of the video, HomeError while a run works on it.
    """
    with locked(home, f"video-{video_id}", busy=f"A `slowmo run` works on {video_id}: let it end, then delete."):
        close_dead_runs(instance, home)
        active = RunsFilter(statuses=NOT_FINISHED_STATUSES, tags={"dagster/partition": video_id})
        if runs := instance.get_runs(active, limit=1):
            raise HomeError(f"The run {runs[0].run_id} works on {video_id}: let it end, or cancel it, then delete.")
        found = objects_of(storage, video_id)
        size = decimal(sum(entry.size for entry in found))
        if not sure(f"{video_id}: {len(found)} objects, {size}, with {storage.display_path(found[0].key)}"):
            return False
        instance.delete_dynamic_partition(str(videos.name), video_id)
        storage.delete(entry.key for entry in found)
        return True
