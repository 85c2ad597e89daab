"""Finding a live local server, or starting one that ends with its last user. Imports nothing of the server."""

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slowmo_pipeline.child_python import running
from slowmo_pipeline.endpoint.local_client import ping
from slowmo_pipeline.endpoint.local_state import EndpointAddress, ServerState
from slowmo_pipeline.errors import EndpointError, HomeError
from slowmo_pipeline.storage.opening import open_storage

_LOOK_SECONDS = 0.1
_OTHER_SERVER_SECONDS = 60
"""How long a server that owns the folder may take to answer or to end."""
_LOG_END = 2000


def live_endpoint(state_dir: Path) -> EndpointAddress | None:
    """The server of a state folder, if one answers."""
    live = live_server(state_dir)
    return live[0] if live else None


def live_server(state_dir: Path) -> tuple[EndpointAddress, dict[str, str]] | None:
    """The server of a state folder and the model id of each of its endpoints, if it answers."""
    address = ServerState(state_dir).address()
    answer = ping(address.url) if address else None
    # After a crash another process may have got the port.
    return (address, answer["endpoints"]) if address and answer and answer.get("pid") == address.pid else None


@contextmanager
def use_endpoint(
    state_dir: Path, storage_url: str, *, workers: int | None = None, endpoints: Sequence[str] = ("flow",)
) -> Iterator[str]:
    """Use the folder's live server, else start one; yields its URL.

    A server that is started here runs detached and ends once its last user has left or died. `workers` (default: the
    server's) and `endpoints` (as the server's --endpoint) are for starting. Raises HomeError when a live server has
    another storage or lacks one of the endpoints (see EndpointAddress.serves), and EndpointError when the one that was
    started ends before it is ready.
    """
    state = ServerState(state_dir)
    storage_url = open_storage(storage_url).url
    with state.used():
        with state.starting():
            address = _other_server(state) or _start(state, storage_url, workers, endpoints)
        if address.storage != storage_url or not all(map(address.serves, endpoints)):
            raise HomeError(
                f"The endpoint server of {state_dir} (pid {address.pid}) serves {', '.join(address.endpoints)} on "
                f"{address.storage}, not {', '.join(endpoints)} on {storage_url}: end it first, or choose another "
                "SLOWMO_HOME."
            )
        yield address.url


def _other_server(state: ServerState) -> EndpointAddress | None:
    """The server that owns the folder, waited for while it starts or ends; None when there is none."""
    deadline = time.monotonic() + _OTHER_SERVER_SECONDS
    while state.has_server:
        address = live_endpoint(state.folder)
        if address is not None:
            return address
        if time.monotonic() > deadline:
            raise HomeError(
                f"A server owns {state.folder} and has not answered for {_OTHER_SERVER_SECONDS} seconds; its pid is in "
                "server.lock there: end it and try again."
            )
        time.sleep(_LOOK_SECONDS)
    return None


def _start(state: ServerState, storage_url: str, workers: int | None, endpoints: Sequence[str]) -> EndpointAddress:
    command = running("slowmo_pipeline.serving.local.server", "--until-unused")
    command += ["--state", str(state.folder), "--storage", storage_url]
    command += [] if workers is None else ["--workers", str(workers)]
    command += [f"--endpoint={entry}" for entry in endpoints]
    if state.log.exists():
        state.log.replace(state.log.with_suffix(".log.1"))
    with state.log.open("wb") as log:
        # A session of its own: Ctrl-C and the end of a terminal are for its users.
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    # Collects its exit status, whenever that comes.
    threading.Thread(target=server.wait, daemon=True).start()
    while server.poll() is None:
        address = live_endpoint(state.folder)
        if address is not None:
            return address
        time.sleep(_LOOK_SECONDS)
    end = state.log.read_bytes()[-_LOG_END:].decode(errors="replace").strip()
    raise EndpointError(f"The endpoint server ended with status {server.returncode}. The end of {state.log}:\n{end}")
