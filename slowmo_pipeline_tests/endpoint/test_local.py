"""Who starts a local server, who shares it, and when it ends. Every user and every server is a real process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from slowmo_pipeline.endpoint.local import live_endpoint, use_endpoint
from slowmo_pipeline.endpoint.local_client import ping
from slowmo_pipeline.endpoint.local_state import EndpointAddress, ServerState
from slowmo_pipeline.errors import EndpointError, HomeError
from slowmo_pipeline.serving.local.server import serve
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.local_server import SCRIPTED, LocalServer, eventually

USER = """
import sys, time
from pathlib import Path
from slowmo_pipeline.endpoint.local import use_endpoint

state, storage, endpoint = sys.argv[1:]
with use_endpoint(Path(state), storage, workers=1, endpoints=[endpoint]) as url:
    print(url, flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "storage"))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; the test must leave no server in it."""
    yield tmp_path / "state"
    eventually(lambda: not ServerState(tmp_path / "state").has_server)


class User:
    """Another process that uses the endpoint until it is killed."""

    def __init__(self, state: Path, storage: Storage) -> None:
        command = [sys.executable, "-c", USER, str(state), storage.url, SCRIPTED]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def pid_of(url: str) -> int:
    answer = ping(url)
    assert answer is not None
    return int(answer["pid"])


def test_server_ends_with_its_last_user(state: Path, storage: Storage) -> None:
    with ExitStack() as second:
        with use_endpoint(state, storage.url, workers=1, endpoints=[SCRIPTED]) as url:
            assert second.enter_context(use_endpoint(state, storage.url, endpoints=[SCRIPTED])) == url
        time.sleep(1.5)  # longer than between two looks for users
        assert ping(url) is not None

    eventually(lambda: ping(url) is None)
    assert live_endpoint(state) is None


def test_server_ends_after_its_last_user_was_killed(state: Path, storage: Storage) -> None:
    user = User(state, storage)
    server = psutil.Process(pid_of(user.url()))
    user.kill()

    eventually(lambda: not server.is_running())


def test_users_who_come_at_once_share_one_server(state: Path, storage: Storage) -> None:
    users = [User(state, storage) for _ in range(4)]
    urls = {user.url() for user in users}
    for user in users:
        user.kill()

    assert len(urls) == 1
    assert urls != {""}
    assert not (state / "endpoint.log.1").exists(), "a second server was started"


def test_users_who_come_while_it_ends_get_a_live_one(state: Path, storage: Storage) -> None:
    for pause in (0, 0.9, 1.1):
        with use_endpoint(state, storage.url, workers=1, endpoints=[SCRIPTED]) as url:
            assert ping(url) is not None
        time.sleep(pause)


def test_killed_server_is_replaced(state: Path, storage: Storage) -> None:
    with use_endpoint(state, storage.url, workers=1, endpoints=[SCRIPTED]) as url:
        psutil.Process(pid_of(url)).kill()
        eventually(lambda: live_endpoint(state) is None)
        with use_endpoint(state, storage.url, workers=1, endpoints=[SCRIPTED]) as other:
            assert ping(other) is not None


def test_server_that_was_started_by_hand_is_used_and_stays(state: Path, storage: Storage) -> None:
    with LocalServer(state, storage) as server:
        with use_endpoint(state, storage.url, endpoints=[SCRIPTED]) as url:
            assert url == server.url
        time.sleep(1.5)  # longer than between two looks for users

        assert live_endpoint(state) is not None


def test_second_server_is_refused_with_the_pid_of_the_first(state: Path, storage: Storage) -> None:
    with LocalServer(state, storage) as server, pytest.raises(HomeError, match=f"pid {server.process.pid}"):
        serve(state_dir=state, storage_url=storage.url, endpoints=[SCRIPTED])


def test_server_of_another_storage_is_not_used(state: Path, storage: Storage, tmp_path: Path) -> None:
    other = open_storage(str(tmp_path / "other"))

    with LocalServer(state, storage), pytest.raises(HomeError, match="end it first"):
        use_endpoint(state, other.url, endpoints=[SCRIPTED]).__enter__()


def test_server_without_the_endpoint_is_not_used(state: Path, storage: Storage) -> None:
    with LocalServer(state, storage), pytest.raises(HomeError, match=r"serves scripted=.* on .*, not flow"):
        use_endpoint(state, storage.url, endpoints=["flow"]).__enter__()


def test_server_that_cannot_start_says_why(state: Path, storage: Storage) -> None:
    with pytest.raises(EndpointError, match=r"endpoint\.log(.|\n)*No module named 'nowhere'"):
        use_endpoint(state, storage.url, endpoints=["broken=nowhere:make"]).__enter__()


def test_address_of_a_dead_server_is_no_live_endpoint(state: Path, storage: Storage) -> None:
    with LocalServer(state, storage) as server:
        server.kill()

    assert ServerState(state).address() is not None
    assert live_endpoint(state) is None


def test_another_process_on_a_dead_servers_port_is_no_live_endpoint(state: Path, storage: Storage) -> None:
    with LocalServer(state, storage) as server:
        dead = EndpointAddress(url=server.url, pid=1, storage=storage.url, endpoints=("scripted",), started=0.0)
        stale = ServerState(state / "stale")
        with stale.starting(), stale.announced(dead):
            assert live_endpoint(state / "stale") is None
