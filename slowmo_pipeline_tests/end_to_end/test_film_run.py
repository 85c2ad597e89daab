"""The interpolator `film` from the command line to the video: colour order, range, padding, tiles and frame order.

FILM's weights are made to average, so every new frame is known to the bit.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.endpoint.local import use_endpoint
from slowmo_pipeline.endpoint.local_state import ServerState
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.reader import probe, read_frames
from slowmo_pipeline_tests.support.film_models import average, average_film
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.media import write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return average_film(tmp_path_factory.mktemp("average"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOWMO_HOME", str(folder))
        patch.delenv("SLOWMO_STORAGE", raising=False)
        yield folder


@pytest.fixture(autouse=True)
def _no_server_is_left(home: Path) -> Iterator[None]:
    """A server outlives its last user by a moment, and serves its film to the next one."""
    yield
    eventually(lambda: not ServerState(home / "endpoint").has_server)


def noise(count: int, *, height: int, width: int, depth: int) -> list[Frame]:
    kind = np.uint8 if depth == 8 else np.uint16
    values = np.random.default_rng(depth).integers(0, np.iinfo(kind).max, (count, height, width, 3), endpoint=True)
    return list(values.astype(kind))


def frames_of(path: Path) -> list[Frame]:
    return [frame for _, frame in read_frames(path, probe(path, limits=LIMITS))]


def same(made: list[Frame], expected: list[Frame]) -> list[bool]:
    return [np.array_equal(*pair) for pair in zip(made, expected, strict=True)]


@pytest.mark.parametrize(
    ("depth", "size", "tiles"),
    [
        (8, (90, 150), []),
        (8, (210, 330), ["--block-height", 2, "--block-width", 3, "--precision", "tf32"]),
        (16, (64, 64), []),
    ],
)
def test_film_that_averages_makes_the_blended_video(
    home: Path, model: Path, tmp_path: Path, depth: int, size: tuple[int, int], tiles: list[object]
) -> None:
    pixel_format = {8: "bgr0", 16: "gbrp16le"}[depth]
    source = noise(4, height=size[0], width=size[1], depth=depth)
    clip = write_clip(tmp_path / "noise.mkv", source, codec="ffv1", pixel_format=pixel_format)

    done = slowmo(
        *("run", clip, "--slowdown", 2, "--cuts", "off", "--codec", "ffv1", "--interpolator", "film", "--model", model),
        *tiles,
    )

    assert done.returncode == 0, done.stderr
    made = frames_of(Path(done.stdout.strip()))
    assert same(made[::2], source) == [True] * 4
    expected = [average(*pair) for pair in pairwise(source)]
    assert same(made[1:-1:2], expected) == [True] * 3


def test_film_without_a_model_says_how_to_get_one(home: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", noise(2, height=32, width=32, depth=8))

    done = slowmo("run", clip, "--interpolator", "film")

    assert done.returncode == 1
    assert "slowmo model fetch" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_is_refused_without_film(home: Path, model: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", noise(2, height=32, width=32, depth=8))

    done = slowmo("run", clip, "--model", model)

    assert done.returncode == 2
    assert "add --interpolator film" in done.stderr


def test_a_server_with_another_model_is_not_used(home: Path, model: Path, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "storage"))
    entry = "film=slowmo_pipeline.interpolation.film:load_film "
    one, other = (f'{entry}{{"block_height": {blocks}, "saved_model_dir": "{model}"}}' for blocks in (1, 2))

    with (
        use_endpoint(tmp_path / "state", storage.url, endpoints=[one]),
        pytest.raises(HomeError, match=re.escape('"block_height": 2')),
    ):
        use_endpoint(tmp_path / "state", storage.url, endpoints=[other]).__enter__()
