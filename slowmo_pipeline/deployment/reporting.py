"""Telling what a deployment changed."""

from collections.abc import Callable

Told = Callable[[str], object]
"""Is told of each thing that was made, changed or removed, once it is; never of what was left as it is."""
