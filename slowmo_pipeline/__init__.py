"""Turns ordinary video into super slow motion.

from slowmo_pipeline import slow_motion
print(slow_motion("clip.mp4", slowdown=4, output="slow.mp4").path)
"""

from importlib import import_module
from typing import Any

# By name, not by import statements: loading any part must not load Dagster, and what is packed for an endpoint is found
# by following those statements. Type checkers read __init__.pyi.
_PUBLIC = {
    "Result": "slowmo_pipeline.machine.slow_motion",
    "SlowMotionSettings": "slowmo_pipeline.settings",
    "SlowmoError": "slowmo_pipeline.errors",
    "slow_motion": "slowmo_pipeline.machine.slow_motion",
    "write_frames": "slowmo_pipeline.machine.slow_motion",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
