"""`slowmo up`: the local endpoint and Dagster, started together, watched, and ended together."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import psutil

from slowmo_pipeline.console import stderr
from slowmo_pipeline.dead_runs import close_dead_runs
from slowmo_pipeline.environment import Home, in_another_folder
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.home import locked, open_instance, packaged
from slowmo_pipeline.keys import UPLOADS
from slowmo_pipeline.leftovers import MARK, end_leftovers, guarded
from slowmo_pipeline.serving.owner import live_endpoint, use_endpoint
from slowmo_pipeline.storage.opening import open_storage

_STOP_SECONDS = 30
_LOOK_SECONDS = 2.0
_TELL_SECONDS = 30

_START_SENSOR = """mutation Start($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } }
}"""


class _Stopped(Exception):  # noqa: N818  # no error: the user asked
    """SIGINT or SIGTERM came."""


def up(home: Home, *, port: int, workers: int | None, endpoints: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises HomeError when the home is served already, the port is taken, or Dagster does not start or loses a part.
    """
    busy = f"`slowmo up` already runs for {home.root}: use that one, or end it first."
    with locked(home, "up", busy=busy), _signals_stop():
        _check_port(port)
        end_leftovers(home.root)  # two daemons on one instance would launch every run twice
        storage = open_storage(home.storage_url)
        storage.prepare_uploads()
        with ExitStack() as stack:
            # Made, and its dead runs closed, before the daemon looks at it.
            instance = stack.enter_context(open_instance(home))
            endpoint = stack.enter_context(_EndpointInUse(home, storage.url, workers, endpoints))
            stderr.print(f"Endpoint   {endpoint.url}")
            dagster = stack.enter_context(_dagster(home, port))
            _wait_until_served(port, dagster, home.dagster_log)
            stderr.print(f"Dagster    http://127.0.0.1:{port}   its log: {home.dagster_log}")
            stderr.print(f"Uploads    {storage.uri(UPLOADS.rstrip('/'))}   drop videos here; Ctrl-C ends")
            parts = psutil.Process(dagster.pid).children()
            try:
                while dagster.poll() is None and _is_whole(parts):
                    time.sleep(_LOOK_SECONDS)
                    endpoint.restart_if_gone()
                    # A killed `slowmo run` would hold back its video's next run, and one of the few places for runs.
                    close_dead_runs(instance, home)
            except _Stopped:
                stderr.print("Ending; what is unfinished goes on at the next start.")
                return
            raise HomeError(
                f"A process of Dagster ended; {home.dagster_log} has its last words. Start `slowmo up` again: "
                "it goes on."
            )


class _EndpointInUse:
    """The local endpoint, used as long as this is open, and started again when it dies."""

    def __init__(self, home: Home, storage_url: str, workers: int | None, endpoints: Sequence[str]) -> None:
        self._home = home
        self._storage_url = storage_url
        self._workers = workers
        self._endpoints = endpoints
        self._stack = ExitStack()
        self.url = ""

    def __enter__(self) -> "_EndpointInUse":
        self._use()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def restart_if_gone(self) -> None:
        """Start it again when nobody answers any more; its clients find the new address in the state folder."""
        if live_endpoint(self._home.endpoint) is None:
            self._stack.close()
            self._use()
            stderr.print(f"The endpoint had died and was started again: {self.url}")

    def _use(self) -> None:
        self.url = self._stack.enter_context(
            use_endpoint(self._home.endpoint, self._storage_url, workers=self._workers, endpoints=self._endpoints)
        )


@contextmanager
def _dagster(home: Home, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    # Not on the terminal: Dagster logs a traceback for every upload that is no video.
    with packaged("workspace.yaml") as workspace, guarded(home.root), home.dagster_log.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dagster", "dev", "-w", str(workspace)),
                *("-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"),
            ],
            # Not where the user is: `python -m`, of which Dagster starts more, imports from the working directory.
            cwd=home.dagster,
            env={
                **in_another_folder(),
                "DAGSTER_HOME": str(home.dagster),
                "SLOWMO_HOME": str(home.root),
                "SLOWMO_STORAGE": home.storage_url,
                # `dagster dev` recommends its successor, which wants a project of another layout.
                "PYTHONWARNINGS": "ignore::FutureWarning",
                MARK: str(home.root),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which ends its children in order
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_whole(parts: list[psutil.Process]) -> bool:
    """Whether all parts of `dagster dev` live; it does not miss its code server, nor the child that does the work."""
    try:
        return all(map(_is_alive, parts)) and all(
            any(map(_is_alive, part.children())) for part in parts if "code-server" in part.cmdline()
        )
    except psutil.NoSuchProcess:
        return False


def _is_alive(process: psutil.Process) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE


def _check_port(port: int) -> None:
    """Look before Dagster does: whatever serves the port already would be taken for our own."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise HomeError(f"127.0.0.1:{port} cannot be served: {error.strerror}. Choose another --port.") from error


@contextmanager
def _signals_stop() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    # Handled here, they are back to their defaults in the children, even if a shell had them ignored.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_served(port: int, dagster: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until Dagster has started the upload sensor, however long the machine takes."""
    began = told = time.monotonic()
    while dagster.poll() is None:
        try:
            return _start_upload_sensor(port)
        except OSError:
            time.sleep(_LOOK_SECONDS / 4)
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            stderr.print(f"Dagster has not served yet, after {told - began:.0f} s; its log: {log}")
    raise HomeError(f"Dagster ended with status {dagster.returncode} before it served; {log} holds its last words.")


def _start_upload_sensor(port: int) -> None:
    """Raises OSError while Dagster does not answer."""
    selector = {
        "repositoryLocationName": "slowmo_pipeline",
        "repositoryName": "__repository__",
        "sensorName": "new_uploads",
    }
    answer = _ask(port, _START_SENSOR, selector=selector)
    if answer["data"]["startSensor"]["__typename"] != "Sensor":
        raise HomeError(f"Dagster did not start the upload sensor: {json.dumps(answer)}")


def _ask(port: int, query: str, **variables: object) -> dict[str, dict[str, dict[str, str]]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        value: dict[str, dict[str, dict[str, str]]] = json.loads(connection.getresponse().read())
        return value
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
