import subprocess
import sys

import pytest

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, load_factory, load_interpolator
from slowmo_pipeline_tests.interpolators import Fade


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_interpolator_names_its_model(name: str) -> None:
    assert load_interpolator(name).model_id.startswith(name)


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'flwo'.*Known:.*flow"):
        load_interpolator("flwo")


def test_own_interpolators_are_named_by_their_factory() -> None:
    assert isinstance(load_factory(f"{Fade.__module__}:Fade"), Fade)


@pytest.mark.parametrize("factory", ["flow", "no.such.module:make", f"{Fade.__module__}:no_such_name", "os:path:join"])
def test_what_is_no_factory_is_refused(factory: str) -> None:
    with pytest.raises(SettingsError):
        load_factory(factory)


def test_catalog_loads_nothing_heavy() -> None:
    check = "import sys, slowmo_pipeline.interpolation.catalog; sys.exit('cv2' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
