"""A video's whole way through AWS, without an account: from deploying its endpoint to deleting it.

moto holds the bucket, the topics and SageMaker's control plane; a server with nothing but the requirements of the
container runs what it finds in the deployed model.tar.gz; `slowmo up` with its daemon does the rest.
"""

import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.serving.container.package import write_package
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys, sidecar_key, video_id_of
from slowmo_pipeline.video.reader import probe, read_frames
from slowmo_pipeline_tests.support.aws_stage import Stage, aws_stage, container_runtime
from slowmo_pipeline_tests.support.containers import LEVELS, average_model, container_python, serving
from slowmo_pipeline_tests.support.film_models import average, noise
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.media import write_clip
from slowmo_pipeline_tests.support.operator_topic import OperatorTopic, make_topic
from slowmo_pipeline_tests.support.pipeline import LIMITS
from slowmo_pipeline_tests.support.processes import SLOWMO, Processes, free_port
from slowmo_pipeline_tests.support.sagemaker_server import Stage as Deployment
from slowmo_pipeline_tests.support.stored import write_json

UPLOAD = "uploads/clip.mkv"
VIDEO_ID = video_id_of(UPLOAD)
SOURCE = [noise(90, 150, seed=number) for number in range(4)]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with aws_stage() as stage:
        yield stage


@pytest.fixture
def storage(stage: Stage) -> Storage:
    return stage.storage(str(uuid.uuid4()))


@pytest.fixture
def operator(stage: Stage) -> OperatorTopic:
    return make_topic()


@pytest.fixture
def package(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real package, of a FILM whose weights are made to average."""
    model, package = average_model(tmp_path_factory), tmp_path / "model.tar.gz"
    model_id = load_film(model, pyramid_levels=LEVELS).model_id
    write_package(package, "film", model, {"pyramid_levels": LEVELS}, model_id=model_id)
    return package


@contextmanager
def slowmo_up(storage: Storage, operator: OperatorTopic, folder: Path) -> Iterator[None]:
    """`slowmo up` over the bucket, ready for uploads; none of its processes outlives the with statement."""
    processes = Processes(folder)
    out, err = folder / "up.out", folder / "up.err"
    environment = {
        **os.environ,
        "SLOWMO_HOME": str(processes.home.root),
        "SLOWMO_STORAGE": storage.url,
        "SLOWMO_OPERATOR_TOPIC": operator.arn,
    }
    ports = ("--port", str(free_port()), "--gallery-port", str(free_port()))
    command = [str(SLOWMO), "up", *ports, "--workers", "1"]
    with (
        out.open("wb") as stdout,
        err.open("wb") as stderr,
        subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr, start_new_session=True) as process,
        processes,
    ):
        eventually(lambda: "Uploads" in err.read_text() or process.poll() is not None)
        assert process.poll() is None, err.read_text()
        yield


@contextmanager
def instance_of(deployment: Deployment, stage: Stage, python: Path, folder: Path) -> Iterator[None]:
    """What SageMaker starts for the endpoint: a container that serves the package that its model names."""
    package, model = folder / "deployed.tar.gz", folder / "opt_ml_model"
    deployment.storage.download(
        deployment.storage.key_of(deployment.model()["PrimaryContainer"]["ModelDataUrl"]), package
    )
    with tarfile.open(package) as tar:
        tar.extractall(model, filter="data")
    with (
        serving(python, model, folder / "container") as server,
        container_runtime(deployment.storage, server.ready().port) as runtime,
    ):
        stage.runtime.target = runtime
        yield


def upload(storage: Storage, folder: Path) -> None:
    """Drop the clip as people do; its settings first, since the sensor takes a clip as soon as it sees it."""
    clip = write_clip(folder / "clip.mkv", SOURCE, codec="ffv1", pixel_format="bgr0")
    write_json(storage, sidecar_key(UPLOAD), {"interpolator": "film", "codec": "ffv1", "slowdown": 2, "cuts": "off"})
    storage.upload(clip, UPLOAD)


def assert_blended(storage: Storage) -> None:
    """The final video shows each frame of the source, and between two of them their mean, to the bit."""
    with storage.local_file(VideoKeys(VIDEO_ID).final(".mkv")) as path:
        made = [frame for _, frame in read_frames(path, probe(path, limits=LIMITS))]
    expected = [frame for one, other in pairwise(SOURCE) for frame in (one, average(one, other))]
    assert len(made) == 2 * len(SOURCE)
    assert all(map(np.array_equal, made[:-2], expected))
    assert np.array_equal(made[-2], SOURCE[-1])


def test_video_from_deployment_to_deletion(
    stage: Stage,
    storage: Storage,
    operator: OperatorTopic,
    package: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    python = container_python(tmp_path_factory)
    deployment = Deployment(storage, tmp_path, stage.script)
    deployment.package = package
    with slowmo_up(storage, operator, tmp_path):
        before = deployment.everything()
        deployment.deploy()
        with instance_of(deployment, stage, python, tmp_path):
            upload(storage, tmp_path)
            eventually(lambda: storage.stat(VideoKeys(VIDEO_ID).finals[0]))
            heard = eventually(operator.told)
        assert_blended(storage)
        assert [(notice["state"], notice["video_id"], notice["video"]) for notice in heard] == [
            ("finished", VIDEO_ID, storage.uri(VideoKeys(VIDEO_ID).final(".mkv")))
        ]
        assert len(stage.runtime.forwarded) == 1
        assert deployment.delete()
        assert deployment.everything() == before
        assert [*storage.list("failures/")] == [*storage.list("pending/")] == []
