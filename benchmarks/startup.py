"""Seconds until things are there: the code location's import, the command line's help.

`python -m benchmarks.startup`
"""

import subprocess
import sys
import time

ROUNDS = 5
PROGRAMS = {
    "import dagster": ["-c", "import dagster"],
    "import slowmo_pipeline.definitions": ["-c", "import slowmo_pipeline.definitions"],
    "slowmo --help": ["-m", "slowmo_pipeline", "--help"],
}


def main() -> None:
    """Print the best time of each."""
    for name, arguments in PROGRAMS.items():
        print(f"  {name:36} {min(_seconds(arguments) for _ in range(ROUNDS)):5.2f} s")


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
