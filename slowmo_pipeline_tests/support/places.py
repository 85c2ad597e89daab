"""Where things lie that tests read."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
