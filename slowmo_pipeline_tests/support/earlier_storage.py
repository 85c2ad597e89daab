"""A storage that version 0.1.0 left, of plans, infos and videos of format 1.

    constant.mp4     six frames at 25 a second, at 4x, finished
    variable.mkv     seven frames in milliseconds, one of them after a hole, at 5/2, finished
    under way.mp4    nine frames in four chunks, of which two have a result; no run is under way

Chunks hold two gaps each. Made once, by that version and `Fade`: nothing here makes it anew.
"""

from pathlib import Path

from slowmo_pipeline_tests.support.earlier_home import unpack_with_times

CONSTANT = "constant-76a7bded92d6e186"
VARIABLE = "variable-f09afe93c91e4ee8"
UNDER_WAY = "under-way-0658a0f8c81cbbdf"


def unpack_earlier_storage(home: Path) -> None:
    """Put it into a home that has none."""
    unpack_with_times("storage-format-1.tar.xz", home, home / "storage" / "mtimes.json")
