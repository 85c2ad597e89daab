"""What a worker says, however long it is, never ends the server."""

import asyncio
import json
from pathlib import Path

import pytest

from slowmo_pipeline.serving.local.endpoint_spec import EndpointSpec
from slowmo_pipeline.serving.local.worker_process import Worker, WorkerDiedError, WorkerSettings
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline_tests.support import interpolators
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually

VERBOSE = f"verbose={interpolators.__name__}:Verbose"
ENDLESS = f"endless={interpolators.__name__}:Endless"


def test_failure_that_says_too_much_is_cut_and_the_next_request_runs(folder: Storage, tmp_path: Path) -> None:
    with LocalServer(tmp_path / "state", folder, f"--endpoint={VERBOSE}") as server:
        receipt = server.submit(100, name="said", EndpointName="verbose")
        key = folder.key_of(receipt["FailureLocation"])
        eventually(lambda: folder.stat(key))
        server.submit(100, name="next")
        eventually(lambda: folder.stat("results/next"))
    told = json.loads(folder.read(key))
    assert told["error"].startswith("LongLong")
    assert told["message"].startswith("üüü")
    assert len(folder.read(key)) < 65536


def test_worker_whose_answer_is_out_of_all_bounds_is_ended(folder: Storage) -> None:
    settings = WorkerSettings(folder.url, [EndpointSpec.parse(ENDLESS)], count=1)
    with pytest.raises(WorkerDiedError, match="its answer has more than"):
        asyncio.run(Worker.start(settings, 0))
