"""How the pipeline grows: requests, sensor ticks and orchestration over many videos, and what breaks first.

`python -m benchmarks.scale [--videos 200 --chunks 10]` brings tiny videos from upload to final video, on S3 (moto's,
over HTTP, in a process of its own) and a quarter of them in a folder, against an endpoint whose work costs nothing.
Before, it sends a few clips through a real daemon; after, it ticks over an archive of 100 times as many uploads.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean, median, quantiles

from rich.console import Console
from rich.table import Table

from benchmarks.scale_dagster import DaemonRun, EmptyRun, empty_runs, through_the_daemon
from benchmarks.scale_limits import limits, pending_cost, usd, videos_an_hour
from benchmarks.scale_load import Cost, Load, Tick, measure_archive, measure_load
from benchmarks.scale_stage import BUCKET, Requests

TIMES = 100
DAEMON_VIDEOS = 8


def main() -> None:
    """Measure, calculate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=10, help="of each video")
    options = parser.parse_args()
    videos, chunks = options.videos, options.chunks
    console = Console(width=140)
    console.print(f"{videos} videos of {chunks} chunks on {os.cpu_count()} cores, {_load_averages()}")
    runs, seconds = through_the_daemon(DAEMON_VIDEOS)
    console.print(daemon_table(runs))
    console.print(f"{DAEMON_VIDEOS} clips dropped at once were finished after {seconds:.0f} s. {_load_averages()}")
    with tempfile.TemporaryDirectory() as folder:
        empty = empty_runs(_new(folder, "empty"))
        s3 = measure_load("S3", _new(folder, "s3"), f"s3://{BUCKET}/load", count=videos, chunks=chunks)
        console.print(requests_table(s3), _load_averages())
        local = _new(folder, "folder")
        in_folder = measure_load("folder", local, str(local / "storage"), count=-(-videos // 4), chunks=chunks)
        console.print(ticks_table([s3, in_folder]))
        console.print(orchestration_table([s3, in_folder], empty), _load_averages())
        archive = measure_archive(_new(folder, "archive"), f"s3://{BUCKET}/archive", TIMES * videos)
    console.print(archive_table(archive))
    console.print(limits_table(s3, runs, archive, videos=TIMES * videos, chunks=chunks), _load_averages())


def _new(folder: str, name: str) -> Path:
    path = Path(folder, name)
    path.mkdir()
    return path


def requests_table(load: Load) -> Table:
    """Requests for one video, the ticks that look at its upload and its end apart."""
    table = Table(title="Requests of the pipeline for one video on S3 (median)")
    for name in ("", *vars(Requests()), "USD per 1,000 videos"):
        table.add_column(name, justify="right" if name else "left")
    rows = {
        "first run: cut and submit": _median_requests(load.submitting),
        "second run: assemble": _median_requests(load.finishing),
    }
    rows["both"] = rows["first run: cut and submit"] + rows["second run: assemble"]
    rows["each look while pending"] = pending_cost(load)[1]
    for name, requests in rows.items():
        table.add_row(name, *(str(count) for count in vars(requests).values()), f"{1000 * usd(requests):.3f}")
    return table


def _median_requests(costs: Sequence[Cost]) -> Requests:
    return Requests(
        **{kind: round(median(getattr(cost.requests, kind) for cost in costs)) for kind in vars(Requests())}
    )


def ticks_table(loads: Sequence[Load]) -> Table:
    """Ticks by the size of the archive: do they stay flat?"""
    table = Table(title="Sensor ticks (ms; processor: of our own process)")
    for name in ("storage", "sensor"):
        table.add_column(name)
    for name in ("pending", "asks", "uploads", "ticks", "median", "p95", "worst", "processor", "LIST"):
        table.add_column(name, justify="right")
    for load in loads:
        ticks = sorted(load.ticks, key=_kind)
        for _, same in groupby(ticks, key=_kind):
            for part in _quarters(list(same)):
                _add_ticks(table, load.kind, part)
    return table


def _kind(tick: Tick) -> tuple[str, int, int]:
    return tick.sensor, tick.pending, tick.asked_for


def _quarters(ticks: list[Tick]) -> list[list[Tick]]:
    """The ticks over the smallest and over the largest archives; all of them where there are few."""
    ordered = sorted(ticks, key=lambda tick: tick.archive)
    quarter = len(ordered) // 4
    return [ordered[:quarter], ordered[-quarter:]] if quarter else [ordered]


def _add_ticks(table: Table, kind: str, ticks: Sequence[Tick]) -> None:
    sizes = sorted({tick.archive for tick in ticks})
    table.add_row(
        kind,
        ticks[0].sensor,
        str(ticks[0].pending),
        str(ticks[0].asked_for),
        f"{sizes[0]} to {sizes[-1]}",
        str(len(ticks)),
        *_spread([1000 * tick.cost.seconds for tick in ticks], digits=0),
        f"{1000 * median(tick.cost.own_seconds for tick in ticks):.0f}",
        str(round(median(tick.cost.requests.list for tick in ticks))),
    )


def _spread(values: Sequence[float], *, digits: int) -> list[str]:
    """Median, 95th percentile and worst."""
    p95 = quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return [f"{value:.{digits}f}" for value in (median(values), p95, max(values))]


def orchestration_table(loads: Sequence[Load], empty: dict[str, list[EmptyRun]]) -> Table:
    """Seconds a run, of which Dagster's own are those of a run whose steps do nothing."""
    table = Table(title="Seconds a run in one process, without its start")
    for name in ("", "runs", "median", "p95", "worst", "processor"):
        table.add_column(name, justify="right" if name else "left")
    costs: dict[str, Sequence[Cost | EmptyRun]] = {}
    for load in loads:
        costs |= {f"{load.kind}: first run": load.submitting, f"{load.kind}: second run": load.finishing}
    costs |= {f"{name} with empty steps: Dagster alone": runs for name, runs in empty.items()}
    for name, runs in costs.items():
        spread = _spread([run.seconds for run in runs], digits=2)
        table.add_row(name, str(len(runs)), *spread, f"{median(run.own_seconds for run in runs):.2f}")
    for load in loads:
        each = load.instance_bytes / len(load.submitting) / 1e3
        table.add_row(f"{load.kind}: SQLite grows by", "", f"{each:.0f} kB a video")
    return table


def daemon_table(runs: Sequence[DaemonRun]) -> Table:
    """What a run takes on top when the daemon launches it."""
    table = Table(title=f"Seconds a run through the daemon of `slowmo up`: {videos_an_hour(runs):.0f} videos an hour")
    for name in ("", "median", "p95", "worst"):
        table.add_column(name, justify="right" if name else "left")
    for name in ("queued", "starting", "running"):
        table.add_row(name, *_spread([getattr(run, name) for run in runs], digits=1))
    return table


def archive_table(ticks: Sequence[Tick]) -> Table:
    """An idle tick over many uploads."""
    table = Table(title=f"Idle ticks of new_uploads over {ticks[0].archive:,} known uploads on S3")
    for name in ("LIST", "cursor, kB", "median, s", "p95", "worst", "processor, s"):
        table.add_column(name, justify="right")
    spread = _spread([tick.cost.seconds for tick in ticks], digits=2)
    own = mean(tick.cost.own_seconds for tick in ticks)
    table.add_row(str(ticks[0].cost.requests.list), f"{ticks[0].cursor_bytes / 1e3:.0f}", *spread, f"{own:.2f}")
    return table


def limits_table(load: Load, runs: Sequence[DaemonRun], archive: Sequence[Tick], *, videos: int, chunks: int) -> Table:
    """What gives way on the way to so many videos at once."""
    table = Table(title=f"On the default instance, at {videos:,} videos of {chunks} chunks at once")
    for name in ("what", "arithmetic", "there", "limit"):
        table.add_column(name)
    for limit in limits(load, runs, archive, videos=videos, chunks=chunks):
        table.add_row(limit.what, limit.arithmetic, limit.now, limit.reached_at)
    return table


def _load_averages() -> str:
    return "load averages " + " ".join(f"{average:.1f}" for average in os.getloadavg())


if __name__ == "__main__":
    main()
