"""`slowmo …` in a process of its own that need not import everything anew: it is forked from one that has.

The whole of `main` runs, with its own arguments, environment, umask, streams and exit code, in the working directory
of the test. What a fresh start of Python adds is in cli/test_app.py and in all tests that use `processes.py`.
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
import gc
gc.disable()
import importlib, json, os, sys, traceback
from contextlib import suppress
from slowmo_pipeline.cli.app import main
from slowmo_pipeline_tests.support import forked_probes, once

forked_probes.use()
once.remember()
once.open_an_instance()
for name in sys.argv[1:]:
    importlib.import_module(name)
gc.freeze()
gc.enable()
print("ready", flush=True)
for line in sys.stdin:
    call = json.loads(line)
    if os.fork():
        continue
    # Several may run at once: this one waits for the command.
    if child := os.fork():
        with open(call["end"], "w") as end:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=end)
        os._exit(0)
    for descriptor, path in enumerate((os.devnull, *call["streams"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["working_directory"])
    os.umask(call["umask"])
    sys.argv = ["slowmo", *call["arguments"]]
    status = 0
    try:
        if call["program"] is None:
            main()
        else:
            exec(call["program"], {"__name__": "__main__"})
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking TensorFlow apart takes seconds
forked_probes.end()
with suppress(ChildProcessError):  # the processor time of who was not waited for would count for nobody
    while True:
        os.wait()
"""


def slowmo(
    *arguments: object, imported: tuple[str, ...] = PIPELINE, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `slowmo …` to its end, with the environment of the test or another."""
    return Forked(*arguments, imported=imported, env=env).end()


class Forked:
    """A `slowmo …` that was started, or another program in its place, which finds the arguments in `sys.argv[1:]`."""

    def __init__(
        self,
        *arguments: object,
        program: str | None = None,
        imported: tuple[str, ...] = PIPELINE,
        env: Mapping[str, str] | None = None,
        umask: int = 0o022,
    ) -> None:
        self._words = [*map(str, arguments)]
        self._folder = TemporaryDirectory()
        self._out, self._err, end = (Path(self._folder.name, name) for name in ("out", "err", "end"))
        os.mkfifo(end)
        self._end = os.fdopen(os.open(end, os.O_RDWR))  # who writes need not wait for who reads
        call = {
            "arguments": self._words,
            "program": program,
            "environment": {**(os.environ if env is None else env)},
            "working_directory": os.getcwd(),
            "umask": umask,
            "streams": [str(self._out), str(self._err)],
            "end": str(end),
        }
        parent = _parent(imported)
        assert parent.stdin is not None
        print(json.dumps(call), file=parent.stdin, flush=True)

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; what it answered."""
        with self._folder, self._end:
            status = int(self._end.readline())
            return subprocess.CompletedProcess(self._words, status, self._out.read_text(), self._err.read_text())


@cache
def _parent(imported: tuple[str, ...]) -> "subprocess.Popen[str]":
    """A process that has imported this, and ends with the tests."""
    command = [sys.executable, "-c", _PARENT, *imported]
    # Of no home: what is found in the environment of a test is ended with its home.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLOWMO_")}
    pipe = subprocess.PIPE
    parent = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env, start_new_session=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    atexit.register(parent.communicate)
    return parent
