"""`slowmo doctor`: what the pipeline needs, looked at one by one."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

from rich.filesize import decimal

from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import DiskFullError, EncodeError, SlowmoError
from slowmo_pipeline.machine.home import locked
from slowmo_pipeline.models.library import fetched_models
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.binary import encoders, ffmpeg_binary
from slowmo_pipeline.video.writer import CODECS

_LOW_DISK_BYTES = 5 * 10**9
_PACKAGES = ("dagster", "dagster-webserver", "boto3", "av", "opencv-python-headless")


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    good: bool
    what: str
    told: str
    """The fact, or the problem with its next step."""


def diagnose(home: Home) -> Iterator[Finding]:
    """Look at Python, packages, ffmpeg, the home, the storage, the disk and the endpoint."""
    yield Finding(sys.version_info >= (3, 10), "Python", sys.version.split()[0])
    yield Finding(True, "packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    yield _looked_at("ffmpeg", _ffmpeg)
    yield _looked_at("home", lambda: _home(home))
    yield _looked_at("storage", lambda: _storage(home))
    yield _looked_at("disk", lambda: _disk(home))
    yield _looked_at("film", lambda: _film(home))
    yield _looked_at("endpoint", lambda: _endpoint(home))


def _looked_at(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(True, what, look())
    except (SlowmoError, OSError) as error:  # whatever is wrong, the other findings are told
        return Finding(False, what, str(error))


def _ffmpeg() -> str:
    missing = {codec.options["c:v"] for codec in CODECS.values()} - encoders()
    if missing:
        raise EncodeError(f"{ffmpeg_binary()} cannot encode {', '.join(sorted(missing))}: unset FFMPEG_BINARY.")
    return ffmpeg_binary()


def _film(home: Home) -> str:
    if find_spec("tensorflow") is None:
        return "TensorFlow is not installed: pip install 'slowmo_pipeline[film]', if it is wanted"
    names = fetched_models(home)
    return f"models: {', '.join(names)}" if names else "no model; `slowmo model fetch` gets one, if it is wanted"


def _home(home: Home) -> str:
    with locked(home, "doctor"):
        return str(home.root)


def _storage(home: Home) -> str:
    storage = open_storage(home.storage_url)
    key = "doctor.txt"
    storage.write(key, b"Written by slowmo doctor.")
    storage.delete([key])
    return storage.url


def _disk(home: Home) -> str:
    there = next(place for place in (home.root, *home.root.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < _LOW_DISK_BYTES:
        raise DiskFullError(
            f"{decimal(free)} free: a minute of 1080p at 4x needs about {decimal(_LOW_DISK_BYTES)}. Free some, run "
            "`slowmo clean`, or set SLOWMO_HOME to a folder on a larger disk."
        )
    return f"{decimal(free)} free"


def _endpoint(home: Home) -> str:
    address = live_endpoint(home.endpoint)
    return f"live at {address.url}" if address else "none runs; `slowmo run` and `up` start one"
