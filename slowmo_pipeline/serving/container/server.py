"""The server of our own container image: SageMaker's contract over HTTP, around the same handler as everywhere.

GET /ping           200 once the model is loaded and warm, 503 before; answered while a chunk is computed
POST /invocations   200 and a result file; else 400, 413, 500, 503 or 507, and what failed as JSON

SageMaker unpacks model.tar.gz to /opt/ml/model and runs `docker run IMAGE serve`, which comes down to
`PYTHONPATH=/opt/ml/model python -m slowmo_pipeline.serving.container.server serve`.

Starlette and uvicorn, as in the local server: a body may come without a length, and a health check must pass while a
body is read and a chunk computed. Both are small and pure Python.
"""

import argparse
import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES
from slowmo_pipeline.errors import SlowmoError
from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.serving.container.model_folder import devices, load_warm, read_properties
from slowmo_pipeline.serving.container.reply import Reply, reply_to
from slowmo_pipeline.serving.failure import BAD_CHUNK, PAYLOAD_TOO_LARGE, Failure

_NOT_READY = 503
_PIECE_BYTES = 1 << 20
_GRACE_SECONDS = 25
"""For a chunk under way when the container is told to stop: SageMaker kills it 30 seconds later."""

logger = logging.getLogger(__name__)


def create_app(loading: "asyncio.Future[Sequence[Interpolator]]") -> Starlette:
    """The HTTP side: serves what `loading` brings, each of them one chunk at a time."""
    # An interpolator uses a whole GPU, and is not made to be entered twice.
    free: asyncio.Queue[Interpolator] = asyncio.Queue()
    loading.add_done_callback(lambda done: _fill(free, done))

    async def ping(_: Request) -> Response:
        return Response(status_code=200 if loading.done() else _NOT_READY)

    async def invoke(http: Request) -> Response:
        if not loading.done():
            return _response(Reply.of(Failure(_NOT_READY, "NotReady", "The model is being loaded: ask /ping first.")))
        # Taken before the body is read, so that those who wait their turn hold no memory.
        async with _one_of(free) as interpolator:
            try:
                chunk = await _received(http)
            except ClientDisconnect:
                logger.info("A client went away before its chunk had come.")
                return Response(status_code=BAD_CHUNK)
            if chunk is None:
                message = f"The chunk has more than {MAX_TAR_BYTES} bytes: plan smaller chunks."
                return _response(Reply.of(Failure(PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)))
            return _response(await asyncio.to_thread(reply_to, chunk, interpolator))

    return Starlette(routes=[Route("/ping", ping), Route("/invocations", invoke, methods=["POST"])])


def _fill(free: "asyncio.Queue[Interpolator]", loading: "asyncio.Future[Sequence[Interpolator]]") -> None:
    if not loading.cancelled() and loading.exception() is None:
        for interpolator in loading.result():
            free.put_nowait(interpolator)


@asynccontextmanager
async def _one_of(free: "asyncio.Queue[Interpolator]") -> AsyncIterator[Interpolator]:
    interpolator = await free.get()
    try:
        yield interpolator
    finally:
        free.put_nowait(interpolator)


async def _received(http: Request) -> io.BytesIO | None:
    """The body, or None when it is too large; read to its end, since a client still sending would miss the answer."""
    body = io.BytesIO()
    size = 0
    async for piece in http.stream():
        size += len(piece)
        if size > MAX_TAR_BYTES:
            body.truncate(0)
        else:
            body.write(piece)
    body.seek(0)
    return body if size <= MAX_TAR_BYTES else None


def _response(reply: Reply) -> Response:
    # In pieces: of a whole result asyncio would keep a copy until the client has taken it.
    length = {"Content-Length": str(len(reply.body))}
    return StreamingResponse(_pieces(reply), reply.code, headers=length, media_type=reply.content_type)


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    for piece in reply.pieces(_PIECE_BYTES):
        yield piece
        await asyncio.sleep(0)  # for the news that the client is gone


def serve(load: Callable[[], Sequence[Interpolator]], *, host: str, port: int) -> None:
    """Serve what `load` makes, a chunk at a time each, until SIGTERM or SIGINT, then end the process.

    It answers from the start, while `load` runs in a thread. Raises what `load` raises.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn hands the signal on to these handlers once it has shut down.
        signal.signal(number, _leave)
    asyncio.run(_serve(load, host, port))


async def _serve(load: Callable[[], Sequence[Interpolator]], host: str, port: int) -> None:
    loading = asyncio.create_task(asyncio.to_thread(load))
    config = uvicorn.Config(
        create_app(loading),
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,  # a health check every few seconds
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    serving = asyncio.create_task(uvicorn.Server(config).serve())
    await asyncio.wait({loading, serving}, return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        # A container that ends tells SageMaker at once what one that never gets ready would tell in an hour.
        interpolators = loading.result()
        logger.info("Serving %s on port %d, %d at once.", interpolators[0].model_id, port, len(interpolators))
    await serving


def _leave(*_: object) -> None:
    # At once, since a thread that still computes cannot be stopped, and the process would wait for it. By hand, since
    # signals without a handler do nothing to a container's first process.
    os._exit(0)


def _one_a_device(folder: Path) -> list[Interpolator]:
    """The model of a package once for each of its devices."""
    properties = read_properties(folder)
    return [load_warm(folder, properties, device=device) for device in devices(properties)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the command line says; a SlowmoError ends it with status 1 and its message."""
    parser = argparse.ArgumentParser(prog="python -m slowmo_pipeline.serving.container.server")
    parser.add_argument("command", choices=["serve"], help="the word that SageMaker passes to a container")
    parser.add_argument("--model", type=Path, default=Path("/opt/ml/model"), help="the unpacked model.tar.gz")
    parser.add_argument("--host", default="0.0.0.0", help="default: all interfaces, as a container needs")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder: Path = options.model
    try:
        serve(lambda: _one_a_device(folder), host=options.host, port=options.port)
    except SlowmoError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
