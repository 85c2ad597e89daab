"""A worker process of the local server: reads a chunk from the storage, runs the handler, writes the result.

It speaks JSON lines over the socket it inherits: on start it says which models it loaded, then answers each line that
it is sent with one, after any number that tell what keeps it. Bodies never cross the socket. `worker_process.py`
starts `main` with SOCKET STORAGE NAME=SPEC ….
"""

import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO, TypeVar

from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES
from slowmo_pipeline.errors import SlowmoError, StorageError
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.interpolation.catalog import InterpolatorSpec
from slowmo_pipeline.serving.failure import LONGEST_MESSAGE, PAYLOAD_TOO_LARGE, Failure
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.storage.patience import local_server_pauses

_T = TypeVar("_T")


def main() -> None:
    """Serve jobs until the server's end of the socket closes."""
    # A service manager signals every process of the server; the server decides when its workers end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    descriptor, storage_url, *endpoints = sys.argv[1:]
    connection = socket.socket(fileno=int(descriptor))
    answers = connection.makefile("w", encoding="utf-8")
    storage = open_storage(storage_url)
    try:
        specs = (entry.split("=", 1) for entry in endpoints)
        interpolators = {name: InterpolatorSpec.parse(spec).make() for name, spec in specs}
    except SlowmoError as error:
        sys.exit(str(error))
    jobs: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_read_jobs, args=[connection.makefile("r", encoding="utf-8"), jobs], daemon=True).start()
    _say(answers, {name: interpolator.model_id for name, interpolator in interpolators.items()})
    while True:
        job = jobs.get()
        _say(answers, run(job, storage, interpolators[job["endpoint"]], lambda why: _say(answers, {"trouble": why})))
        _give_memory_back()


def run(
    job: Mapping[str, str], storage: Storage, interpolator: Interpolator, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Do one job: `{"input": key, "result": key, …}`.

    Returns `{}` when the result is stored, and `{"failure": {code, error, message}}` when the request failed. What the
    storage refuses is tried again with patience, and told each time; the new frames are made once.
    """
    try:
        found = _patiently(lambda: storage.stat(job["input"]), tell)
        if found is not None and found.size > MAX_TAR_BYTES:
            message = f"{job['input']} has {found.size} bytes, of {MAX_TAR_BYTES} allowed: plan smaller chunks."
            return {"failure": asdict(Failure(PAYLOAD_TOO_LARGE, "PayloadTooLarge", message))}
        body = _patiently(lambda: storage.read(job["input"]), tell)
        result = handle(body, interpolator)
        _patiently(lambda: storage.write(job["result"], result), tell)
    except Exception as error:  # whatever an interpolator or a storage raises; the failure object says it
        return {"failure": asdict(Failure.of(error))}
    return {}


def _patiently(action: Callable[[], _T], tell: Callable[[str], None]) -> _T:
    for pause in local_server_pauses():
        try:
            return action()
        except StorageError as error:
            tell(str(error)[:LONGEST_MESSAGE])
            time.sleep(pause)
    return action()


def _give_memory_back() -> None:
    """Let go of what a chunk needed: glibc keeps freed memory, and a worker idles while the video is encoded."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc; others have no such habit
        libc.malloc_trim(0)


def _say(answers: TextIO, value: Any) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def _read_jobs(lines: TextIO, jobs: "SimpleQueue[Any]") -> None:
    try:
        for line in lines:
            jobs.put(json.loads(line))
    finally:
        # The server is gone, SIGKILL included: whatever is being computed has nobody to go to. The socket ends, or
        # is reset when the server died with an answer unread.
        os._exit(0)
