"""The HTTP side: one page, its events, the cameras' last frames. Nothing on the page comes from elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smartcity.contracts.routes import ROUTE_NAMES, route, sites

from .settings import PAGES_MAX, UPDATE_INTERVAL_S, is_loopback

STATIC = Path(__file__).parent / "static"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Adds the security headers, and answers only to loopback names: a foreign page cannot rebind its name to us."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        if not is_loopback(_host_name(Headers(scope=scope).get("host", ""))):
            refusal = PlainTextResponse("This dashboard answers to localhost only.\n", status_code=421)
            await refusal(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


def build_app(
    *,
    snapshot: Callable[[int], dict[str, Any]],
    frame: Callable[[str], bytes | None],
    trouble: Callable[[], str | None],
    stopping: Callable[[], bool],
    lake: Sequence[Route] = (),
    flow: Sequence[Route] = (),
) -> Starlette:
    """The ASGI application.

    Args:
        snapshot: what changed since a version, ready for JSON; has `version`.
        frame: a camera's last JPEG, by device.
        trouble: why nothing can come from the gateway, or None.
        stopping: whether pages must let go of their connections.
        lake: routes of the lake's page.
        flow: routes of the pipeline's page.
    """
    pages = 0

    async def events(request: Request) -> Response:
        if pages >= PAGES_MAX:
            return PlainTextResponse(f"{PAGES_MAX} pages watch already.\n", status_code=503)
        return StreamingResponse(stream(), media_type="text/event-stream")

    async def stream() -> AsyncIterator[str]:
        nonlocal pages
        pages += 1
        version = 0
        try:
            while not stopping():
                update = snapshot(version)
                version = update["version"]
                yield f"event: city\nid: {version}\ndata: {json.dumps(update, separators=(',', ':'))}\n\n"
                await asyncio.sleep(UPDATE_INTERVAL_S)
        finally:
            pages -= 1

    async def last_frame(request: Request) -> Response:
        jpeg = frame(request.path_params["device"])
        if jpeg is None:
            return PlainTextResponse("This camera has sent no frame yet.\n", status_code=404)
        return Response(jpeg, media_type="image/jpeg")

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "gateway": trouble() or "connected", "pages": pages})

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def routes(request: Request) -> Response:
        return JSONResponse([drawn_route(name) for name in ROUTE_NAMES])

    return Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", health),
            Route("/events", events),
            Route("/routes.json", routes),
            Route("/frames/{device}.jpg", last_frame),
            *lake,
            *flow,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard)],
    )


def drawn_route(name: str) -> dict[str, Any]:
    """A route as the map draws it: pieces of `[latitude, longitude]`, its junctions, and the attribution to show."""
    line = route(name)
    pieces = []
    for segment in line.segments:
        inner = [point for point, km in zip(line.points, line.kms, strict=True) if segment.from_km < km < segment.to_km]
        ends = line.point_at(segment.from_km), line.point_at(segment.to_km)
        pieces.append({"name": segment.name, "real": segment.real, "points": [ends[0], *inner, ends[1]]})
    junctions = [
        {"name": each.name, "latitude": each.latitude, "longitude": each.longitude} for each in sites(name, "junction")
    ]
    return {
        "name": name,
        "length_km": line.length_km,
        "attribution": line.attribution,
        "pieces": pieces,
        "junctions": junctions,
    }


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
