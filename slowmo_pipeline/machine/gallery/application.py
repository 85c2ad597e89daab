"""What the gallery answers: the page of all videos, their table as CSV, and their results. Nothing is changed by it.

Each answer names what a browser may do with it. The gallery's own page runs no script; a report is a page with scripts
of its own, so it is shut in a sandbox, in which it belongs to no origin.
"""

from collections import Counter
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slowmo_pipeline.errors import SlowmoError
from slowmo_pipeline.machine.gallery.results import REPORT, content_type_of, plays, poster_of, result_named
from slowmo_pipeline.machine.gallery.videos import Videos
from slowmo_pipeline.steps.stage_seconds import STAGES
from slowmo_pipeline.storage.base import Storage

PAGE_ROWS = 200
"""Videos on a page."""

_NOTHING = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_PAGE_POLICY = f"{_NOTHING}; style-src 'self'; img-src 'self'; form-action 'self'"
_REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; media-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POSTER_POLICY = f"{_NOTHING}; img-src data:"
# What shows a bare video is the browser's own page, which has a style.
_VIDEO_POLICY = f"{_NOTHING}; media-src 'self'; style-src 'unsafe-inline'"


def application(storage: Storage) -> ASGIApp:
    """The gallery of a storage. Who may ask is for the guard before it."""
    return _Gallery(storage).application


class _Gallery:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._videos = Videos(storage)
        loader = PackageLoader("slowmo_pipeline.machine.gallery", package_path="")
        environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        environment.filters.update(size=_size, duration=_duration)
        self._template = environment.get_template("gallery.html.j2")
        self._style = (files("slowmo_pipeline.machine.gallery") / "gallery.css").read_bytes()
        self.application = Starlette(
            routes=[
                Route("/", self._page),
                Route("/videos.csv", self._csv),
                Route("/gallery.css", self._css),
                Route("/favicon.ico", self._no_icon),
                Route("/posters/{video_id}.svg", self._poster),
                Route("/final/{name}", self._result),
            ],
            exception_handlers={SlowmoError: _told},
            middleware=[Middleware(_Careful)],
        )
        self.application.router.redirect_slashes = False  # an address is there or is not

    def _page(self, request: Request) -> Response:
        from slowmo_pipeline.machine.gallery.plots import speed_plot, stages_plot
        from slowmo_pipeline.machine.gallery.table import ORDERS, STATES, Question, asked_for, group_of, table_of

        question, videos = Question.of(request.query_params), self._videos.all()
        table = table_of(videos)
        found = asked_for(table, question)
        first = _first(request.query_params.get("from", "0"))
        speed = speed_plot(found)
        page = self._template.render(
            question=question,
            orders=ORDERS,
            states=STATES,
            counts=Counter(map(group_of, videos)),
            videos=[videos[index] for index in found.index[first : first + PAGE_ROWS]],
            total=len(videos),
            found=len(found),
            first=first,
            page_rows=PAGE_ROWS,
            length=float(found["length_s"].sum()),
            cost=float(found["cost_usd"].sum()) if found["cost_usd"].notna().any() else None,
            stages=STAGES,
            stages_plot=stages_plot(found),
            speed_plot=speed[0] if speed else None,
            kinds=speed[1] if speed else [],
            group_of=group_of,
            plays=plays,
            place=lambda key: f"/{key}",
        )
        return HTMLResponse(page, headers={"Content-Security-Policy": _PAGE_POLICY})

    def _csv(self, request: Request) -> Response:
        from slowmo_pipeline.machine.gallery.table import Question, as_csv, asked_for, table_of

        table = asked_for(table_of(self._videos.all()), Question.of(request.query_params))
        headers = {"Content-Disposition": 'attachment; filename="videos.csv"'}
        return Response(as_csv(table), media_type="text/csv", headers=headers)

    def _css(self, request: Request) -> Response:
        return Response(self._style, media_type="text/css")

    def _no_icon(self, request: Request) -> Response:
        return Response(status_code=204)

    def _poster(self, request: Request) -> Response:
        picture = poster_of(self._storage, request.path_params["video_id"])
        if picture is None:
            raise HTTPException(404)
        return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": _POSTER_POLICY})

    def _result(self, request: Request) -> Response:
        key = result_named(self._storage, request.path_params["name"])
        if key is None:
            raise HTTPException(404)
        kind = content_type_of(key)
        policy = {"Content-Security-Policy": _REPORT_POLICY if kind == REPORT else _VIDEO_POLICY}
        link = self._storage.browser_link(key, method=request.method, content_type=kind)
        if link is None:
            return FileResponse(self._storage.display_path(key), headers=policy, media_type=kind)
        if kind == REPORT:
            # Through here, where it is in its sandbox: what a bucket answers has no policy.
            return Response(self._storage.read(key), media_type=kind, headers=policy)
        # Gigabytes need not come through this machine, and S3 answers ranges by itself.
        return RedirectResponse(link, headers=policy)


class _Careful:
    """Puts on every answer, errors as well, what no browser is to guess or keep."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", _NOTHING)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Cache-Control"] = "no-cache, private"
            await send(message)

        await self._app(scope, receive, sent)


async def _told(request: Request, error: Exception) -> Response:
    """What went wrong with the storage, in its one sentence."""
    return PlainTextResponse(f"{error}\n", 503)


def _first(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)


def _duration(seconds: float) -> str:
    """A length as people say it: 0.96 s, 12.5 s, 3:07, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
