"""`python -m benchmarks`: everything that docs/numbers.md comes from, one after the other."""

import subprocess
import sys

BENCHMARKS = ("startup", "quality", "overhead", "memory", "cuts")


def main() -> None:
    """Run each in a process of its own; exit with 1 when one of them missed its limit."""
    failed = []
    for name in BENCHMARKS:
        print(f"\n{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"Missed: {', '.join(failed)}")


main()
