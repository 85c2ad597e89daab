"""The load of the scale benchmark: videos come 25 at a time, the sensors ask for runs, the runs are executed.

    25 uploads -> tick of new_uploads -> 25 runs that submit -> ticks of completed_outputs while 25 videos are pending
    -> all results appear -> tick of completed_outputs -> 25 runs that finish -> ticks with nothing to do

What the daemon would do between a tick and a run is left out here (see scale_dagster.py): the sensors' own evaluation
and the jobs are the real ones, on a real instance in SQLite.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from benchmarks.scale_stage import Requests, Stage, stage
from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.video_sensors import MAX_NEW_VIDEOS, UploadCursor
from slowmo_pipeline.environment import Home
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline.planning.plan import MAX_CHUNK_INTERVALS
from slowmo_pipeline.steps.inspect_upload import joint_version
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import UPLOADS, video_id_of
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING

TICKS = 5
"""Of a sensor each time that it has nothing to do but to look."""

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one piece of work took."""

    seconds: float
    own_seconds: float
    """Of processor time, that of ended child processes included; the server's is not."""
    requests: Requests


@dataclass(frozen=True)
class Tick:
    """One evaluation of a sensor."""

    sensor: str
    archive: int
    """Uploads in the storage."""
    pending: int
    """Videos that wait for the endpoint."""
    asked_for: int
    """Runs."""
    cursor_bytes: int
    cost: Cost


@dataclass
class Load:
    """What was measured on one kind of storage."""

    kind: str
    ticks: list[Tick] = field(default_factory=list)
    submitting: list[Cost] = field(default_factory=list)
    """The first run of each video."""
    finishing: list[Cost] = field(default_factory=list)
    """Its second."""
    instance_bytes: int = 0
    """What Dagster's instance grew by."""


@dataclass(frozen=True)
class _Bench:
    """A home with its instance, a storage, and the server behind it."""

    home: Home
    instance: dg.DagsterInstance
    storage: Storage
    stage: Stage

    def measured(self, work: Callable[[], T]) -> tuple[T, Cost]:
        requests, own, started = self.stage.requests(), _own_seconds(), time.perf_counter()
        value = work()
        seconds, spent = time.perf_counter() - started, _own_seconds() - own
        return value, Cost(seconds, spent, self.stage.requests() - requests)

    def tick(self, sensor: str, cursor: str | None = None, *, archive: int, pending: int = 0) -> tuple[Any, Tick]:
        """Evaluate a sensor once, as a code server does, and add the partitions it asks for."""
        with dg.build_sensor_context(
            definitions=defs, instance_ref=self.instance.get_ref(), resources=dict(defs.resources or {}), cursor=cursor
        ) as context:
            data, cost = self.measured(lambda: defs.resolve_sensor_def(sensor).evaluate_tick(context))
        for request in data.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return data, Tick(sensor, archive, pending, len(data.run_requests or []), len(data.cursor or ""), cost)

    def run(self, job: str, request: dg.RunRequest) -> Cost:
        """Execute a run that a sensor asked for."""
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result, cost = self.measured(
            lambda: defs.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                partition_key=request.partition_key,
                # Without patience: the stage's results come when all have been submitted.
                run_config={**NOT_WAITING, **quiet},
                tags=dict(request.tags),
            )
        )
        assert result.success
        return cost


@contextmanager
def _bench(folder: Path, storage_url: str) -> Iterator[_Bench]:
    home = Home(folder / "home")
    os.environ.update(SLOWMO_HOME=str(home.root), SLOWMO_STORAGE=storage_url)
    with stage(storage_url) as running, open_instance(home) as instance:
        yield _Bench(home, instance, open_storage(storage_url), running)


def measure_load(kind: str, folder: Path, storage_url: str, *, count: int, chunks: int) -> Load:
    """Bring so many videos of so many chunks from upload to final video."""
    load = Load(kind)
    clip = write_clip(folder / "clip.mp4", grey_frames(MAX_CHUNK_INTERVALS * (chunks - 1) + 2), rate=Fraction(25))
    with _bench(folder, storage_url) as bench:
        before, cursor = _bytes_in(bench.home.dagster), None
        for first in range(0, count, MAX_NEW_VIDEOS):
            archive = min(first + MAX_NEW_VIDEOS, count)
            for number in range(first, archive):
                bench.storage.upload(clip, f"{UPLOADS}{number:06}.mp4")
            cursor, requests = _new_uploads(bench, load, cursor, archive)
            load.submitting += [bench.run("slow_motion", request) for request in requests]
            size = len(requests)
            for _ in range(TICKS):
                load.ticks.append(bench.tick("completed_outputs", archive=archive, pending=size)[1])
            bench.stage.release()
            data, tick = bench.tick("completed_outputs", archive=archive, pending=size)
            load.ticks.append(tick)
            load.finishing += [bench.run("finish_video", request) for request in data.run_requests]
            load.ticks += _idle_ticks(bench, cursor, archive)
        load.instance_bytes = _bytes_in(bench.home.dagster) - before
        _check_all_finished(bench, count, chunks)
    return load


def _new_uploads(bench: _Bench, load: Load, cursor: str | None, archive: int) -> tuple[str, list[dg.RunRequest]]:
    requests: list[dg.RunRequest] = []
    while not requests:  # in a folder the first tick only notes how large the files are
        data, tick = bench.tick("new_uploads", cursor, archive=archive)
        cursor, requests = data.cursor, data.run_requests or []
        load.ticks.append(tick)
    assert cursor is not None
    return cursor, requests


def _idle_ticks(bench: _Bench, cursor: str, archive: int) -> list[Tick]:
    sensors: Mapping[str, str | None] = {"new_uploads": cursor, "completed_outputs": None}
    return [bench.tick(name, at, archive=archive)[1] for name, at in sensors.items() for _ in range(TICKS)]


def _check_all_finished(bench: _Bench, count: int, chunks: int) -> None:
    finals = sum(entry.key.endswith(".mp4") for entry in bench.storage.list("final/"))
    partitions = len(bench.instance.get_dynamic_partitions(str(videos.name)))
    invoked = bench.stage.requests().invoke
    assert (finals, partitions, invoked) == (count, count, count * chunks), (finals, partitions, invoked)


def measure_archive(folder: Path, storage_url: str, count: int) -> list[Tick]:
    """Idle ticks of new_uploads over an archive of so many known uploads, on S3."""
    with _bench(folder, storage_url) as bench:
        bench.stage.fill(f"{storage_url.partition('//')[2].partition('/')[2]}/{UPLOADS}", count)
        known = {video_id_of(entry.key): joint_version(entry, None) for entry in bench.storage.uploads().entries}
        cursor = UploadCursor(requested=known).dump()
        ticks = [bench.tick("new_uploads", cursor, archive=count)[1] for _ in range(TICKS)]
        assert not any(tick.asked_for for tick in ticks)
        return ticks


def _own_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
