"""What `film` asks of its network: nothing twice, tiles as told, and less at a time when memory runs out."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from slowmo_pipeline.interpolation.film import FilmInterpolator
from slowmo_pipeline.interpolation.film.interpolator import TileChoice
from slowmo_pipeline.interpolation.film.network import FilmNetwork
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm
from slowmo_pipeline_tests.support.film_models import average, average_film, noise

HALF = [Fraction(1, 2)]
QUARTERS = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)]


@pytest.fixture(scope="module")
def averaging_network(tmp_path_factory: pytest.TempPathFactory) -> FilmNetwork:
    saved = SavedFilm.load(average_film(tmp_path_factory.mktemp("model") / "film", pyramid_levels=4), pyramid_levels=4)
    return FilmNetwork(saved.options, saved.weights)


@dataclass
class Watch:
    """Counts what is asked of a network, which has memory for pictures of some size only."""

    largest: int = 10**9
    """Pixels of a picture that fits."""
    fails: str = "prepare"
    """What a larger one makes fail: `prepare` or `render`."""
    prepared: list[int] = field(default_factory=list)
    """Pixels of each picture whose features were made."""
    rendered: list[float] = field(default_factory=list)
    """Times."""

    def check(self, step: str, pixels: int) -> None:
        if step == self.fails and pixels > self.largest:
            raise tf.errors.ResourceExhaustedError(None, None, f"no room for {pixels} pixels\nand more")


@pytest.fixture
def watch(averaging_network: FilmNetwork, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Of the averaging network, for the time of a test."""
    watch = Watch()
    prepare, render = averaging_network.prepare, averaging_network.render

    def watched_prepare(image: Any) -> Any:
        pixels = int(tf.size(image)) // 3
        watch.check("prepare", pixels)
        watch.prepared.append(pixels)
        return prepare(image)

    def watched_render(before: Any, after: Any, t: Any) -> Any:
        watch.check("render", watch.prepared[-1])
        watch.rendered.append(float(t))
        return render(before, after, t)

    monkeypatch.setattr(averaging_network, "prepare", watched_prepare)
    monkeypatch.setattr(averaging_network, "render", watched_render)
    return watch


def cut_into(
    network: FilmNetwork, rows: int | None = None, columns: int | None = None, *, tile_pixels: int = 10**9
) -> FilmInterpolator:
    return FilmInterpolator(
        network,
        weights_sha256="0" * 64,
        parameters=0,
        tiles=TileChoice(rows, columns, tile_pixels),
        differences={},
    )


def test_a_frame_s_features_serve_both_of_its_gaps(watch: Watch, averaging_network: FilmNetwork) -> None:
    frames = [noise(32, 32, seed=seed) for seed in range(4)]

    list(cut_into(averaging_network).render(frames, [HALF] * 3))

    assert len(watch.prepared) == 4
    assert watch.rendered == [0.5] * 3


def test_features_of_a_made_picture_are_made_once_and_only_if_needed(
    watch: Watch, averaging_network: FilmNetwork
) -> None:
    frames = [noise(32, 32, seed=seed) for seed in range(3)]

    list(cut_into(averaging_network).render(frames, [QUARTERS, [Fraction(1, 3), Fraction(2, 3)]]))

    assert len(watch.prepared) == 3 + 1 + 1, "the frames, the middle of the first gap, a third of the second"
    assert sorted(watch.rendered) == pytest.approx([1 / 3, *[0.5] * 4])


def test_a_frame_that_no_gap_needs_costs_nothing(watch: Watch, averaging_network: FilmNetwork) -> None:
    frames = [noise(32, 32, seed=seed) for seed in range(4)]

    list(cut_into(averaging_network).render(frames, [[], [], HALF]))

    assert len(watch.prepared) == 2


@pytest.mark.parametrize(("rows", "columns", "tiles"), [(1, 2, 2), (2, None, 2), (2, 3, 6), (None, 2, 2)])
def test_blocks_are_tiles_in_rows_and_columns(
    watch: Watch, averaging_network: FilmNetwork, rows: int | None, columns: int | None, tiles: int
) -> None:
    before, after = (noise(203, 301, seed=seed) for seed in (1, 2))

    (new,) = cut_into(averaging_network, rows, columns).render([before, after], [HALF])

    assert len(watch.prepared) == 2 * tiles
    assert np.array_equal(new, average(before, after))


def test_tiles_stay_within_the_pixels_allowed(watch: Watch, averaging_network: FilmNetwork) -> None:
    before, after = (noise(200, 300, seed=seed) for seed in (1, 2))

    (new,) = cut_into(averaging_network, tile_pixels=200 * 200).render([before, after], [HALF])

    assert np.array_equal(new, average(before, after))
    assert len(watch.prepared) == 4
    assert max(watch.prepared) <= 200 * 200


@pytest.mark.parametrize("fails", ["prepare", "render"])
def test_when_memory_runs_out_tiles_become_smaller(
    watch: Watch, averaging_network: FilmNetwork, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    watch.largest, watch.fails = 150 * 200, fails
    frames = [noise(200, 300, seed=seed) for seed in range(3)]

    new = list(cut_into(averaging_network).render(frames, [QUARTERS, HALF]))

    assert np.array_equal(new[1], average(*frames[:2]))
    assert np.array_equal(new[3], average(*frames[1:]))
    assert "no room for" in caplog.messages[0], "who runs it can choose fitting tiles from the start"
    assert "and more" not in caplog.messages[0]


def test_what_did_not_fit_is_not_tried_again_in_the_next_gap(
    watch: Watch, averaging_network: FilmNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    watch.largest = 200 * 200
    frames = [noise(200, 300, seed=seed) for seed in range(4)]
    stream = cut_into(averaging_network).render(frames, [HALF] * 3)

    next(stream)
    failed_once = len(caplog.messages)
    list(stream)

    assert len(caplog.messages) == failed_once == 1


@pytest.mark.parametrize("fails", ["prepare", "render"])
def test_when_nothing_fits_the_error_is_tensorflow_s(watch: Watch, averaging_network: FilmNetwork, fails: str) -> None:
    watch.largest, watch.fails = 10, fails
    frames = [noise(200, 300, seed=seed) for seed in (1, 2)]

    with pytest.raises(tf.errors.ResourceExhaustedError, match="no room for"):
        list(cut_into(averaging_network).render(frames, [HALF]))
