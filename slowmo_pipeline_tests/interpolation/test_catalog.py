import importlib
import subprocess
import sys

import pytest

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, InterpolatorSpec, spec_of
from slowmo_pipeline_tests.support.interpolators import Fade


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_every_interpolator_has_a_factory(name: str) -> None:
    module, _, attribute = spec_of(name).factory.partition(":")

    assert callable(getattr(importlib.import_module(module), attribute))


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'flwo'.*Known:.*flow"):
        spec_of("flwo")


def test_own_interpolators_are_named_by_their_factory() -> None:
    assert isinstance(InterpolatorSpec.parse(f"{Fade.__module__}:Fade").make(), Fade)


def test_a_spec_is_read_back_with_its_options() -> None:
    spec = spec_of("film", saved_model_dir="/models/a film, ü", block_height=2)

    assert InterpolatorSpec.parse(str(spec)) == spec


def test_equal_specs_are_spelled_alike() -> None:
    one, other = (
        spec_of("film", saved_model_dir="f", tile_pixels=1),
        spec_of("film", tile_pixels=1, saved_model_dir="f"),
    )

    assert str(one) == str(other)


@pytest.mark.parametrize(
    "text",
    [
        "flow",
        "no.such.module:make",
        f"{Fade.__module__}:no_such_name",
        "os:path:join",
        f"{Fade.__module__}:Fade no json",
        f"{Fade.__module__}:Fade [1]",
        f'{Fade.__module__}:Fade {{"speed": 2}}',
    ],
)
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        InterpolatorSpec.parse(text).make()


def test_catalog_loads_nothing_heavy() -> None:
    check = "import sys, slowmo_pipeline.interpolation.catalog; print({'cv2', 'numpy', 'tensorflow'} & {*sys.modules})"

    assert subprocess.run([sys.executable, "-c", check], capture_output=True, check=True).stdout == b"set()\n"


def test_an_option_that_is_said_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="'a' stands twice"):
        InterpolatorSpec.parse('some.module:make {"a": 1, "a": 2}')
