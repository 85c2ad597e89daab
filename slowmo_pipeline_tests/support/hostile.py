"""What a web page sends to drive a Dagster on its visitor's machine; each attempt would leave its own name there."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import dagster as dg

EVIL = ("Origin", "http://evil.example")
JSON = ("Content-Type", "application/json")
TEXT = ("Content-Type", "text/plain")


def mutation(name: str) -> str:
    """GraphQL that adds the partition `name`."""
    where = '{repositoryName: "__repository__", repositoryLocationName: "slowmo_pipeline"}'
    call = f'partitionsDefName: "videos", partitionKey: "{name}", repositorySelector: {where}'
    return f"mutation {{ addDynamicPartition({call}) {{ __typename }} }}"


def body(name: str) -> str:
    """The same as JSON."""
    return '{"query": "' + mutation(name).replace('"', '\\"') + '"}'


def address(name: str, path: str = "/graphql") -> str:
    """The same as an address."""
    return f"{path}?query={quote(mutation(name))}"


@dataclass(frozen=True)
class Request:
    """An HTTP request, to the letter."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    hosts: tuple[str, ...] | None = None
    """Host headers; None: the one that a browser sends."""

    def status(self, port: int) -> int:
        """Send it to a server on this machine; the status of the answer."""
        with closing(HTTPConnection("127.0.0.1", port)) as connection:
            connection.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
            for host in (f"127.0.0.1:{port}",) if self.hosts is None else self.hosts:
                connection.putheader("Host", host)
            for name, value in self.headers:
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body.encode())
            return connection.getresponse().status


def attacks() -> Iterator[tuple[str, Request]]:
    """Each that Dagster's own web server obeys, with the name that it leaves."""
    rebound = ("Origin", "http://rebound.example")
    yield "image", Request("GET", address("image"))
    yield "image-at-odd-path", Request("GET", address("image-at-odd-path", "/graphql%0A"))
    yield "form", Request("POST", address("form"), (EVIL, TEXT), "x=y")
    yield "form-without-origin", Request("POST", address("form-without-origin"), (TEXT,), "x=y")
    yield "empty-post", Request("POST", address("empty-post"), (EVIL,))
    yield (
        "disguise",
        Request("POST", "/graphql", (EVIL, ("Content-Type", "text/plain; application/json")), body("disguise")),
    )
    yield "sandbox", Request("POST", "/graphql", (("Origin", "null"), JSON), body("sandbox"))
    yield "json", Request("POST", "/graphql", (EVIL, JSON), body("json"))
    yield "neighbour", Request("POST", "/graphql", (("Origin", "http://127.0.0.1:1"), JSON), body("neighbour"))
    yield "rebound", Request("POST", "/graphql", (rebound, JSON), body("rebound"), ("rebound.example",))
    yield "no-host", Request("POST", "/graphql", (JSON,), body("no-host"), ())
    yield "two-hosts", Request("POST", "/graphql", (JSON,), body("two-hosts"), ("rebound.example", "127.0.0.1"))
    yield "materialization", Request("POST", "/report_asset_materialization/materialization", (EVIL,))
    yield "observation", Request("POST", "/report_asset_observation/observation?data_version=1", (EVIL,))
    yield "check", Request("POST", "/report_asset_check/check?check_name=check&passed=true", (EVIL,))


def left(dagster_home: Path) -> set[str]:
    """The names that attempts have left."""
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        events = [key.to_user_string() for key in instance.all_asset_keys()]
        return {*instance.get_dynamic_partitions("videos"), *events}
