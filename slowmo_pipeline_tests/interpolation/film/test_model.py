"""Which SavedModels are taken for FILM, and what is said about the others."""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from slowmo_pipeline.errors import ModelError
from slowmo_pipeline.interpolation.film import load_film
from slowmo_pipeline.interpolation.film.options import FilmOptions
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm
from slowmo_pipeline_tests.support.film_models import TINY, moving_images, small_film
from slowmo_pipeline_tests.support.plain_film import PlainFilm, write_saved_model

HALF = [Fraction(1, 2)]
LEVELS = 3
"""Of the film of these tests."""


@pytest.fixture(scope="module")
def film() -> PlainFilm:
    return small_film(
        pyramid_levels=LEVELS,
        fusion_pyramid_levels=2,
        specialized_levels=1,
        sub_levels=2,
        flow_convs=(1, 2),
        flow_filters=(4, 6),
    )


@pytest.fixture(scope="module")
def tiny() -> PlainFilm:
    return small_film(**TINY)


@pytest.fixture(scope="module")
def tiny_folder(tiny: PlainFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.export(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def folder(film: PlainFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film.export(tmp_path_factory.mktemp("model") / "film")


def with_variables(folder: Path, variables: list[Any]) -> Path:
    """A SavedModel of these variables, whose graph is of no matter."""
    return write_saved_model(folder, lambda before, after: before, variables)


def test_the_options_are_read_from_the_variables(folder: Path, film: PlainFilm) -> None:
    interpolator = load_film(folder, pyramid_levels=LEVELS)

    assert interpolator.options == FilmOptions(
        pyramid_levels=LEVELS,
        fusion_pyramid_levels=2,
        specialized_levels=1,
        sub_levels=2,
        filters=4,
        flow_convs=(1, 2),
        flow_filters=(4, 6),
        fusion_filters=(4,),
    )
    assert interpolator.parameters == sum(np.prod(variable.shape) for variable in film.variables)


def test_the_graph_of_a_saved_model_renders_as_it_did_before_it_was_saved(tiny_folder: Path, tiny: PlainFilm) -> None:
    pair = moving_images(32, 64)

    saved = SavedFilm.load(tiny_folder, pyramid_levels=2).render(*pair)

    assert np.abs(saved - tiny.render(*pair, 0.5)).max() < 1e-4


def test_the_saved_model_is_callable_as_the_published_one(tiny_folder: Path, tiny: PlainFilm) -> None:
    before, after = moving_images(32, 64)
    model = tf.saved_model.load(str(tiny_folder))

    made = model({"x0": before, "x1": after, "time": np.full((1, 1), 0.1, np.float32)}, training=False)["image"]

    assert np.abs(made - tiny.render(before, after, 0.5)).max() < 1e-4
    assert [variable.name for variable in model.variables] == [variable.name for variable in tiny.variables]


@pytest.mark.parametrize(
    "form",
    [
        {"beside_it": True, "callable_object": True},
        {"beside_it": False, "callable_object": True},
        {"beside_it": False, "callable_object": False},
    ],
    ids=["as the authors export it", "the frame alone", "a signature alone"],
)
def test_every_form_of_export_is_taken(tiny: PlainFilm, tmp_path: Path, form: dict[str, bool]) -> None:
    before, after = (np.rint(255 * each[0]).astype(np.uint8) for each in moving_images(32, 64))
    exported = tiny.export(tmp_path / "film", **form)

    (made,) = load_film(exported, pyramid_levels=2).render([before, after], [HALF])

    truth = tiny.render(before[np.newaxis] / np.float32(255), after[np.newaxis] / np.float32(255), 0.5)[0]
    assert np.abs(made - np.clip(255 * truth, 0, 255)).max() < 0.51


def test_a_signature_that_tells_the_frame_is_enough(tiny: PlainFilm, tmp_path: Path) -> None:
    """However the object itself is called, if at all."""
    exported = tiny.export(tmp_path / "film", beside_it=False, callable_object=False)
    root = tf.saved_model.load(str(exported))
    root.__call__ = tf.function(lambda x0, x1: x0 + x1, input_signature=[tf.TensorSpec([None])] * 2)
    tf.saved_model.save(root, str(tmp_path / "called"), signatures=root.signatures["serving_default"])

    assert load_film(tmp_path / "called", pyramid_levels=2).parameters > 0


def test_a_graph_that_this_machine_cannot_run_is_told(tiny: PlainFilm, tmp_path: Path) -> None:
    def across_gpus(before: Any, after: Any) -> Any:
        return tf.raw_ops.NcclAllReduce(input=before, reduction="sum", num_devices=1, shared_name="")

    exported = write_saved_model(tmp_path / "film", across_gpus, tiny.variables)
    with pytest.raises(ModelError, match="Its own graph cannot render"):
        load_film(exported, pyramid_levels=2)


def test_a_signature_of_many_names_tells_nothing(tiny: PlainFilm, tmp_path: Path) -> None:
    exported = tiny.export(tmp_path / "film", callable_object=False)

    with pytest.raises(ModelError, match="and cannot be called: is this another model"):
        load_film(exported, pyramid_levels=2)


# How wide a network is shows in its first kernel, and a predictor in its own: another width is told from what follows.
@pytest.mark.parametrize(("changed", "named"), [(0, 1), (1, 1), (4, 4), (8, 9), (10, 10), (24, 24), (29, 29)])
def test_a_variable_of_another_shape_is_named(film: PlainFilm, tmp_path: Path, changed: int, named: int) -> None:
    shape = film.variables[changed].shape
    wider = tf.Variable(tf.zeros([*shape[:-1], shape[-1] + 1]))
    variables = [*film.variables[:changed], wider, *film.variables[changed + 1 :]]

    with pytest.raises(ModelError, match=rf"Variable {named} has shape .* a FILM network has .* there"):
        load_film(with_variables(tmp_path / "film", variables), pyramid_levels=LEVELS)


@pytest.mark.parametrize("index", [5, 16, 29])
def test_a_missing_variable_is_named(film: PlainFilm, tmp_path: Path, index: int) -> None:
    variables = film.variables[:index] + film.variables[index + 1 :]

    with pytest.raises(ModelError, match=rf"Variable {index} "):
        load_film(with_variables(tmp_path / "film", variables), pyramid_levels=LEVELS)


def test_a_variable_too_many_is_named(film: PlainFilm, tmp_path: Path) -> None:
    variables = [*film.variables, tf.Variable(tf.zeros(3))]

    with pytest.raises(ModelError, match=f"Variable {len(film.variables)} "):
        load_film(with_variables(tmp_path / "film", variables), pyramid_levels=LEVELS)


@pytest.mark.parametrize("levels", [1, 2, 4, 5])
def test_another_number_of_levels_is_refused(folder: Path, levels: int) -> None:
    with pytest.raises(ModelError, match=r"pyramid.levels"):
        load_film(folder, pyramid_levels=levels)


def test_far_too_few_levels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"pyramid.levels"):
        load_film(small_film(**TINY | {"pyramid_levels": 6}).export(tmp_path / "film"), pyramid_levels=3)


Middle = Callable[[PlainFilm, Any, Any], Any]
TAMPERED: dict[str, Middle] = {
    "darker": lambda film, before, after: 0.99 * film.render(before, after, 0.5),
    "swapped frames": lambda film, before, after: film.render(after, before, 0.5),
    "another time": lambda film, before, after: film.render(before, after, 0.48),
    "no number": lambda film, before, after: film.render(before, after, 0.5) * np.nan,
    "another size": lambda film, before, after: film.render(before, after, 0.5)[:, 1:],
}


@pytest.mark.parametrize("middle", TAMPERED.values(), ids=TAMPERED)
def test_a_graph_that_renders_otherwise_is_refused(tiny: PlainFilm, tmp_path: Path, middle: Middle) -> None:
    tampered = write_saved_model(tmp_path / "film", lambda before, after: middle(tiny, before, after), tiny.variables)

    with pytest.raises(ModelError, match=re.escape(str(tampered))):
        load_film(tampered, pyramid_levels=2)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="name the folder that holds saved_model"):
        load_film(tmp_path)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")

    with pytest.raises(ModelError, match="Fetch it again"):
        load_film(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.double = tf.function(lambda values: 2 * values, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "model"))

    with pytest.raises(ModelError, match="another model"):
        load_film(tmp_path / "model")


def test_weights_without_the_published_signature_are_refused(tiny: PlainFilm, tmp_path: Path) -> None:
    root = tf.train.Checkpoint()
    root.variables = tiny.variables
    tf.saved_model.save(root, str(tmp_path / "film"))

    with pytest.raises(ModelError, match="serving_default"):
        load_film(tmp_path / "film", pyramid_levels=2)


@pytest.mark.parametrize("option", ["pyramid_levels", "block_height", "block_width", "tile_pixels"])
def test_options_below_one_are_refused(folder: Path, option: str) -> None:
    options: dict[str, Any] = {"pyramid_levels": LEVELS, option: 0}

    with pytest.raises(ValueError, match=option):
        load_film(folder, **options)


def test_memory_of_a_gpu_is_taken_as_needed(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: growing.append((gpu, on)))

    load_film(tiny_folder, pyramid_levels=2)

    assert growing == [("GPU:0", True), ("GPU:1", True)]


def test_the_model_id_names_all_that_decides_the_pixels(tiny_folder: Path, tiny: PlainFilm, tmp_path: Path) -> None:
    usual = load_film(tiny_folder, pyramid_levels=2).model_id

    assert load_film(tiny_folder, pyramid_levels=2).model_id == usual
    assert load_film(tiny_folder, pyramid_levels=2, block_width=2).model_id != usual
    bias = tiny.variables[1]
    before = bias.numpy()
    bias.assign(before + 0.01)
    other = tiny.export(tmp_path / "film")
    bias.assign(before)
    assert load_film(other, pyramid_levels=2).model_id != usual
