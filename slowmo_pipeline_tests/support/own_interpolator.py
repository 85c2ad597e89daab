"""This program with one more interpolator: one more folder, one more entry, as somebody would add it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slowmo_pipeline.child_python import running
from slowmo_pipeline_tests.support import dimmed
from slowmo_pipeline_tests.support.places import REPOSITORY

NAME = "dimmed"

ENTRY = f"""
INTERPOLATORS["{NAME}"] = CatalogEntry(
    "{NAME}",
    "slowmo_pipeline.interpolation.{NAME}:load_dimmed",
    weights=Weights("folder", kind="DimmedModel", file="{dimmed.PERCENT}", obtain="write one"),
    options=(Option("floor", help="the darkest value of a new frame."),),
)
"""


@dataclass(frozen=True)
class OwnProgram:
    """A copy of the source with `dimmed` in it, and a home of its own."""

    source: Path
    """Holds the folder `slowmo_pipeline`."""
    home: Path

    @classmethod
    def make(cls, folder: Path) -> "OwnProgram":
        """Copy this program into an empty folder, and add to it."""
        package = folder / "source" / "slowmo_pipeline"
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "slowmo_pipeline", package, ignore=unwanted)
        shutil.copytree(Path(dimmed.__file__).parent, package / "interpolation" / NAME, ignore=unwanted)
        with (package / "interpolation" / "catalog.py").open("a") as catalog:
            catalog.write(ENTRY)
        return cls(package.parent, folder / "home")

    def slowmo(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run its command to the end."""
        command = running("slowmo_pipeline.cli.app", *map(str, arguments))
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)

    @property
    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.source), "SLOWMO_HOME": str(self.home), "SLOWMO_STORAGE": ""}
