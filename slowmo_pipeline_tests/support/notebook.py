"""Notebooks, executed by a kernel of their own.

`python -m slowmo_pipeline_tests.support.notebook examples/slow_motion.ipynb` executes one and stores what it shows, but
for videos, which would fill the repository.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def executed(path: Path, environment: Mapping[str, str], *, changes: Mapping[str, str] | None = None) -> Any:
    """The notebook with what each cell showed; raises CellExecutionError, which quotes the cell that failed.

    `changes` are sources for the cells that carry these tags.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", ()):
            cell.source = (changes or {}).get(tag, cell.source)
    # A busy machine may take its time: pytest's timeout ends what hangs.
    client = NotebookClient(notebook, startup_timeout=900, resources={"metadata": {"path": str(path.parent)}})
    client.execute(env={**os.environ, **environment})
    return notebook


def main(path: Path) -> None:
    """Execute a notebook in an empty home and store it."""
    with tempfile.TemporaryDirectory() as home:
        notebook = executed(path, {"SLOWMO_HOME": home})
        for cell in notebook.cells:
            tags = cell.metadata.get("tags", ())
            if "video" in tags:
                cell.outputs = []
            for output in cell.get("outputs", ()):
                if "text" in output:
                    output.text = output.text.replace(home, "slowmo_data")
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
