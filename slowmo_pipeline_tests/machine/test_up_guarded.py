"""The UI of a real `slowmo up` and clients that send what web pages of others would; browsers are in `browser`."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from slowmo_pipeline.endpoint.local import live_endpoint
from slowmo_pipeline_tests.support.hostile import JSON, Request, attacks, body, left
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.processes import Command, Processes, command_line, free_port, kill

PROXY = "ui.example"
GALLERY_PROXY = "gallery.example"


@dataclass(frozen=True)
class RunningUi:
    """The running `slowmo up`, which a proxy may reach."""

    processes: Processes
    command: Command
    port: int
    gallery_port: int

    def left(self) -> set[str]:
        return left(self.processes.home.dagster)

    def handshake(self, origin: str | None, host: str = "127.0.0.1") -> str:
        """What answers to the first word over a WebSocket."""
        with (
            socket.create_connection(("127.0.0.1", self.port)) as raw,
            connect(
                f"ws://{host}:{self.port}/graphql",
                sock=raw,
                origin=None if origin is None else Origin(origin),
                subprotocols=[Subprotocol("graphql-ws")],
            ) as websocket,
        ):
            websocket.send('{"type": "connection_init"}')
            return str(json.loads(websocket.recv())["type"])


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUi]:
    port, gallery_port = free_port(), free_port()
    with Processes(tmp_path_factory.mktemp("up")) as processes:
        hosts = ("--allow-host", PROXY, "--allow-gallery-host", GALLERY_PROXY)
        yield RunningUi(processes, processes.up(port, *hosts, gallery_port=gallery_port), port, gallery_port)


@pytest.fixture(scope="module")
def broken(up: RunningUi) -> RunningUi:
    """Without the process that holds the code location, which is a child of a child; ended by that."""
    kill(process for process in up.processes.alive() if "dagster api grpc" in command_line(process))
    up.command.process.wait()
    return up


@pytest.mark.parametrize(("name", "request_"), [pytest.param(*attack, id=attack[0]) for attack in attacks()])
def test_what_a_web_page_sends_is_refused_and_changes_nothing(up: RunningUi, name: str, request_: Request) -> None:
    status = request_.status(up.port)
    assert name not in up.left()
    assert status in (400, 403, 405, 415)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "http://localhost:{port}", f"https://{PROXY}"])
def test_pages_of_the_ui_change_what_they_are_for(up: RunningUi, origin: str) -> None:
    name = origin.partition("://")[2].partition(":")[0].replace(".", "-")
    page = (("Origin", origin.format(port=up.port)), ("Sec-Fetch-Site", "same-origin"), JSON)
    assert Request("POST", "/graphql", page, body(name)).status(up.port) == 200
    assert name in up.left()


@pytest.mark.parametrize("target", ["/report_asset_materialization/told", "/report_asset_observation/told"])
def test_programs_report_events_as_json(up: RunningUi, target: str) -> None:
    assert Request("POST", target, (JSON,), '{"data_version": "1"}').status(up.port) == 200
    assert "told" in up.left()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_websockets_of_other_pages_are_refused_at_the_handshake(up: RunningUi, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        up.handshake(origin)
    assert refused.value.response.status_code == 403


def test_a_websocket_to_another_name_is_refused(up: RunningUi) -> None:
    with pytest.raises(InvalidStatus) as refused:
        up.handshake(f"http://rebound.example:{up.port}", host="rebound.example")
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:{port}", f"https://{PROXY}"])
def test_websockets_of_the_ui_and_of_programs_are_answered(up: RunningUi, origin: str | None) -> None:
    assert up.handshake(origin and origin.format(port=up.port)) == "connection_ack"


def test_no_other_port_is_open_than_the_gallerys_and_the_endpoints_which_look_at_the_host(up: RunningUi) -> None:
    endpoint = live_endpoint(up.processes.home.endpoint)
    assert endpoint is not None
    port = urlsplit(endpoint.url).port
    assert port is not None
    assert listening(up.processes.alive()) == {("127.0.0.1", each) for each in (up.port, up.gallery_port, port)}
    assert Request("GET", "/ping", hosts=("evil.example",)).status(port) == 400
    assert Request("GET", "/", hosts=("evil.example",)).status(up.gallery_port) == 400


def listening(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    connections = [each for process in processes for each in process.net_connections("tcp")]
    return {(each.laddr.ip, each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN}


def test_the_gallery_is_told_and_answers_at_its_own_port_and_to_its_own_proxy(up: RunningUi) -> None:
    assert f"Gallery    http://127.0.0.1:{up.gallery_port} " in up.command.stderr
    assert Request("GET", "/").status(up.gallery_port) == 200
    assert Request("GET", "/", hosts=(GALLERY_PROXY,)).status(up.gallery_port) == 200
    assert Request("GET", "/", hosts=(PROXY,)).status(up.gallery_port) == 400


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{gallery_port}", f"https://{GALLERY_PROXY}"])
def test_a_page_of_the_gallery_drives_no_dagster(up: RunningUi, origin: str) -> None:
    page = (("Origin", origin.format(gallery_port=up.gallery_port)), ("Sec-Fetch-Site", "same-site"), JSON)
    assert Request("POST", "/graphql", page, body("from-gallery")).status(up.port) == 403
    assert "from-gallery" not in up.left()


def test_the_code_server_is_nobody_elses(up: RunningUi) -> None:
    sockets = {str(each.laddr) for process in up.processes.alive() for each in process.net_connections("unix")}
    paths = [Path(name) for name in sockets if name.startswith("/")]
    assert paths
    assert all(path.parent.stat().st_mode & 0o77 == 0 for path in paths)


def test_the_uploads_are_shown_as_a_path_to_type(up: RunningUi) -> None:
    assert f"Uploads    {up.processes.uploads}   drop" in up.command.stderr


def test_a_part_that_dies_ends_it_with_a_message(broken: RunningUi) -> None:
    told = broken.command.told()
    assert told.status == 1
    assert "A process of Dagster or the gallery ended" in told.stderr
    eventually(lambda: not broken.processes.alive())
