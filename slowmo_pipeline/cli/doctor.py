"""`slowmo doctor`: what can be wrong, looked at one by one."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rich.filesize import decimal

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline.endpoint.record import served
from slowmo_pipeline.endpoint.sagemaker import status_of
from slowmo_pipeline.environment import REQUIRE_GPU, Home, gpu_required
from slowmo_pipeline.errors import DiskFullError, EncodeError, EndpointError, HomeError, NoGpuError, SlowmoError
from slowmo_pipeline.locks import opened, try_lock
from slowmo_pipeline.machine.home import locked
from slowmo_pipeline.machine.up import check_port
from slowmo_pipeline.models.library import fetched_models
from slowmo_pipeline.serving.gpus import visible_gpus
from slowmo_pipeline.storage.keys import ENDPOINTS
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.binary import ffmpeg_binary
from slowmo_pipeline.video.trial import try_codec
from slowmo_pipeline.video.writer import CODECS

UI_PORT = 3000
_LOW_DISK_BYTES = 5 * 10**9
_PACKAGES = ("dagster", "dagster-webserver", "boto3", "av", "opencv-python-headless")

State = Literal["ok", "note", "PROBLEM"]
"""A note is of what not everybody needs."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    state: State
    what: str
    told: str
    """The fact, or what is wrong with its next step."""


def diagnose(home: Home) -> Iterator[Finding]:
    """Look at each; a problem stops no other."""
    yield Finding("ok", "Python", sys.version.split()[0])
    yield Finding("ok", "packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    ffmpeg = _looked_at("ffmpeg", ffmpeg_binary)
    yield ffmpeg
    for codec in CODECS if ffmpeg.state == "ok" else ():
        yield _looked_at(f"codec {codec}", partial(_codec, codec))
    yield _looked_at("home", partial(_home, home))
    yield _looked_at("disk", partial(_disk, home.root))
    if home.has_bucket:
        yield _looked_at("AWS", _aws)
    elif home.storage_url.startswith("/"):
        yield _looked_at("disk of the storage", partial(_disk, Path(home.storage_url)))
    yield _looked_at("storage", partial(_storage, home))
    yield _looked_at("endpoint", partial(_endpoint, home))
    yield from _deployed(home)
    yield _looked_at("port", partial(_port, home))
    yield _looked_at("GPU", _gpu)
    yield _looked_at("film", partial(_film, home))


class _Note(Exception):  # noqa: N818  # no error: not everybody needs it
    """What could be wanted is not there."""


def _looked_at(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding("ok", what, look())
    except _Note as note:
        return Finding("note", what, str(note))
    except (SlowmoError, OSError) as error:  # whatever is wrong, the other findings are told
        return Finding("PROBLEM", what, str(error))


def _codec(codec: str) -> str:
    try:
        try_codec(codec)
    except EncodeError as error:
        raise EncodeError(
            f"{error} Unset FFMPEG_BINARY, or let it name an ffmpeg that has {CODECS[codec].options['c:v']}."
        ) from error
    return "a frame was encoded"


def _home(home: Home) -> str:
    with locked(home, "doctor"):
        return str(home.root)


def _storage(home: Home) -> str:
    storage = open_storage(home.storage_url)
    key = "doctor.txt"
    storage.write(key, b"Written by slowmo doctor.")
    storage.delete([key])
    return f"{storage.url} can be written"


def _disk(folder: Path) -> str:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < _LOW_DISK_BYTES:
        raise DiskFullError(
            f"{decimal(free)} free: a minute of 1080p at 4x needs about {decimal(_LOW_DISK_BYTES)}. Free some, run "
            "`slowmo clean`, or set SLOWMO_HOME to a folder on a larger disk."
        )
    return f"{decimal(free)} free"


def _aws() -> str:
    with errors_as_endpoint_error():
        return str(Aws().sts.get_caller_identity()["Arn"])


def _endpoint(home: Home) -> str:
    address = live_endpoint(home.endpoint)
    return f"live at {address.url}" if address else "none runs here; `slowmo run` and `up` start one"


def _deployed(home: Home) -> Iterator[Finding]:
    """A finding for each endpoint at SageMaker that the storage knows."""
    try:
        storage = open_storage(home.storage_url)
        keys = [entry.key for entry in storage.list(ENDPOINTS)]
    except SlowmoError:
        return  # the finding of the storage tells it
    for name in (key.removeprefix(ENDPOINTS).removesuffix(".json") for key in keys):
        try:
            at_sagemaker = served(storage, name).sagemaker_endpoint
        except EndpointError as error:
            yield Finding("PROBLEM", f"endpoint {name}", str(error))
            continue
        if at_sagemaker:
            yield _looked_at(f"endpoint {name}", partial(_in_service, at_sagemaker))


def _in_service(endpoint: str) -> str:
    status = status_of(endpoint)
    if status not in ("InService", "Updating"):
        raise EndpointError(f"{endpoint} is {status}: `slowmo endpoint status` says why, `deploy` beside it mends it.")
    return f"{endpoint} is {status}"


def _port(home: Home) -> str:
    with opened(home.locks / "up.lock") as descriptor:
        if not try_lock(descriptor):
            return "`slowmo up` runs"
    try:
        check_port(UI_PORT)
    except HomeError:
        raise _Note(f"{UI_PORT} is taken: start `slowmo up --port {UI_PORT + 1}`, say") from None
    return f"{UI_PORT} is free for `slowmo up`"


def _gpu() -> str:
    gpus = visible_gpus()
    if gpus:
        return f"to be seen: {', '.join(gpus)}"
    if gpu_required():
        raise NoGpuError(f"None is seen, and {REQUIRE_GPU} is set: install NVIDIA's driver, or unset it.")
    raise _Note("none is seen: film takes seconds a frame on the cores; flow needs none")


def _film(home: Home) -> str:
    if find_spec("tensorflow") is None:
        raise _Note("TensorFlow is not installed: pip install 'slowmo_pipeline[film]', if it is wanted")
    names = fetched_models(home)
    if not names:
        raise _Note("no model; `slowmo model fetch` gets one, if it is wanted")
    return f"models: {', '.join(names)}"
