"""A gigabyte up to S3 and down again: processor seconds and memory of the client, beside a bare HTTP connection.

The server discards what it is sent and sends zeros, so that the client is what is measured. All take turns in one run.
`python -m benchmarks.storage` prints the table; it is no part of `make bench`, since it takes a minute.
"""

import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from rich.console import Console
from rich.table import Table

SIZE = 1 << 30
ROUNDS = 3
_PIECE = bytes(1 << 20)


class _PlainServer(BaseHTTPRequestHandler):
    """As much of S3's protocol as one object needs, and no work but the sockets'."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(SIZE - begin))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        for _ in range((SIZE - begin) // len(_PIECE)):
            self.wfile.write(_PIECE)

    def do_PUT(self) -> None:
        self._discard()
        self._answer(b"", ETag='"1"')

    def do_POST(self) -> None:
        self._discard()
        started = "uploads" in parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        name = "InitiateMultipartUploadResult" if started else "CompleteMultipartUploadResult"
        self._answer(f"<{name}><UploadId>1</UploadId><ETag>1</ETag></{name}>".encode())

    def _discard(self) -> None:
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        left = 0 if chunked else int(self.headers.get("Content-Length", "0"))
        while chunked and (size := int(self.rfile.readline().split(b";")[0], 16)):
            self._read(size + 2)
        while chunked and self.rfile.readline().strip():
            pass
        self._read(left)

    def _read(self, left: int) -> None:
        buffer = memoryview(bytearray(1 << 20))
        while left:
            left -= self.rfile.readinto(buffer[: min(left, len(buffer))])

    def _answer(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the output clean."""


def serve() -> None:
    """Serve on a free port, told on stdout, until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _PlainServer)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def plain_server() -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-c", "from benchmarks.storage import serve; serve()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def bare_up(address: str, file: Path) -> None:
    """One PUT."""
    connection = http.client.HTTPConnection(address)
    with file.open("rb") as body:
        connection.request("PUT", "/bucket/key", body, {"Content-Length": str(SIZE)})
        connection.getresponse().read()


def bare_down(address: str, file: Path) -> None:
    """One GET."""
    connection = http.client.HTTPConnection(address)
    connection.request("GET", "/bucket/key")
    answer = connection.getresponse()
    with file.open("wb") as copy:
        while piece := answer.read(1 << 20):
            copy.write(piece)


def storage_up(address: str, file: Path) -> None:
    """By the storage."""
    from slowmo_pipeline.storage.opening import open_storage

    open_storage("s3://bucket/prefix").upload(file, "key")


def storage_down(address: str, file: Path) -> None:
    """By the storage."""
    from slowmo_pipeline.storage.opening import open_storage

    open_storage("s3://bucket/prefix").download("key", file)


TRANSFERS: dict[str, Callable[[str, Path], None]] = {
    "bare, up": bare_up,
    "storage, up": storage_up,
    "bare, down": bare_down,
    "storage, down": storage_down,
}


def transfer(name: str, address: str, file: str) -> None:
    """Make one transfer in this process, and print what it took as JSON."""
    began = time.monotonic()
    TRANSFERS[name](address, Path(file))
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = {"wall": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}
    print(json.dumps(took))


def measured(name: str, address: str, file: Path) -> dict[str, float]:
    """What one transfer takes, in a process of its own."""
    environment = {
        **{variable: value for variable, value in os.environ.items() if not variable.startswith("AWS_")},
        "AWS_ENDPOINT_URL_S3": f"http://{address}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    code = f"from benchmarks.storage import transfer; transfer({name!r}, {address!r}, {str(file)!r})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE)
    took: dict[str, float] = json.loads(done.stdout)
    return took


def main() -> None:
    """Measure in turns, and print the medians."""
    table = Table("transfer of 1 GiB", "wall s", "processor s", "peak MB")
    with tempfile.TemporaryDirectory() as folder, plain_server() as address:
        source, copy = Path(folder, "source"), Path(folder, "copy")
        with source.open("wb") as file:
            for _ in range(SIZE // len(_PIECE)):
                file.write(_PIECE)
        rounds = [
            {name: measured(name, address, source if name.endswith("up") else copy) for name in TRANSFERS}
            for _ in range(ROUNDS)
        ]
    for name in TRANSFERS:
        median = {kind: statistics.median(each[name][kind] for each in rounds) for kind in rounds[0][name]}
        table.add_row(name, f"{median['wall']:.2f}", f"{median['cpu']:.2f}", f"{median['megabytes']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
