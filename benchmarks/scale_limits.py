"""From what was measured to what breaks first: plain arithmetic over limits of SageMaker, S3 and Dagster."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.scale_dagster import DaemonRun
from benchmarks.scale_load import Load, Tick
from benchmarks.scale_stage import Requests
from slowmo_pipeline.defs.video_sensors import TICK_SECONDS
from slowmo_pipeline.endpoint.client import QUEUE_SECONDS

USD_PER_MILLION = {"put": 5.0, "list": 5.0, "get": 0.4, "head": 0.4}
"""List prices of S3 Standard in us-east-1 as of December 2025, to be checked; SageMaker has none for an invocation."""

RUN_SLOTS = 2
"""`max_concurrent_runs` of the default instance."""
SENSOR_SECONDS = 10
"""`minimum_interval_seconds` of both sensors."""
DAY = 86_400
TICK_LIMIT_SECONDS = 60
"""Dagster's own, for the evaluation of a tick."""
RETAINED_DAYS = 7
"""How long Dagster keeps ticks that found nothing; each holds the sensor's cursor."""
MAX_PARTITIONS = 100_000
"""What Dagster's documentation allows."""

ASSUMED_LIST_SECONDS = 0.15
ASSUMED_GET_SECONDS = 0.03
"""Answers of the real S3 from within its region. Assumed: nothing here ran against AWS."""
EXAMPLE_INSTANCES = 5
EXAMPLE_CHUNK_SECONDS = 10
"""An endpoint to calculate with: the most instances of the reference solution, and a speed nobody measured."""


@dataclass(frozen=True)
class Limit:
    """Something that ends the growth."""

    what: str
    arithmetic: str
    now: str
    """At the size that is asked for."""
    reached_at: str


def usd(requests: Requests) -> float:
    """What those requests cost on S3."""
    counts: dict[str, int] = vars(requests)
    return sum(counts[kind] * price for kind, price in USD_PER_MILLION.items()) / 1e6


def videos_an_hour(runs: Sequence[DaemonRun]) -> float:
    """What the default instance gets through: each run holds a slot from its launch to its end, a video has two."""
    return 3600 * RUN_SLOTS / (2 * mean(run.starting + run.running for run in runs))


def pending_cost(load: Load) -> tuple[float, Requests]:
    """Seconds of our own and requests that a look at one pending video takes, the tick's own share taken off."""
    looks = [tick for tick in load.ticks if tick.sensor == "completed_outputs" and not tick.asked_for]
    idle = [tick.cost for tick in looks if not tick.pending]
    most = max(tick.pending for tick in looks)
    busy = [tick.cost for tick in looks if tick.pending == most]
    own = (mean(cost.own_seconds for cost in busy) - mean(cost.own_seconds for cost in idle)) / most
    more = busy[0].requests - idle[0].requests
    return own, Requests(**{kind: round(count / most) for kind, count in vars(more).items()})


def limits(load: Load, runs: Sequence[DaemonRun], archive: Sequence[Tick], *, videos: int, chunks: int) -> list[Limit]:
    """What gives way when `videos` are in the storage, and all come at once."""
    ticks_a_day = DAY // SENSOR_SECONDS
    return [
        _pending(videos, *pending_cost(load)),
        _queue(videos, chunks),
        _cursor(videos, archive[0], ticks_a_day),
        _run_slots(videos, videos_an_hour(runs)),
        _listing(videos, archive, ticks_a_day),
        _sqlite(videos, load),
        Limit("partitions", "one a video", f"{videos:,}", f"{MAX_PARTITIONS:,} videos"),
    ]


def _pending(videos: int, own: float, requests: Requests) -> Limit:
    each = own + requests.list * ASSUMED_LIST_SECONDS + requests.get * ASSUMED_GET_SECONDS
    return Limit(
        "a look at every pending video",
        f"{requests.list} LIST, {requests.get} GET, {own * 1000:.0f} ms of our own = {each:.2f} s each",
        f"{videos * each:,.0f} s a tick",
        f"{TICK_SECONDS / each:,.0f} pending at once ({TICK_SECONDS} s)",
    )


def _queue(videos: int, chunks: int) -> Limit:
    fitting = QUEUE_SECONDS * EXAMPLE_INSTANCES // EXAMPLE_CHUNK_SECONDS
    return Limit(
        "SageMaker forgets what queued for 6 h",
        f"{QUEUE_SECONDS:,} s x {EXAMPLE_INSTANCES} instances / {EXAMPLE_CHUNK_SECONDS} s a chunk",
        f"{videos * chunks:,} chunks",
        f"{fitting:,} chunks or {fitting // chunks:,} videos at once",
    )


def _cursor(videos: int, tick: Tick, ticks_a_day: int) -> Limit:
    each = tick.cursor_bytes / tick.archive
    kept = tick.cursor_bytes * ticks_a_day * RETAINED_DAYS
    return Limit(
        "the upload sensor's cursor in every tick",
        f"{each:.0f} B a video x {ticks_a_day:,} ticks a day x {RETAINED_DAYS} days",
        f"{kept * videos / tick.archive / 1e9:.1f} GB kept",
        f"{10e9 / (each * ticks_a_day * RETAINED_DAYS):,.0f} videos (10 GB)",
    )


def _run_slots(videos: int, an_hour: float) -> Limit:
    return Limit(
        f"{RUN_SLOTS} runs at a time",
        f"3,600 s x {RUN_SLOTS} / (2 runs x {3600 * RUN_SLOTS / 2 / an_hour:.1f} s)",
        f"{videos / an_hour:,.0f} h for all",
        f"{an_hour * 24:,.0f} videos a day",
    )


def _listing(videos: int, archive: Sequence[Tick], ticks_a_day: int) -> Limit:
    own = mean(tick.cost.own_seconds for tick in archive) / archive[0].archive
    pages = -(-videos // 1000)
    each = own + ASSUMED_LIST_SECONDS / 1000
    daily = usd(Requests(list=pages * ticks_a_day))
    return Limit(
        "a listing of all uploads",
        f"{own * 1e6:.0f} us of our own and 1/1000 LIST an upload",
        f"{videos * each:.1f} s a tick, ${daily:.2f} a day",
        f"{TICK_LIMIT_SECONDS / each:,.0f} uploads ({TICK_LIMIT_SECONDS} s)",
    )


def _sqlite(videos: int, load: Load) -> Limit:
    each = load.instance_bytes / len(load.submitting)
    return Limit(
        "Dagster's SQLite files",
        f"{each / 1e6:.2f} MB a video, a file for each of its 2 runs",
        f"{videos * each / 1e9:.1f} GB in {2 * videos:,} files",
        f"{100e9 / each:,.0f} videos (100 GB)",
    )
