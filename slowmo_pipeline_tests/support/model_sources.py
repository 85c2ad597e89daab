"""SavedModels in name only, packed in every way, and a real HTTP server that hands them out."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

MODEL = {
    "saved_model.pb": b"graph",
    "fingerprint.pb": b"fingerprint",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 4000,
    "assets/words.txt": b"words",
}

BESIDE = {"keras_metadata.pb": b"keras", "README.md": b"read me", "variables.txt": b"no part of it"}


def under(prefix: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files in a folder."""
    return {prefix + name: data for name, data in files.items()}


def folder_of(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files into a folder and return it."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zip_of(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The files as a .zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tar_of(files: Mapping[str, bytes], *more: tarfile.TarInfo) -> bytes:
    """The files as a .tar.gz, and after them members without data."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    return packed.getvalue()


class ModelServer(ThreadingHTTPServer):
    """Answers GET and POST with the replies it was given, by path, and remembers what was asked.

    A POST of JSON with a "path" is answered by the reply for "<path of the address> <that path>". Asked as a proxy,
    paths are whole addresses.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.replies: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.going_on = Event()
        """Not set: connections stay open, and silent, after their reply."""
        self.going_on.set()

    def reply(self, path: str, body: bytes, *, status: int = 200, **headers: str) -> str:
        """Answer that path so from now on; returns its address. `_` in a header's name stands for `-`."""
        named = {"Content-Length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
        self.replies[path] = (status, named, body)
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append(f"{self.path} {asked}".strip())
        file = json.loads(asked).get("path", "") if asked else ""
        path = f"{self.path.partition('?')[0]} {file}".strip()
        nothing: tuple[int, dict[str, str], bytes] = (404, {"Content-Length": "0"}, b"")
        status, headers, body = self.server.replies.get(path, nothing)
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)
        self.server.going_on.wait()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """A running server."""
    with ModelServer() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
