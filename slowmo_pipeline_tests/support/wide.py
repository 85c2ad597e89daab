"""A terminal so wide that `--help` breaks no line."""

WIDE = {"COLUMNS": "400", "TERMINAL_WIDTH": "400"}
"""For the environment. The same for all: rich takes the width that it found first."""
