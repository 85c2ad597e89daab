"""Looks at uploads by a process that is forked from one that has imported what it needs, instead of a fresh Python.

The whole of the process's `main` runs, on the pipes of whoever looks. What a fresh start of Python adds is in
video/test_probing.py, and in all tests that use `processes.py`.

    probe_apart ──starts──► a bare Python, 20 ms      passes its streams on, and ends as the look does
                                │ socket
                            the forking one ──forks──► the look
"""

import atexit
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from slowmo_pipeline.video import probing

_MODULE = "slowmo_pipeline.video.probing_process"

_FORKING = f"""
import json, os, select, socket, sys, traceback
from contextlib import suppress
from {_MODULE} import main
from slowmo_pipeline.video.cuts import CutScorer
import slowmo_pipeline.video.fields.combing, slowmo_pipeline.video.fields.frames

def look(arguments, environment, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["", *arguments]
    status = 1
    try:
        main()
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

def serve(caller):
    told, streams, _, _ = socket.recv_fds(caller, 1 << 20, 3)
    arguments, environment = json.loads(told)
    child = os.fork()
    if child == 0:
        caller.close()
        look(arguments, environment, streams)
    for stream in streams:
        os.close(stream)
    caller.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)

CutScorer()  # with what it imports
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(64)
print("ready", flush=True)
while server in select.select([server, sys.stdin], [], [])[0]:
    caller, _ = server.accept()
    if os.fork() == 0:
        server.close()
        serve(caller)
    caller.close()
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
with suppress(ChildProcessError):  # the processor time of who was not waited for would count for nobody
    while True:
        os.wait()
"""

_CALLING = """
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
socket.send_fds(server, [json.dumps([sys.argv[2:], dict(os.environ)]).encode()], [0, 1, 2])
for stream in (0, 1, 2):
    os.close(stream)
status = int(server.recv(16) or b"1")
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class _Forking:
    """The process that has imported what a look needs, and ends with this one or before."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.address = str(Path(self._folder.name, "probes"))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKING, self.address],
            # One arena and one thread, as those that are started anew have.
            env={**os.environ, "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        atexit.register(self.end)

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


@cache
def _forking() -> _Forking:
    return _Forking()


def use() -> None:
    """Let this process, and what it forks, look at uploads by forked processes."""
    _forking()
    vars(probing)["running"] = forking


def end() -> None:
    """Wait for them, and use them no more."""
    _forking().end()


def forking(module: str, *arguments: str) -> list[str]:
    """The command that stands in for `child_python.running`, where that starts a look at an upload."""
    assert module == _MODULE
    return [sys.executable, "-S", "-E", "-c", _CALLING, _forking().address, *arguments]
