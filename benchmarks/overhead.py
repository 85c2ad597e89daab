"""What the pipeline costs over the bare work: decode, flow and encode, with the same number of processes.

`python -m benchmarks.overhead` runs both on bikes.mp4 at 4x, in turns, and prints the ratio of the best times.
Start-up (imports, instance, endpoint) is printed apart. Exits with 1 when the ratio is over the limit.
"""

import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from fractions import Fraction
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from benchmarks.clips import clip
from slowmo_pipeline.endpoint.local import use_endpoint
from slowmo_pipeline.environment import Home
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.interpolation.catalog import spec_of
from slowmo_pipeline.machine.home import open_instance
from slowmo_pipeline.machine.run import Pipeline
from slowmo_pipeline.planning.plan import Chunk, Plan
from slowmo_pipeline.progress import Quiet
from slowmo_pipeline.serving.local.worker_process import usable_cores
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.steps.inspect_upload import limits_of
from slowmo_pipeline.steps.planning import plan_of
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.reader import probe, read_frames
from slowmo_pipeline.video.writer import encode

LIMIT = 1.6
ROUNDS = 3


def main() -> None:
    """Measure both and compare."""
    source, settings = clip("bikes.mp4"), SlowMotionSettings()
    with tempfile.TemporaryDirectory() as folder:
        bare = min(bare_loop(source, Path(folder, "bare.mp4"), settings) for _ in range(ROUNDS))
        runs = [steady_run(Home(Path(folder, f"home{number}")), source, settings) for number in range(ROUNDS)]
    steady, startup = (min(seconds) for seconds in zip(*runs, strict=True))
    print(f"  bikes.mp4 at 4x with {usable_cores()} workers, best of {ROUNDS}")
    print(f"  bare loop of decode, flow, encode  {bare:6.2f} s")
    print(f"  pipeline, steady state             {steady:6.2f} s, {steady / bare:.2f} times (limit {LIMIT})")
    print(f"  its start-up                       {startup:6.2f} s, once a command")
    if steady > LIMIT * bare:
        sys.exit(f"The pipeline costs {steady / bare:.2f} times the bare loop.")


def bare_loop(source: Path, target: Path, settings: SlowMotionSettings) -> float:
    """Seconds for the work alone; the workers are started and warm before the clock runs."""
    workers = usable_cores()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_interpolator) as pool:
        for future in [pool.submit(os.getpid) for _ in range(workers)]:
            future.result()
        started = time.perf_counter()
        info = probe(source, limits=limits_of(settings))
        plan = plan_of(info, settings)
        encode(
            target,
            _merged(pool, read_frames(source, info), plan),
            info=info,
            frame_rate=plan.timeline.frame_rate,
            codec=settings.codec,
            crf=settings.crf,
            threads=settings.encoder_threads,
        )
        return time.perf_counter() - started


def steady_run(home: Home, source: Path, settings: SlowMotionSettings) -> tuple[float, float]:
    """Seconds for one clip through the pipeline of a fresh home, and for its start-up."""
    os.environ["SLOWMO_HOME"] = str(home.root)
    started = time.perf_counter()
    storage = open_storage(home.storage_url)
    with open_instance(home) as instance, use_endpoint(home.endpoint, storage.url):
        ready = time.perf_counter()
        Pipeline(home, instance, storage).run_clip(source, settings, Quiet())
        return time.perf_counter() - ready, ready - started


def _merged(pool: ProcessPoolExecutor, frames: Iterator[tuple[int, Frame]], plan: Plan) -> Iterator[Frame]:
    """Originals and new frames in order; the new ones are made a chunk at a time, some chunks ahead."""
    under_way: deque[tuple[list[Frame], Chunk, Future[list[Frame]]]] = deque()
    kept: list[tuple[int, Frame]] = []
    for chunk in plan.chunks:
        numbers = plan.frames_of(chunk)
        kept = [pair for pair in kept if pair[0] >= numbers[0]]
        while not kept or kept[-1][0] < numbers[-1]:
            kept.append(next(frames))
        images = [frame for _, frame in kept]
        new_frames = list(plan.new_frames(chunk))
        times = [[new.t for new in new_frames if new.frame == number] for number in numbers[:-1]]
        under_way.append((images, chunk, pool.submit(_render, images, times)))
        if len(under_way) > usable_cores():
            yield from _in_order(plan, *under_way.popleft())
    while under_way:
        yield from _in_order(plan, *under_way.popleft())
    number, last = kept[-1]
    yield from (last for _ in plan.outputs_of_frame(number))


def _in_order(plan: Plan, images: list[Frame], chunk: Chunk, rendered: "Future[list[Frame]]") -> Iterator[Frame]:
    new = iter(rendered.result())
    for number, image in zip(plan.frames_of(chunk)[:-1], images, strict=False):
        for _, is_new in plan.outputs_of_frame(number):
            yield next(new) if is_new else image


@cache
def _interpolator() -> Interpolator:
    import cv2

    cv2.setNumThreads(1)
    return spec_of("flow").make()


def _render(images: list[Frame], times: list[list[Fraction]]) -> list[Frame]:
    return list(_interpolator().render(images, times))


if __name__ == "__main__":
    main()
