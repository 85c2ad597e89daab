"""`slowmo up`: the local endpoint, Dagster and the gallery, started together, watched, and ended together."""

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType

from slowmo_pipeline.endpoint.local import live_endpoint, use_endpoint
from slowmo_pipeline.environment import Home
from slowmo_pipeline.errors import HomeError
from slowmo_pipeline.machine.console import stderr
from slowmo_pipeline.machine.dagster_processes import LOCATION, dagster_processes
from slowmo_pipeline.machine.dead_runs import close_dead_runs
from slowmo_pipeline.machine.home import locked, open_instance
from slowmo_pipeline.machine.orphans import end_leftovers
from slowmo_pipeline.machine.sites import Site
from slowmo_pipeline.storage.keys import UPLOADS
from slowmo_pipeline.storage.opening import open_storage

_LOOK_SECONDS = 2.0

_START_SENSOR = """mutation Start($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } }
}"""


class _Stopped(Exception):  # noqa: N818  # no error: the user asked
    """SIGINT or SIGTERM came."""


def up(home: Home, *, ui: Site, gallery: Site, workers: int | None, endpoints: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM.

    Dagster's UI and the gallery answer browsers that ask for this machine, or for what their sites allow. Raises
    HomeError when the home is served already, a port is taken, or one of the processes does not start, or ends.
    """
    busy = f"`slowmo up` already runs for {home.root}: use that one, or end it first."
    with locked(home, "up", busy=busy), _signals_stop():
        check_port(ui.port)
        check_port(gallery.port, "--gallery-port")
        end_leftovers(home.root)  # two daemons on one instance would launch every run twice
        storage = open_storage(home.storage_url)
        storage.prepare_uploads()
        with ExitStack() as stack:
            # Made, and its dead runs closed, before the daemon looks at it.
            instance = stack.enter_context(open_instance(home))
            use = partial(use_endpoint, home.endpoint, storage.url, workers=workers, endpoints=endpoints)
            endpoint = stack.enter_context(ExitStack())  # of its own: one that died is let go alone
            stderr.print(f"Endpoint   {endpoint.enter_context(use())}")
            dagster = stack.enter_context(dagster_processes(home, ui=ui, gallery=gallery))
            dagster.wait_until(lambda: _starts_upload_sensor(ui.port))
            stderr.print(f"Dagster    {ui.url}   its log: {home.dagster_log}")
            dagster.wait_until(lambda: _is_open(gallery.port))
            stderr.print(f"Gallery    {gallery.url}   all videos, to look at")
            stderr.print(f"Uploads    {storage.display_path(UPLOADS.rstrip('/'))}   drop videos here; Ctrl-C ends")
            try:
                while dagster.are_whole():
                    time.sleep(_LOOK_SECONDS)
                    if live_endpoint(home.endpoint) is None:
                        endpoint.close()
                        # Its clients find the new address in the state folder.
                        stderr.print(f"The endpoint had died and was started again: {endpoint.enter_context(use())}")
                    # A killed `slowmo run` would hold back its video's next run, and one of the few places for runs.
                    close_dead_runs(instance, home)
            except _Stopped:
                stderr.print("Ending; what is unfinished goes on at the next start.")
                return
            raise HomeError(
                f"A process of Dagster or the gallery ended; {home.dagster_log} has its last words. Start `slowmo up` "
                "again: it goes on."
            )


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def check_port(port: int, option: str = "--port") -> None:
    """Look before Dagster does: whatever serves the port already would be taken for our own. Raises HomeError."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise HomeError(f"127.0.0.1:{port} cannot be served: {error.strerror}. Choose another {option}.") from error


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


def _starts_upload_sensor(port: int) -> bool:
    """Have the web server start the sensor; False while it does not answer."""
    selector = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "sensorName": "new_uploads"}
    body = json.dumps({"query": _START_SENSOR, "variables": {"selector": selector}})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    if answer["data"]["startSensor"]["__typename"] != "Sensor":
        raise HomeError(f"Dagster did not start the upload sensor: {json.dumps(answer)}")
    return True
