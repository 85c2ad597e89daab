"""The HTTP side of the local server.

POST /endpoints/NAME/async-invocations    202 once the request is on disk; refused with SageMaker's ValidationError
GET /requests?below=PREFIX                200: which requests for results below a prefix have not ended, what keeps them
GET /ping                                 200: what is served, how many requests wait and run

All but the last want the server's token in a header, unless the server is open (see admission.py).
"""

import os
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from slowmo_pipeline.endpoint.local_client import REQUEST_ID_HEADER, SERVER_ID_HEADER
from slowmo_pipeline.errors import DiskFullError, HomeError
from slowmo_pipeline.serving.local.admission import refusal
from slowmo_pipeline.serving.local.dispatcher import Dispatcher
from slowmo_pipeline.serving.local.invocation import ValidationError, parse_invocation
from slowmo_pipeline.storage.base import Storage


def create_app(
    dispatcher: Dispatcher,
    storage: Storage,
    model_ids: Mapping[str, str],
    server_id: str,
    admission: Middleware,
) -> Starlette:
    """The HTTP side of the server: hands accepted requests to the dispatcher. `admission` is an Admission."""

    async def ping(_: Request) -> JSONResponse:
        return JSONResponse(
            {
                "status": "ok",
                "pid": os.getpid(),
                "server": server_id,
                "storage": storage.url,
                "endpoints": dict(model_ids),
                "queued": dispatcher.queued,
                "running": dispatcher.running,
            }
        )

    async def requests(http: Request) -> JSONResponse:
        held = dispatcher.held(http.query_params.get("below", ""))
        return JSONResponse({"server": server_id, "requests": held, "trouble": dispatcher.trouble})

    async def invoke(http: Request) -> JSONResponse:
        name = http.path_params["name"]
        if name not in model_ids:
            raise ValidationError(
                f"Endpoint {name} of account 000000000000 not found. This server has {', '.join(model_ids)}."
            )
        if await _has_body(http):
            raise ValidationError("Body is not supported here: store the chunk and send its InputLocation.")
        request = parse_invocation(name, http.headers, storage)
        dispatcher.accept(request)
        locations = {
            "X-Amzn-SageMaker-OutputLocation": storage.uri(request.result_key),
            "X-Amzn-SageMaker-FailureLocation": storage.uri(request.failure_key),
            REQUEST_ID_HEADER: request.id,
            SERVER_ID_HEADER: server_id,
        }
        return JSONResponse({"InferenceId": request.inference_id}, status_code=202, headers=locations)

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        return refusal(400, "ValidationError", str(error))

    async def refuse_for_now(_: Request, error: Exception) -> JSONResponse:
        return refusal(503, "ServiceUnavailable", str(error))

    async def fail(_: Request, error: Exception) -> JSONResponse:
        return refusal(500, "InternalFailure", f"{type(error).__name__}: {error}")

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/requests", requests),
            Route("/endpoints/{name}/async-invocations", invoke, methods=["POST"]),
        ],
        # Else a web page could reach the server through a name of its own that resolves to 127.0.0.1.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]), admission],
        exception_handlers={
            ValidationError: refuse,
            HomeError: refuse_for_now,
            DiskFullError: refuse_for_now,
            Exception: fail,
        },
    )


async def _has_body(http: Request) -> bool:
    # To its end: a client that is still sending would not read the answer.
    return any([bool(piece) async for piece in http.stream()])
