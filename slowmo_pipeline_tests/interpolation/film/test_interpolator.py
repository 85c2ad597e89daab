"""What `film` promises beyond the contract of all interpolators: exact times, one rounding, borders, joins."""

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from slowmo_pipeline.errors import ModelError, SettingsError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.film import FilmInterpolator, load_film
from slowmo_pipeline.interpolation.film.devices import PRECISIONS
from slowmo_pipeline.interpolation.film.network import FilmNetwork
from slowmo_pipeline.interpolation.film.saved_model import SavedFilm
from slowmo_pipeline.interpolation.tiling import OVERLAP, Canvas, Tiling
from slowmo_pipeline_tests.support.film_models import (
    TINY,
    Pixels,
    average,
    average_film,
    moving_images,
    noise,
    random_film,
    small_film,
)
from slowmo_pipeline_tests.support.plain_film import PlainFilm

HALF = [Fraction(1, 2)]
QUARTERS = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)]
LEVELS = 4
"""Of the small film, whose frames are padded to multiples of 8 pixels."""


@pytest.fixture(scope="module")
def averaging_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return average_film(tmp_path_factory.mktemp("model") / "average", pyramid_levels=LEVELS)


@pytest.fixture(scope="module")
def averaging(averaging_folder: Path) -> FilmInterpolator:
    return load_film(averaging_folder, pyramid_levels=LEVELS)


@pytest.fixture(scope="module")
def plain() -> PlainFilm:
    return small_film()


@pytest.fixture(scope="module")
def folder(plain: PlainFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain.export(tmp_path_factory.mktemp("model") / "film")


@pytest.fixture(scope="module")
def moving(folder: Path) -> FilmInterpolator:
    """A film of random weights."""
    return load_film(folder, pyramid_levels=LEVELS)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_film(tmp_path_factory.mktemp("model") / "tiny", **TINY)


def network_of(folder: Path) -> FilmNetwork:
    saved = SavedFilm.load(folder, pyramid_levels=LEVELS)
    return FilmNetwork(saved.options, saved.weights)


def moving_frames(height: int, width: int) -> list[Frame]:
    frames: list[Frame] = [np.rint(255 * image[0]).astype(np.uint8) for image in moving_images(height, width)]
    return frames


def rounded(image: Any) -> Frame:
    frame: Frame = np.rint(255 * np.clip(np.asarray(image)[0], 0, 1)).astype(np.uint8)
    return frame


def difference(one: Frame, other: Frame) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (1, 1), (2, 131)])
def test_the_averaging_film_averages_to_the_bit(
    averaging: FilmInterpolator, shape: tuple[int, int], depth: int
) -> None:
    before, after = (noise(*shape, depth=depth, seed=seed) for seed in (1, 2))

    (new,) = averaging.render([before, after], [HALF])

    assert difference(new, average(before, after)) == 0


def test_every_average_of_two_bytes_is_exact(averaging: FilmInterpolator) -> None:
    values = np.arange(256, dtype=np.uint8)
    before = np.repeat(np.tile(values, (256, 1))[..., np.newaxis], 3, axis=-1)
    after = before.transpose(1, 0, 2)

    (new,) = averaging.render([before, after], [HALF])

    assert difference(new, average(before, after)) == 0


def test_the_averaging_film_of_default_options_averages_too(tmp_path: Path) -> None:
    before, after = (noise(70, 90, seed=seed) for seed in (1, 2))

    (new,) = load_film(average_film(tmp_path / "film")).render([before, after], [HALF])

    assert difference(new, average(before, after)) == 0


@pytest.mark.parametrize("depth", [8, 16])
def test_pictures_made_from_made_ones_are_rounded_once(averaging: FilmInterpolator, depth: int) -> None:
    before, after = (noise(40, 48, depth=depth, seed=seed) for seed in (1, 2))

    new = averaging.render([before, after], [QUARTERS])

    a, b = before.astype(int), after.astype(int)
    exact = [(3 * a + b + 2) // 4, (a + b + 1) // 2, (a + 3 * b + 2) // 4]
    assert [int(np.abs(frame - truth).max()) for frame, truth in zip(new, exact, strict=True)] == [0, 0, 0]


@pytest.mark.parametrize("t", [Fraction(1, 2), Fraction(1, 3), Fraction(4, 5)])
def test_a_single_time_is_rendered_at_that_time(moving: FilmInterpolator, plain: PlainFilm, t: Fraction) -> None:
    before, after = moving_frames(64, 96)

    (new,) = moving.render([before, after], [[t]])

    truth = plain.render(before[np.newaxis] / np.float32(255), after[np.newaxis] / np.float32(255), float(t))
    assert difference(new, rounded(truth)) <= 1


def test_several_times_are_made_from_made_pictures(moving: FilmInterpolator, plain: PlainFilm) -> None:
    frames = moving_frames(64, 96)

    new = moving.render(frames, [QUARTERS])

    before, after = (frame[np.newaxis] / np.float32(255) for frame in frames)
    middle = plain.render(before, after, 0.5)
    truth = [plain.render(before, middle, 0.5), middle, plain.render(middle, after, 0.5)]
    assert max(difference(frame, rounded(image)) for frame, image in zip(new, truth, strict=True)) <= 1


def test_an_odd_size_is_padded_by_its_edge_alike_on_both_sides(moving: FilmInterpolator, plain: PlainFilm) -> None:
    frames = moving_frames(59, 85)

    (new,) = moving.render(frames, [HALF])

    # 59 is padded to 64 and 85 to 88.
    before, after = (np.pad(frame, [(2, 3), (1, 2), (0, 0)], mode="edge")[np.newaxis] for frame in frames)
    truth = plain.render(before / np.float32(255), after / np.float32(255), 0.5)[:, 2:-3, 1:-2]
    assert difference(new, rounded(truth)) <= 1


def test_white_stays_white_up_to_the_border(averaging_folder: Path) -> None:
    interpolator = load_film(averaging_folder, pyramid_levels=LEVELS, block_height=2, block_width=2)

    for shape in [(61, 45), (203, 301)]:
        white = np.full((*shape, 3), 255, np.uint8)
        (new,) = interpolator.render([white, white], [HALF])
        assert np.unique(new).tolist() == [255]


def joined(network: FilmNetwork, pair: tuple[Pixels, Pixels], *, columns: int, overlap: int = 0) -> Pixels:
    _, height, width, _ = pair[0].shape
    tiling = Tiling.of(height, width, columns=columns, multiple=2 ** (LEVELS - 1), overlap=overlap)
    canvas = Canvas(tiling, 3)
    for tile in tiling.tiles:
        before, after = (network.prepare(tiling.cut(image[0], tile)[np.newaxis]) for image in pair)
        canvas.add(tile, network.render(before, after, 0.5)[0].numpy())
    return canvas.image


def test_overlap_brings_tiles_closer_to_the_whole_and_smooths_their_join(folder: Path) -> None:
    network, pair = network_of(folder), moving_images(96, 512)
    whole = joined(network, pair, columns=1)

    errors = [joined(network, pair, columns=2, overlap=overlap) - whole for overlap in (0, 16, OVERLAP)]

    # Measured, in steps of 8 bits: 1.56, 0.55 and 0.18 on average; 266, 16 and 5 from one pixel to the next.
    mean = [float(np.abs(error).mean()) for error in errors]
    steps = [float(np.abs(np.diff(error, axis=1)).max()) for error in errors]
    assert mean[0] > 2 * mean[1] > 4 * mean[2]
    assert steps[0] > 5 * steps[1] > 10 * steps[2]


def test_sixteen_bit_floats_inside_change_little_and_say_so(moving: FilmInterpolator, folder: Path) -> None:
    half = load_film(folder, pyramid_levels=LEVELS, precision="float16")
    before, after = noise(48, 64, seed=1), noise(48, 64, seed=2)

    (coarse,), (fine,) = (list(each.render([before, after], [HALF])) for each in (half, moving))

    difference = np.abs(coarse.astype(int) - fine)
    # Of these random weights: 0.1 levels in the mean, as features have 11 bits.
    assert 0 < difference.mean() < 1
    assert half.model_id != moving.model_id
    assert re.fullmatch(r"film-2-float16-[0-9a-f]{8}", half.model_id)
    assert 0 < half.differences["float16"].mean < half.differences["float16"].largest < 0.05
    assert half.differences["float32"].largest < 1e-5


def test_tf32_is_a_switch_of_tensorflow_that_each_film_sets_for_itself(tiny: Path) -> None:
    rounding, exact = (load_film(tiny, pyramid_levels=2, precision=each) for each in ("tf32", "float32"))
    frames = [noise(48, 64, seed=1), noise(48, 64, seed=2)]

    for film, expected in ((rounding, True), (exact, False), (rounding, True)):
        list(film.render(frames, [HALF]))
        assert tf.config.experimental.tensor_float_32_execution_enabled() is expected
    assert re.fullmatch(r"film-2-tf32-[0-9a-f]{8}", rounding.model_id)
    assert exact.model_id == load_film(tiny, pyramid_levels=2).model_id, "this machine has no GPU"


def test_a_film_computes_on_the_device_that_it_is_given(tiny: Path) -> None:
    """Two CPUs, as TensorFlow can be told: it cannot be told once it has computed anything."""
    program = f"""
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from slowmo_pipeline.interpolation.film import load_film

film = load_film({str(tiny)!r}, pyramid_levels=2, device="CPU:1")
import numpy as np
prepared = film._network.prepare(np.zeros([1, 64, 64, 3], np.float32))
made = film._network.render(prepared, prepared, 0.5)
print(film.device, {{tensor.device for tensor in (*prepared.images, *prepared.features, made)}})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split(maxsplit=1) == [
        "CPU:1",
        "{'/job:localhost/replica:0/task:0/device:CPU:1'}\n",
    ]


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # its weights do not fit into 16 bits
def test_a_precision_too_coarse_for_the_weights_is_refused(tmp_path: Path) -> None:
    film = small_film(**TINY)
    # What passes between the last two layers goes far beyond 65504, where 16-bit floats end; what they make stays.
    kernel, bias, output_kernel = film.variables[-4:-1]
    for variable, scale in ((kernel, 2.0**20), (bias, 2.0**20), (output_kernel, 2.0**-20)):
        variable.assign(variable * scale)

    exported = film.export(tmp_path / "film")
    with pytest.raises(ModelError, match="With float16 it renders otherwise than with float32"):
        load_film(exported, pyramid_levels=2, precision="float16")
    told = load_film(exported, pyramid_levels=2, compare=PRECISIONS)
    assert not told.differences["float16"].mean < 1
    assert (told.precision, told.differences["tf32"].largest) == ("float32", 0)


def test_other_precisions_are_refused(folder: Path) -> None:
    with pytest.raises(SettingsError, match="precision = 'bfloat16' must be one of float32, tf32, float16"):
        load_film(folder, pyramid_levels=LEVELS, precision="bfloat16")
