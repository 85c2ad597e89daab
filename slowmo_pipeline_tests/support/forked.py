"""`slowmo …` in a process of its own that need not import everything anew: it is forked from one that has.

The whole of `main` runs, with its own arguments, environment, streams and exit code. What a fresh start of Python adds
is in cli/test_app.py and in all tests that use `processes.py`.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

PIPELINE = (
    "slowmo_pipeline.machine.run",
    "slowmo_pipeline.cli.doctor",
    "slowmo_pipeline.endpoint.local",
    "slowmo_pipeline.steps.report",
)
"""What most commands import."""
FILM = ("slowmo_pipeline.interpolation.film",)
"""What those import that load a model: TensorFlow, five seconds each time."""

_PARENT = """
import importlib, json, os, sys, traceback
from slowmo_pipeline.cli.app import main
from slowmo_pipeline_tests.support import once

once.remember()
once.open_an_instance()
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    call = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for descriptor, path in enumerate((os.devnull, *call["streams"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = ["slowmo", *call["arguments"]]
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking TensorFlow apart takes seconds
"""


def slowmo(
    *arguments: object, imported: tuple[str, ...] = PIPELINE, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `slowmo …` to its end, with the environment of the test or another."""
    parent = _parent(imported)
    assert parent.stdin is not None
    assert parent.stdout is not None
    words = [*map(str, arguments)]
    with TemporaryDirectory() as folder:
        streams = [str(Path(folder, name)) for name in ("out", "err")]
        call = {"arguments": words, "environment": {**(os.environ if env is None else env)}, "streams": streams}
        print(json.dumps(call), file=parent.stdin, flush=True)
        status = int(parent.stdout.readline())
        out, err = (Path(path).read_text() for path in streams)
    return subprocess.CompletedProcess(words, status, out, err)


@cache
def _parent(imported: tuple[str, ...]) -> "subprocess.Popen[str]":
    """A process that has imported this, and ends with the tests."""
    command = [sys.executable, "-c", _PARENT, *imported]
    # Of no home: what is found in the environment of a test is ended with its home.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLOWMO_")}
    parent = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True
    )
    atexit.register(parent.communicate)
    return parent
