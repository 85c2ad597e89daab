"""One worker a GPU: how GPUs are counted, and that each worker sees its own alone."""

import asyncio
import os
from pathlib import Path

import pytest

from slowmo_pipeline.serving.gpus import see_only, visible_gpus
from slowmo_pipeline.serving.local.endpoint_spec import EndpointSpec
from slowmo_pipeline.serving.local.server import _fitting_workers
from slowmo_pipeline.serving.local.worker_process import Worker, WorkerSettings


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What NVIDIA's driver shows on a machine with three GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for bus in ("0000:00:1b.0", "0000:00:1c.0", "0000:00:1d.0"):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
    return tmp_path / "gpus"


def test_gpus_are_those_of_the_driver(driver: Path) -> None:
    assert visible_gpus(driver=driver) == ["0", "1", "2"]
    assert visible_gpus(driver=driver / "none") == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [("2,0", ["2", "0"]), ("GPU-8932f937, GPU-5cbd44c1", ["GPU-8932f937", "GPU-5cbd44c1"]), ("1,-1,2", ["1"])]
    + [(nothing, []) for nothing in ("", "-1")],
)
def test_gpus_are_those_that_the_process_may_see(
    driver: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus(driver=driver) == expected


def test_a_place_beyond_the_gpus_shares_one(driver: Path) -> None:
    environment: dict[str, str] = {}
    see_only(4, environment, driver=driver)
    assert environment == {"CUDA_VISIBLE_DEVICES": "1"}


def test_without_a_gpu_nothing_is_said_of_any(driver: Path) -> None:
    environment: dict[str, str] = {}
    see_only(0, environment, driver=driver / "none")
    assert environment == {}
    see_only(2, environment, otherwise="2", driver=driver / "none")
    assert environment == {"CUDA_VISIBLE_DEVICES": "2"}


def test_an_interpolator_that_fills_a_gpu_gets_a_worker_on_each(monkeypatch: pytest.MonkeyPatch) -> None:
    film = [EndpointSpec.parse("flow"), EndpointSpec.parse("film")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,3")
    assert _fitting_workers(film) == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert _fitting_workers(film) == 1


def test_a_worker_sees_the_gpu_of_its_place_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    endpoint = EndpointSpec.parse("told=slowmo_pipeline_tests.support.interpolators:ToldGpu")
    settings = WorkerSettings(tmp_path.as_uri(), [endpoint], count=2)

    async def told(place: int) -> str:
        worker = await Worker.start(settings, place)
        await worker.kill()
        return worker.model_ids["told"]

    assert [asyncio.run(told(place)) for place in (0, 1)] == ["gpu-5", "gpu-7"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"
