"""What Dagster itself takes: runs whose steps do nothing, and the daemon's way from an upload to a process that runs.

`empty_runs` executes twins of the two jobs, with the same assets and checks but empty bodies. `through_the_daemon`
drops clips into the folder of a real `slowmo up` and reads the times of its runs.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, RunRecord

from slowmo_pipeline.definitions import defs
from slowmo_pipeline.defs.jobs import finish_video, slow_motion
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.environment import Home
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.processes import Processes, drop, make_clip

_EMPTY_RUNS = 20
_FRAMES = 40
_JOBS = (slow_motion, finish_video)


@dataclass(frozen=True)
class EmptyRun:
    """A run whose steps do nothing."""

    seconds: float
    own_seconds: float
    """Of processor time."""


@dataclass(frozen=True)
class DaemonRun:
    """A run that the daemon launched, in seconds."""

    queued: float
    """From the sensor's request to the launch."""
    starting: float
    """From the launch to the first step: a process that imports the code location."""
    running: float


def empty_runs(folder: Path) -> dict[str, list[EmptyRun]]:
    """Twins of both jobs, by name."""
    twins, names = _twins(), [job.name for job in _JOBS]
    home = Home(folder / "empty")
    with open_instance(home) as instance:
        instance.add_dynamic_partitions(str(videos.name), ["one"])
        return {name: [_empty_run(twins, name, instance) for _ in range(_EMPTY_RUNS)] for name in names}


def _twins() -> dg.Definitions:
    specs = [spec for spec in defs.resolve_all_asset_specs() if spec.partitions_def == videos]
    return dg.Definitions(
        assets=[_empty_asset(spec) for spec in specs],
        asset_checks=[_empty_checks(list(checks.check_specs)) for checks in defs.asset_checks or []],
        jobs=_JOBS,
        executor=dg.in_process_executor,
    )


def _empty_asset(spec: dg.AssetSpec) -> dg.AssetsDefinition:
    @dg.asset(key=spec.key, partitions_def=videos, deps=[dep.asset_key for dep in spec.deps])
    def empty() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    return empty


def _empty_checks(specs: list[dg.AssetCheckSpec]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(specs=specs, name=f"empty_{specs[0].name}")
    def empty() -> Iterator[dg.AssetCheckResult]:
        for spec in specs:
            yield dg.AssetCheckResult(passed=True, check_name=spec.name, asset_key=spec.asset_key)

    return empty


def _empty_run(twins: dg.Definitions, job: str, instance: dg.DagsterInstance) -> EmptyRun:
    started, own = time.perf_counter(), time.process_time()
    twins.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key="one",
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    return EmptyRun(time.perf_counter() - started, time.process_time() - own)


def through_the_daemon(count: int) -> tuple[list[DaemonRun], float]:
    """Drop so many clips at once; the runs that the sensors had made of them, and seconds until all were finished."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        clip = make_clip(Path(folder, "clip.mp4"), frames=_FRAMES)
        processes.up()
        dropped = time.time()
        for number in range(count):
            drop(clip, processes.uploads / f"{number:06}.mp4")
        eventually(lambda: len(processes.finals()) == count)
        eventually(lambda: all(run.is_finished for run in processes.runs()))
        with dg.DagsterInstance.from_config(str(processes.home.dagster)) as instance:
            records = instance.get_run_records()
            return [_daemon_run(instance, record) for record in records], max(map(_ended, records)) - dropped


def _daemon_run(instance: dg.DagsterInstance, record: RunRecord) -> DaemonRun:
    [launch] = instance.all_logs(record.dagster_run.run_id, of_type=DagsterEventType.RUN_STARTING)
    assert record.start_time is not None
    return DaemonRun(
        queued=launch.timestamp - record.create_timestamp.timestamp(),
        starting=record.start_time - launch.timestamp,
        running=_ended(record) - record.start_time,
    )


def _ended(record: RunRecord) -> float:
    assert record.end_time is not None
    return record.end_time
