"""What SageMaker takes as the environment of a container: CreateModel refuses the rest when much is made already."""

import re
import reprlib
from collections.abc import Mapping

from slowmo_pipeline.errors import SettingsError

MAX_VARIABLES = 100

MAX_CHARACTERS = 1024
"""Of a name, and of a value."""

NAME_PATTERN = "[a-zA-Z_][a-zA-Z0-9_]*"


def require_environment(environment: Mapping[str, str]) -> None:
    """Raise SettingsError, which is a ValueError, that names the first variable that SageMaker does not take.

    Values are not quoted, since they may be secrets.
    """
    for name, value in environment.items():
        what = f"The variable {reprlib.repr(name)} of the container's environment"
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise SettingsError(f"{what} must have a name of letters, digits and _ that begins with no digit.")
        if len(name) > MAX_CHARACTERS:
            raise SettingsError(f"{what} has a name of {len(name)} characters, and SageMaker takes {MAX_CHARACTERS}.")
        if len(value) > MAX_CHARACTERS:
            raise SettingsError(f"{what} has a value of {len(value)} characters, and SageMaker takes {MAX_CHARACTERS}.")
    if len(environment) > MAX_VARIABLES:
        first = ", ".join(list(environment)[MAX_VARIABLES : MAX_VARIABLES + 3])
        raise SettingsError(
            f"The container's environment has {len(environment)} variables, and SageMaker takes {MAX_VARIABLES}, "
            f"some of which are set already: leave out {first} or others."
        )
