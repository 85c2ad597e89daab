"""The notebook runs as it stands: SageMaker's own SDK against the local endpoint, from the clip to the slow video."""

import base64
import io
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from slowmo_pipeline.chunks.files import ResultReader
from slowmo_pipeline.endpoint.local_state import ServerState
from slowmo_pipeline.interpolation.catalog import spec_of
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.storage.keys import FAILURES
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.support.aws_stage import aws_stage
from slowmo_pipeline_tests.support.local_server import LocalServer
from slowmo_pipeline_tests.support.notebook import executed
from slowmo_pipeline_tests.support.pipeline import LIMITS
from slowmo_pipeline_tests.support.places import REPOSITORY
from slowmo_pipeline_tests.support.sagemaker_server import Stage as Deployment

NOTEBOOK = REPOSITORY / "examples" / "slow_motion.ipynb"
FRAMES = 10


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ran(home: Path) -> Any:
    return executed(NOTEBOOK, {"SLOWMO_HOME": str(home), "SLOWMO_STORAGE": ""})


def shown(notebook: Any, kind: str) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


def test_the_sdk_s_request_gets_what_the_handler_makes_of_it(ran: Any, home: Path) -> None:
    storage = open_storage(str(home / "storage"))
    [answer] = [entry.key for entry in storage.list("") if entry.key.endswith(".out")]
    expected = handle(storage.read("notebook/input_frames.tar.gz"), spec_of("flow").make())
    pairs = zip(
        ResultReader(io.BytesIO(storage.read(answer))).frames(),
        ResultReader(io.BytesIO(expected)).frames(),
        strict=True,
    )
    assert [(number, (frame == other).all()) for (number, frame), (_, other) in pairs] == [
        (number, True) for number in range(4 * (FRAMES - 1)) if number % 4
    ]


def test_it_ends_with_videos_of_every_frame(ran: Any, home: Path) -> None:
    counts = {path.name: probe(path, limits=LIMITS).frame_count for path in (home / "notebook").glob("*.mp4")}
    assert counts == {"slow.mp4": 4 * (FRAMES - 1) + 1, "eight_times.mp4": 8 * FRAMES}
    assert len([*(home / "notebook" / "png").iterdir()]) == 8 * FRAMES


def test_input_and_result_are_shown(ran: Any) -> None:
    assert [base64.b64decode(image)[:3] for image in shown(ran, "image/jpeg")] == [b"\xff\xd8\xff"]
    assert ["<video" in text for text in shown(ran, "text/html")] == [True, True]


def test_no_endpoint_is_left_running(ran: Any, home: Path) -> None:
    assert not ServerState(home / "endpoint").has_server


def test_a_failure_is_told_by_the_endpoint_s_own_words(home: Path, tmp_path: Path) -> None:
    wrong = '(frames / "config.json").write_text(\'{"time_to_interpolate": 3}\')'
    environment = {"SLOWMO_HOME": str(tmp_path), "SLOWMO_STORAGE": ""}
    with pytest.raises(CellExecutionError, match=r"config\.json: 'align' is missing"):
        executed(NOTEBOOK, environment, changes={"config": wrong})
    assert [*open_storage(str(tmp_path / "storage")).list(FAILURES)]


def test_what_is_stored_shows_a_filmstrip_and_little_else() -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert len(shown(stored, "image/jpeg")) == 1
    assert NOTEBOOK.stat().st_size < 300_000
    assert str(Path.home()) not in NOTEBOOK.read_text()
    assert "/tmp" not in NOTEBOOK.read_text()


ON_AWS = """
import os

ON_AWS = True
INTERPOLATOR, ENDPOINT = "flow", "slowmo-flow"
ROLE, IMAGE = "arn:aws:iam::123456789012:role/slowmo", "123456789012.dkr.ecr.us-east-1.amazonaws.com/slowmo-film:latest"
"""
AT_SAGEMAKER = "--endpoint=slowmo-flow=slowmo_pipeline.interpolation.flow.interpolator:FlowInterpolator"


@pytest.mark.slow
def test_one_cell_takes_it_to_aws(tmp_path: Path) -> None:
    with aws_stage() as stage:
        storage = stage.storage("notebook")
        deployment = Deployment(storage, tmp_path, stage.script)
        with LocalServer(tmp_path / "state", storage, AT_SAGEMAKER, "--open") as runtime:
            stage.runtime.target = runtime.url
            before = deployment.everything()
            environment = {"SLOWMO_HOME": str(tmp_path / "home"), "SLOWMO_STORAGE": storage.url}
            executed(NOTEBOOK, environment, changes={"where": ON_AWS})
            assert deployment.everything() == before
        paths = [asked.path for asked in stage.runtime.forwarded]
        assert paths[0] == "/endpoints/slowmo-flow/async-invocations"
        assert len([*storage.list("notebook/slow_frames/")]) == 4 * (FRAMES - 1) + 1
