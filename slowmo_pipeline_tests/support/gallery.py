"""A gallery over a storage of the test's own, asked over HTTP, to the letter."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

import uvicorn

from slowmo_pipeline.machine.gallery.application import application
from slowmo_pipeline.machine.guard import Guard, loopback
from slowmo_pipeline.steps.records import ActivePlan, Final, read_active_plan
from slowmo_pipeline.steps.stage_seconds import STAGES, interpolated, note_stage
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.stored import changed
from slowmo_pipeline_tests.support.videos import drop_and_cut, finish

CONTENT = bytes(range(256)) * 8
"""Of a final video: what it shows is nothing to the gallery."""
REPORT = b"<!doctype html><title>report</title>"


@dataclass(frozen=True)
class Answer:
    """What a gallery answered."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; of those that stand twice, all."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Gallery:
    """A gallery that serves."""

    storage: Storage
    port: int

    def ask(self, target: str, method: str = "GET", *, host: str | None = None, **headers: str) -> Answer:
        """Send a request as it is; underscores in names of headers stand for hyphens."""
        with closing(HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host or f"127.0.0.1:{self.port}")
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            told: dict[str, str] = {}
            for name, value in answer.getheaders():
                told[name.lower()] = f"{told[name.lower()]}, {value}" if name.lower() in told else value
            return Answer(answer.status, told, answer.read())


@contextmanager
def serving(storage: Storage) -> Iterator[Gallery]:
    """The gallery of a storage, as `slowmo up` has it, but in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = Guard(application(storage), loopback(port), option="--allow-gallery-host")
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started)
            yield Gallery(storage, port)
        finally:
            server.should_exit = True
            thread.join()


def made(storage: Storage, name: str, *, report: bytes = REPORT, seconds: float = 1.0, **fields: object) -> str:
    """A finished video of an upload of that name; its id. `seconds` of each stage; `fields` of its record."""
    video_id, _ = drop_and_cut(storage, key=f"uploads/{name}")
    active = read_active_plan(storage, video_id)
    storage.delete([entry.key for entry in storage.list(active.keys.chunks)])
    final = changed(finish(storage, video_id), **{"filmstrip": "aGVsbG8=", **fields})
    storage.write(VideoKeys(video_id).final(".mp4"), CONTENT)
    storage.write(VideoKeys(video_id).finals[1], report)
    write_record(storage, VideoKeys(video_id).finals[0], final)
    for stage, of in zip(STAGES, _made_of(active, final), strict=True):
        note_stage(storage, video_id, stage, of=of, seconds=seconds)
    return video_id


def _made_of(active: ActivePlan, final: Final) -> tuple[str, ...]:
    return (
        active.source.sha256,
        active.versions.plan,
        interpolated(active.versions),
        final.sha256,
        final.sha256,
    )
