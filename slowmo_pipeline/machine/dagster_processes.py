"""The processes below `slowmo up`: Dagster's code server, daemon and web server, and the gallery of what they make.

They are started, watched, and ended together; Dagster's as `dagster dev` starts them, but for the web server: Dagster's
own can be driven by any web page.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from slowmo_pipeline.child_python import running
from slowmo_pipeline.environment import Home, gallery_url, in_another_folder
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.machine.console import stderr
from slowmo_pipeline.machine.orphans import MARK, guarded
from slowmo_pipeline.machine.sites import Site

LOCATION = "slowmo_pipeline"
"""The code location's name, on which the state of the sensors hangs: the one in workspace.yaml."""

_STOP_SECONDS = 30
_LOOK_SECONDS = 0.5
_TELL_SECONDS = 30


@contextmanager
def dagster_processes(home: Home, *, ui: Site, gallery: Site) -> Iterator["DagsterProcesses"]:
    """The processes, started; they end with the block. Raises HomeError when one ends before it is ready."""
    with guarded(home.root) as private, home.dagster_log.open("wb") as log:
        processes = DagsterProcesses(home, private, log.fileno(), gallery_url() or gallery.url)
        try:
            processes.start(ui, gallery)
            yield processes
        finally:
            processes.end()


class DagsterProcesses:
    """A code server, and what it serves: the daemon and the web server; beside them the gallery.

    The code server listens on a socket in the folder `private`, where neither web pages nor other users reach it. The
    folder is new each time: runs are known by their server's address, and those of a server that is gone are dead.
    """

    def __init__(self, home: Home, private: Path, log: int, links_to: str) -> None:
        self._home = home
        self._private = private
        self._log = log
        self._links_to = links_to
        self._all: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, ui: Site, gallery: Site) -> None:
        """Start them; the two that ask the code server once it answers."""
        code = self._private / "code"
        server = {"location_name": LOCATION, "socket": str(code)}
        workspace = self._private / "workspace.yaml"
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML
        module = ("-m", "slowmo_pipeline.definitions", "--location-name", LOCATION)
        self._start(
            "code server",
            *(sys.executable, "-m", "dagster", "code-server", "start", "--socket", str(code), *module),
            *("--log-level", "warning", "--inject-env-vars-from-instance"),
        )
        self.wait_until(lambda: _is_listening(code))
        self._start("gallery", *running("slowmo_pipeline.machine.gallery.server", *gallery.options))
        self._start(
            "daemon",
            *(sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(workspace)),
            *("--log-level", "warning"),
        )
        self._start(
            "web server",
            *running("slowmo_pipeline.machine.webserver", *ui.options, "--workspace", str(workspace)),
        )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for a condition however long the machine takes, and say so. Raises HomeError when a process ends."""
        began = told = time.monotonic()
        while not ready():
            for name, process in self._all.items():
                if process.poll() is not None:
                    raise HomeError(
                        f"The {name} ended with status {process.returncode} before it served; "
                        f"{self._home.dagster_log} holds its last words."
                    )
            time.sleep(_LOOK_SECONDS)
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                waited = f"{told - began:.0f} s"
                stderr.print(f"Dagster has not served yet, after {waited}; its log: {self._home.dagster_log}")

    def are_whole(self) -> bool:
        """Whether all live, also the child of the code server that does its work, which that does not miss."""
        if any(process.poll() is not None for process in self._all.values()):
            return False
        try:
            return any(map(_is_alive, psutil.Process(self._all["code server"].pid).children()))
        except psutil.NoSuchProcess:
            return False

    def end(self) -> None:
        """End the web server, the daemon and the gallery, so that nothing new begins, then the code server.

        That one is killed, and the process below it left to the guard together with its runs: asked to end, they would
        wait for each other.
        """
        for name, process in reversed(self._all.items()):
            if name == "code server":
                process.kill()
            else:
                process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, *command: str) -> None:
        # Not on the terminal: Dagster logs a traceback for every upload that is no video.
        self._all[name] = subprocess.Popen(
            command,
            # Not where the user is: `python -m`, of which Dagster starts more, imports from the working directory.
            cwd=self._home.dagster,
            env={
                **in_another_folder(),
                "DAGSTER_HOME": str(self._home.dagster),
                "SLOWMO_HOME": str(self._home.root),
                "SLOWMO_STORAGE": self._home.storage_url,
                "SLOWMO_GALLERY_URL": self._links_to,
                # Where the process below the code server listens.
                "TMPDIR": str(self._private),
                MARK: str(self._home.root),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which ends its children in order
        )


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
