"""The package's build of FILM renders what the published graph, and FILM written plainly, render."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowmo_pipeline.interpolation.film.network import FilmNetwork
from slowmo_pipeline.interpolation.film.options import options_of
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm
from slowmo_pipeline_tests.support.film_models import Pixels, moving_images, optimizing, small_film
from slowmo_pipeline_tests.support.plain_film import PlainFilm

ROUNDING = 1e-4
"""The largest difference allowed anywhere: 1/40 of a step of 8 bits."""

SIZES: dict[str, dict[str, Any]] = {
    "small": {},
    "published but for its filters": {
        "pyramid_levels": 7,
        "fusion_pyramid_levels": 5,
        "specialized_levels": 3,
        "sub_levels": 4,
        "filters": 2,
        "flow_convs": (3, 3, 3, 3),
        "flow_filters": (2, 4, 6, 8),
    },
    "each predictor of its own kind": {"flow_convs": (1, 3, 2), "flow_filters": (6, 2, 4)},
    "least": {
        "pyramid_levels": 2,
        "fusion_pyramid_levels": 1,
        "specialized_levels": 0,
        "sub_levels": 1,
        "flow_convs": (1,),
        "flow_filters": (4,),
    },
    "as deep in all": {
        "pyramid_levels": 4,
        "fusion_pyramid_levels": 4,
        "specialized_levels": 3,
        "sub_levels": 4,
        "filters": 2,
        "flow_convs": (1, 1, 1, 1),
        "flow_filters": (4, 4, 4, 4),
    },
}


@pytest.fixture(scope="module")
def published() -> PlainFilm:
    """A network of the size of the published ones."""
    return PlainFilm()


def own_build(film: PlainFilm) -> FilmNetwork:
    weights = [variable.numpy() for variable in film.variables]
    options = options_of([weight.shape for weight in weights], pyramid_levels=film.pyramid_levels)
    return FilmNetwork(options, weights)


def rendered(network: FilmNetwork, before: Pixels, after: Pixels, t: float) -> Pixels:
    made: Pixels = network.render(network.prepare(before), network.prepare(after), t).numpy()
    return made


@dataclass(frozen=True)
class Build:
    """A plain film, what was saved of it, and the package's build of that: each graph of theirs is traced once."""

    film: PlainFilm
    saved: SavedFilm
    network: FilmNetwork


@pytest.fixture(scope="module", params=SIZES.values(), ids=[*SIZES])
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    film = small_film(**request.param)
    folder = film.export(tmp_path_factory.mktemp("saved") / "film")
    saved = SavedFilm.load(folder, pyramid_levels=film.pyramid_levels)
    return Build(film, saved, FilmNetwork(saved.options, saved.weights))


def test_half_way_it_renders_what_the_saved_graph_renders(build: Build) -> None:
    pair = moving_images(64, 128)

    made = rendered(build.network, *pair, 0.5)

    assert np.abs(made - build.saved.render(*pair)).max() <= ROUNDING


def test_it_honours_the_time(build: Build) -> None:
    pair = moving_images(64, 128)

    early, late = (rendered(build.network, *pair, t) for t in (1 / 3, 0.8))

    assert np.abs(early - build.film.render(*pair, 1 / 3)).max() <= ROUNDING
    assert np.abs(late - build.film.render(*pair, 0.8)).max() <= ROUNDING
    assert np.abs(early - late).max() > 100 * ROUNDING


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 256), (72, 40)])
def test_it_is_exact_at_any_size(height: int, width: int) -> None:
    film = small_film(seed=3)
    pair = moving_images(height, width)

    with optimizing():
        made = rendered(own_build(film), *pair, 0.5)

    assert np.abs(made - film.render(*pair, 0.5)).max() <= ROUNDING


def test_pictures_of_a_batch_do_not_meet() -> None:
    network = own_build(small_film())
    one, other = moving_images(32, 64, seed=1), moving_images(32, 64, seed=2)
    batch = [np.concatenate(images) for images in zip(one, other, strict=True)]

    together = rendered(network, batch[0], batch[1], 0.5)

    alone = np.concatenate([rendered(network, *pair, 0.5) for pair in (one, other)])
    assert np.abs(together - alone).max() <= ROUNDING


def test_random_weights_move_what_they_see_and_show_it() -> None:
    film = small_film()
    pair = moving_images(64, 128)

    forward, backward = film.flows(*pair)
    made = film.render(*pair, 0.5).numpy()

    assert [float(np.abs(flow[0]).mean()) for flow in (forward, backward)] == pytest.approx([3, 3], abs=2)
    assert made.mean() == pytest.approx(0.5, abs=0.1)
    assert made.std() == pytest.approx(0.1, abs=0.05)


def test_swapped_frames_give_another_picture() -> None:
    network = own_build(small_film())
    before, after = moving_images(64, 128)

    assert np.abs(rendered(network, before, after, 0.5) - rendered(network, after, before, 0.5)).max() > 100 * ROUNDING


def test_the_plain_network_has_the_published_size(published: PlainFilm) -> None:
    names = [variable.name for variable in published.variables]
    shapes = {variable.name: tuple(variable.shape) for variable in published.variables}

    assert len(names) == len(shapes) == 82
    assert sum(np.prod(shape) for shape in shapes.values()) == 34_436_667
    assert names[:3] == [f"feat_net/sub_extractor/cfeat_conv_{name}:0" for name in ("0/kernel", "0/bias", "1/kernel")]
    assert names[-4:] == [f"fusion/conv2d_{name}:0" for name in ("11/kernel", "11/bias", "12/kernel", "12/bias")]
    assert shapes["feat_net/sub_extractor/cfeat_conv_7/kernel:0"] == (3, 3, 512, 512)
    assert shapes["predict_flow/flow_predictor_2/conv_0/kernel:0"] == (3, 3, 896, 128)
    assert shapes["predict_flow/flow_predictor_shared/conv_0/kernel:0"] == (3, 3, 1920, 256)
    assert shapes["fusion/conv2d/kernel:0"] == (2, 2, 128, 64)
    assert shapes["fusion/conv2d_9/kernel:0"] == (2, 2, 1930, 512)
    assert shapes["fusion/conv2d_10/kernel:0"] == (3, 3, 2442, 512)


@pytest.mark.slow
def test_the_published_size_is_exact_too(published: PlainFilm, tmp_path: Path) -> None:
    saved = SavedFilm.load(published.export(tmp_path / "film"))
    network = FilmNetwork(saved.options, saved.weights)
    pair = moving_images(128, 192)
    with optimizing():
        made, late, theirs = rendered(network, *pair, 0.5), rendered(network, *pair, 0.8), saved.render(*pair)

    assert np.abs(made - theirs).max() <= ROUNDING
    assert np.abs(late - published.render(*pair, 0.8)).max() <= ROUNDING
