"""An HTTP proxy of the tests' own in front of one server: it passes requests on, but for those a test breaks."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Asked:
    """A request that reached the proxy."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: int | None = None
    """After so many bytes of the body the connection is closed."""


Forward = Callable[[Asked], Told]
Fault = Callable[[Asked, Forward], Told | None]
"""What becomes of a request: an answer, or None to close the connection without one."""


@dataclass
class _Injected:
    fault: Fault
    meant: Callable[[Asked], bool]
    left: int


@dataclass
class FaultProxy:
    """A proxy that listens on loopback; see `fault_proxy`."""

    target: str
    """The server's address. It may be changed: the server moved."""
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    """All that came, in order."""
    forwarded: list[Asked] = field(default_factory=list)
    """All that the server got, in order."""
    _injected: list[_Injected] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, fault: Fault, *, times: int = 1, meant: Callable[[Asked], bool] = lambda asked: True) -> None:
        """Let the next `times` of the requests that are meant meet a fault; earlier injections come first."""
        self._injected.append(_Injected(fault, meant, times))

    def forget(self) -> None:
        """Forget what came so far, and the faults that are left."""
        self.asked.clear()
        self.forwarded.clear()
        self.heal()

    def heal(self) -> None:
        """Forget the faults that are left."""
        self._injected.clear()

    def forward(self, asked: Asked) -> Told:
        """Pass a request on, and back what the server answers."""
        self.forwarded.append(asked)
        connection = http.client.HTTPConnection(urlsplit(self.target).netloc)
        try:
            connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                if name not in ("connection", "expect", "transfer-encoding", "content-length"):
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(asked.body)))
            connection.endheaders(asked.body)
            answer = connection.getresponse()
            return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def handle(self, asked: Asked) -> Told | None:
        """Answer one request."""
        with self._lock:
            self.asked.append(asked)
            injected = next((one for one in self._injected if one.left and one.meant(asked)), None)
            if injected is not None:
                injected.left -= 1
        return self.forward(asked) if injected is None else injected.fault(asked, self.forward)


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """A proxy in front of the server at that address, in a thread of this process."""
    proxy = FaultProxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: else each answer takes 40 ms.
        wbufsize = -1
        disable_nagle_algorithm = True

        def answer(self) -> None:
            told = proxy.handle(
                Asked(self.command, self.path, {name.lower(): v for name, v in self.headers.items()}, self._body())
            )
            if told is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(told.status)
            for name, value in told.headers.items():
                if name not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                    self.send_header(name, value)
            # What a HEAD says of the length is that of the object.
            length = told.headers.get("content-length", "0") if self.command == "HEAD" else str(len(told.body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body[: told.sent])
            self.wfile.flush()
            if told.sent is not None:
                self.close_connection = True

        def handle_expect_100(self) -> bool:
            goes_on = super().handle_expect_100()
            self.wfile.flush()  # else clients wait a second before they send a body all the same
            return goes_on

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  # names that http.server asks for

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


def refuse(status: int, code: str, message: str = "so the test says") -> Fault:
    """Answer an error as SageMaker does (JSON); the server hears of nothing."""
    # The runtime names the code in a header, the control plane in the body.
    headers = {"content-type": "application/json", "x-amzn-errortype": code}
    body = json.dumps({"__type": code, "message": message})
    return lambda asked, forward: Told(status, headers, body.encode())


def refuse_as_s3(status: int, code: str, message: str = "so the test says") -> Fault:
    """Answer an error as S3 does (XML); the server hears of nothing."""
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return lambda asked, forward: Told(status, {"content-type": "application/xml"}, body.encode())


def drop(asked: Asked, forward: Forward) -> None:
    """Close the connection before the server hears of the request."""


def drop_answer(asked: Asked, forward: Forward) -> None:
    """Close the connection after the server did as it was asked."""
    forward(asked)


def twice(asked: Asked, forward: Forward) -> Told:
    """Ask the server twice."""
    forward(asked)
    return forward(asked)


def cut(asked: Asked, forward: Forward) -> Told:
    """Close the connection in the middle of the answer's body."""
    told = forward(asked)
    return replace(told, sent=len(told.body) // 2)


def late(seconds: float) -> Fault:
    """Pass the request on, and the answer back after a while."""

    def fault(asked: Asked, forward: Forward) -> Told:
        told = forward(asked)
        time.sleep(seconds)
        return told

    return fault


def held_until(event: threading.Event) -> Fault:
    """Pass the request on, and the answer back once the event is set: until then the line stands still."""

    def fault(asked: Asked, forward: Forward) -> Told:
        told = forward(asked)
        event.wait()
        return told

    return fault
