"""Telling what a deployment changed."""

from collections.abc import Callable

Report = Callable[[str], object]
"""Is told of each thing that was made, changed or removed, once it is; never of what was left as it is."""
