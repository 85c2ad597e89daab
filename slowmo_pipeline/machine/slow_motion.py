"""`slowmo run` for programs: one clip in, its slow motion out. Nothing is printed."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from slowmo_pipeline.endpoint.record import is_deployed
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.machine.destination import Output
from slowmo_pipeline.machine.local_endpoints import local_endpoints
from slowmo_pipeline.machine.run import open_pipeline
from slowmo_pipeline.settings import SlowMotionSettings, overlaid, parse_settings
from slowmo_pipeline.steps.clips import IMAGE_RATE, named, parse_image_rate, require_clip
from slowmo_pipeline.steps.frame_files import write_frames as write
from slowmo_pipeline.steps.inspect_upload import defaults
from slowmo_pipeline.steps.upload import settings_of
from slowmo_pipeline.storage.opening import open_storage

# As libraries do: whoever calls decides where log records go, and Python prints none of its own accord.
logging.getLogger("slowmo_pipeline").addHandler(logging.NullHandler())

logger = logging.getLogger(__name__)

_TURN = threading.Lock()
"""Dagster's runs share more of a process than two threads can: its log handlers, for one."""

OnProgress = Callable[[str, int, int, str], None]
"""Called with a stage (probe, cut, interpolate, encode …), how much of it is done, of how much (0: not known yet), and
the unit: frames, chunks or bytes."""


@dataclass(frozen=True)
class Result:
    """A finished slow-motion video."""

    path: str
    """Where it lies: `output` if that was given, else a path or `s3://…` in the storage."""
    frames: int
    seconds: float
    """Its length."""
    notes: tuple[str, ...]
    """Sentences on what is not as one might expect."""
    losses: tuple[str, ...]
    """Sentences on frames or sound that were lost, and on checks that failed."""
    report: str
    """Where its report lies, an HTML page."""
    video: str
    """Its id, by which `write_frames` and the command line know it."""


def slow_motion(
    clip: str | os.PathLike[str],
    settings: SlowMotionSettings | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    image_rate: Fraction | float | str | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Result:
    """Make the slow motion of a video file or a folder of images, as `slowmo run` does; returns once it is finished.

    `options` are settings by name, such as `slowdown=4` or `codec="prores"`. They win over those set in
    `settings`, then come CLIP.slowmo.json beside the clip and the storage's settings.json.

    A folder of images, in the order of their names, plays `image_rate` of them a second: 24 or "24000/1001"; unset: 25.

    `output` is a file or a folder for a copy of the result. A folder gets it under the clip's name, and an existing
    file is replaced only with `overwrite`. SLOWMO_HOME and SLOWMO_STORAGE say where the work lives. What an earlier
    call made, or left half done, is not made again.

    It may be called again and again, and from any thread: calls take turns. A running event loop is blocked meanwhile,
    unless the call is `await asyncio.to_thread(slow_motion, …)`. Ctrl-C is a KeyboardInterrupt as ever, and the next
    call goes on where that one stopped.

    Raises SlowmoError, whose message names the next step: SettingsError for a bad value, StorageError for a clip that
    cannot be read or an output that cannot be written, RunFailedError for what went wrong on the way.
    """
    home, source = current_home(), named(Path(clip))
    rate = IMAGE_RATE if image_rate is None else parse_image_rate(image_rate)
    given = settings.model_dump(mode="json", exclude_unset=True) if settings else {}
    given = overlaid(given, options)
    parse_settings(given, origin="The options")
    place = None if output is None else Output((source,), overwrite, os.fspath(output))
    require_clip(source)
    storage = open_storage(home.storage_url)
    chosen = settings_of(source, defaults=defaults(storage), options=given)
    path = place.of(source, chosen) if place else None
    local_specs = [] if is_deployed(storage, chosen.interpolator) else local_endpoints([chosen.interpolator])
    with _TURN, _no_running_loop(), _handlers_kept(), open_pipeline(home, storage, endpoints=local_specs) as pipeline:
        outcome = pipeline.run_clip(source, chosen, _Listener(on_progress), image_rate=rate)
    if place and path:
        place.deliver(storage, outcome.key, path)
    return Result(
        path=str(path) if path else storage.display_path(outcome.key),
        frames=outcome.frames,
        seconds=float(outcome.seconds),
        notes=outcome.notes,
        losses=outcome.grave,
        report=storage.display_path(outcome.report),
        video=outcome.video_id,
    )


def write_frames(
    video: str, folder: str | os.PathLike[str], *, overwrite: bool = False, on_progress: OnProgress | None = None
) -> Path:
    """Write the frames of a finished video to a folder as PNG, as `slowmo frames` does; returns its path.

    `video` is its id, `Result.video`. Raises SlowmoError, whose message names the next step.
    """
    storage = open_storage(current_home().storage_url)
    place = Path(folder)
    write(storage, video, place, overwrite=overwrite, progress=_Listener(on_progress))
    return place


@contextmanager
def _no_running_loop() -> Iterator[None]:
    """Hide the event loop that runs in this thread, as it does in a notebook: Dagster runs one of its own.

    The call blocks it in any case.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Restore the signal handlers: Dagster makes SIGTERM act like SIGINT, and does not undo that."""
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Listener:
    """Hands progress to whoever called; what else a run has to say goes to the log."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        if self._on_progress is not None:
            self._on_progress(stage, done, total, unit)

    def note(self, message: str) -> None:
        logger.warning("%s", message)
