"""Which requests the local server takes at all: those with its token, and none of a web page."""

import secrets

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slowmo_pipeline.endpoint.request_token import TOKEN_HEADER

_FOR_EVERYBODY = "/ping"


def refusal(status: int, kind: str, message: str) -> JSONResponse:
    """An error as botocore looks for it in answers of the rest-json protocol."""
    return JSONResponse({"Message": message}, status_code=status, headers={"x-amzn-errortype": kind})


class Admission:
    """ASGI middleware that refuses with status 403, before anything is looked at.

    `token` is what requests must carry, but for /ping; None: they need none. `folder` is where people find it.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, folder: str) -> None:
        self._app = app
        self._token = token
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        refused = self._why_refused(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
            return
        # To its end: a client that is still sending would not read the answer.
        async for _ in Request(scope, receive).stream():
            pass
        await refusal(403, "ForbiddenException", refused)(scope, receive, send)

    def _why_refused(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        # Browsers send it with whatever a page of another origin posts; SDKs never do.
        if "origin" in headers:
            return "Requests of web pages are not taken."
        given = headers.get(TOKEN_HEADER, "").encode()
        if (
            self._token is None
            or scope["path"] == _FOR_EVERYBODY
            or secrets.compare_digest(given, self._token.encode())
        ):
            return None
        return (
            f"The header {TOKEN_HEADER} must hold this server's token, which lies in {self._folder} for the user who "
            "started it. For clients that cannot send it, start the server with `slowmo endpoint serve --open`"
        )
