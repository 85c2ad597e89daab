"""What runs in a container, without one: an unpacked package, a Python with its requirements alone, the two servers."""

import base64
import hashlib
import http.client
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import tarfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from slowmo_pipeline.chunks.documents import Want
from slowmo_pipeline.chunks.files import write_chunk
from slowmo_pipeline.chunks.images import ImageFormat
from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.serving.container.model_folder import read_properties
from slowmo_pipeline.serving.container.package import write_package
from slowmo_pipeline_tests.support import interpolators
from slowmo_pipeline_tests.support.film_models import average_film, noise
from slowmo_pipeline_tests.support.interpolators import HELD, STUCK
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.places import REPOSITORY
from slowmo_pipeline_tests.support.processes import free_port

REQUIREMENTS = (
    REPOSITORY / "slowmo_pipeline" / "serving" / "container" / "djl" / "requirements.txt",
    REPOSITORY / "slowmo_pipeline" / "interpolation" / "film" / "requirements.txt",
    REPOSITORY / "deploy" / "serving" / "requirements.txt",
)
"""The adapter's and FILM's, which DJL Serving installs, and what our own image adds."""

STAND_IN = Path(__file__).with_name("djl_stand_in")

LEVELS = 2
"""Pyramid levels of `average_model`: it is loaded in a third of the time that the usual seven take."""

FILM_OPTIONS: Mapping[str, Any] = {"pyramid_levels": LEVELS, "block_height": 2}

DEVICES = ("GPU:0", "GPU:1")
"""What the stand-in for FILM says that there are."""

BROKEN, TELLS_GPU, BUSY = 9, 10, 11
"""Grey values for the stand-in for FILM. The first two make it fail: TELLS_GPU with the GPU that its process may see.
BUSY makes it compute for a while, and log how many chunks its device computes then."""

# Does what the frames say, names its options in its model id, and is loaded once `hold` is gone.
SCRIPTED_FILM = f"""
import os
import time
from pathlib import Path

from slowmo_pipeline.interpolation.film.interpolators import Scripted


class Film(Scripted):
    computing = 0

    def render(self, frames, times, *, returned):
        everything = list(frames)
        if everything[0][0, 0, 0] in ({HELD}, {STUCK}):
            print("held or stuck", flush=True)
        if everything[0][0, 0, 0] == {BUSY}:
            self.computing += 1
            time.sleep(0.3)
            print(self.computing, flush=True)
            self.computing -= 1
        if everything[0][0, 0, 0] == {BROKEN}:
            raise RuntimeError("a kernel\\nfailed to launch")
        if everything[0][0, 0, 0] == {TELLS_GPU}:
            raise RuntimeError("GPU " + os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
        return super().render(everything, times, returned=returned)


def prepare_devices():
    return {DEVICES}


def load_film(saved_model_dir, *, device=None, **options):
    while Path(saved_model_dir, "hold").exists():
        time.sleep(0.01)
    film = Film()
    film.model_id = "-".join(["scripted", *(f"{{name}}.{{value}}" for name, value in sorted(options.items()))])
    return film
"""


def container_python(factory: pytest.TempPathFactory) -> Path:
    """A Python that finds what a container installs, as it is installed here, and nothing else."""
    folder = factory.getbasetemp() / "container_python"
    if not folder.exists():
        venv.create(folder)
        [packages] = folder.glob("lib/python*/site-packages")
        for requirement in _requirements():
            _link(importlib.metadata.distribution(Requirement(requirement).name), packages)
    return folder / "bin" / "python"


def pip_python(folder: Path) -> Path:
    """A Python for which pip installed what a container installs, and nothing else: that takes half a minute."""
    python = folder / "bin" / "python"
    venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *_requirements()], check=True)
    return python


def _requirements() -> list[str]:
    lines = [line for path in REQUIREMENTS for line in path.read_text().splitlines()]
    # CUDA: gigabytes that a machine without a GPU has no use for. This is the image for CPUs.
    return [line.replace("[and-cuda]", "") for line in lines if line and not line.startswith("#")]


def _link(distribution: importlib.metadata.Distribution, packages: Path) -> None:
    """Link a distribution of this Python, and all that it requires, into another one's packages."""
    here = Path(str(distribution.locate_file("")))
    files = [path.parts for path in distribution.files or () if path.parts[0] not in ("..", "__pycache__")]
    # `google` is nobody's own: of that folder only what is this distribution's.
    names = {"/".join(parts[: 2 if parts[0] == "google" else 1]) for parts in files}
    if all((packages / name).exists() for name in names):
        return
    for name in names:
        (packages / name).parent.mkdir(exist_ok=True)
        if not (packages / name).exists():
            (packages / name).symlink_to(here / name)
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _link(importlib.metadata.distribution(requirement.name), packages)


def noise_chunk(times: Sequence[Fraction]) -> bytes:
    """A chunk of two large frames of noise, with outputs from 1 on: each result frame has more than 1 MiB."""
    file = io.BytesIO()
    frames = [(number, noise(600, 800, seed=number)) for number in range(2)]
    wants = [Want(output, 0, t) for output, t in enumerate(times, 1)]
    write_chunk(file, frames, wants, image_format=ImageFormat.LOSSLESS)
    return file.getvalue()


def average_model(factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that renders the mean of two frames, with LEVELS; one for all tests of a session."""
    folder = factory.getbasetemp() / "average_model"
    return folder if folder.exists() else average_film(folder, pyramid_levels=LEVELS)


def film_folder(factory: pytest.TempPathFactory) -> Path:
    """An unpacked package of `average_model` with FILM_OPTIONS, for all tests of a session: not to be written to."""
    folder = factory.getbasetemp() / "average_package"
    if not folder.exists():
        folder.mkdir()
        model = average_model(factory)
        unpack(folder, model, FILM_OPTIONS, model_id=load_film(model, **FILM_OPTIONS).model_id)
    return folder / "model"


def scripted_folder(folder: Path, options: Mapping[str, str | int] | None = None) -> Path:
    """An unpacked package whose FILM is replaced by Scripted."""
    saved_model = folder / "saved_model"
    saved_model.mkdir()
    (saved_model / "saved_model.pb").touch()
    options = options or {}
    model = unpack(folder, saved_model, options, model_id=scripted_model_id(options))
    film = model / "slowmo_pipeline" / "interpolation" / "film"
    shutil.rmtree(film)
    film.mkdir()
    (film / "__init__.py").write_text(SCRIPTED_FILM)
    shutil.copyfile(interpolators.__file__, film / "interpolators.py")
    return model


def scripted_model_id(options: Mapping[str, str | int]) -> str:
    """What Scripted calls itself in a package."""
    return "-".join(["scripted", *(f"{name}.{value}" for name, value in sorted(options.items()))])


def unpack(folder: Path, saved_model: Path, options: Mapping[str, str | int], *, model_id: str) -> Path:
    """Make a package of FILM and unpack it."""
    package = folder / "model.tar.gz"
    write_package(package, "film", saved_model, options, model_id=model_id)
    return unpacked(package, folder / "model")


def unpacked(package: Path, folder: Path) -> Path:
    """Unpack a package there, as SageMaker does; returns the folder."""
    with tarfile.open(package) as tar:
        tar.extractall(folder, filter="data")
    return folder


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder with its SHA-256, but for Python's bytecode."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _environment(scratch: Path, *python_path: Path) -> dict[str, str]:
    """Of a process in a container: nothing of the tests' own Python, and a folder of its own for temporary files."""
    scratch.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    # As the image sets it; and the unpacked package is compared afterwards.
    settings = {"PYTHONPATH": os.pathsep.join(map(str, python_path)), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **settings, "TMPDIR": str(scratch), "TF_CPP_MIN_LOG_LEVEL": "2"}


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    code: int
    content_type: str | None
    body: bytes
    message: str
    """HTTP's reason phrase."""
    largest_piece: int = 0
    """Bytes of the body that DJL Serving got at once."""

    def json(self) -> Any:
        return json.loads(self.body)


class DjlWorker:
    """DJL Serving's Python worker in a with statement, started in a folder that is not the model's."""

    def __init__(self, python: Path, model: Path, scratch: Path) -> None:
        self.scratch = scratch
        self._settings = read_properties(model)
        self._process = subprocess.Popen(
            [python, STAND_IN / "engine.py", model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(scratch, STAND_IN),
            cwd=scratch,
            text=True,
        )

    def __enter__(self) -> "DjlWorker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def call(self, body: bytes | None, **properties: str) -> Answer:
        """Send one request; no body makes it the empty one, which brings the settings of serving.properties."""
        if body is None:
            properties = {**self._settings, **properties}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        encoded = None if body is None else base64.b64encode(body).decode()
        print(json.dumps({"properties": properties, "body": encoded}), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        content_type = answer["properties"].get("content-type")
        body = base64.b64decode(answer["body"])
        return Answer(answer["code"], content_type, body, answer["message"], answer["largest_piece"])


class Server:
    """The server of our own image, as `docker run IMAGE serve` starts it."""

    def __init__(self, python: Path, model: Path, scratch: Path) -> None:
        self.port = free_port()
        self._log = scratch.with_suffix(".log")
        self.gate = scratch.with_suffix(".gate")
        """Once this file is there, what is HELD goes on."""
        command = [str(python), "-m", "slowmo_pipeline.serving.container.server", "serve"]
        command += ["--model", str(model), "--host", "127.0.0.1", "--port", str(self.port)]
        with self._log.open("wb") as log:
            environment = {**_environment(scratch, model), "SLOWMO_TEST_GATE": str(self.gate)}
            self.process = subprocess.Popen(command, env=environment, cwd=scratch, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text()

    def connect(self) -> http.client.HTTPConnection:
        """A connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def ping(self) -> int | None:
        """The status of its health; None while nobody answers."""
        try:
            return self.request("GET", "/ping").code
        except ConnectionError:
            return None

    def invoke(self, body: Any) -> Answer:
        """Send a chunk: bytes, or an iterator of bytes, which goes without a length."""
        return self.request("POST", "/invocations", body)

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Send any request."""
        connection = self.connect()
        connection.request(method, path, body, {"Content-Type": "application/x-tar"})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers["content-type"], response.read(), response.reason)
        connection.close()
        return answer

    def ready(self) -> "Server":
        """Wait until it may be invoked."""
        eventually(lambda: self.ping() == 200 or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self


@contextmanager
def serving(python: Path, model: Path, scratch: Path) -> Iterator[Server]:
    """A server that ends with the with statement, unless it has ended before."""
    server = Server(python, model, scratch)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
