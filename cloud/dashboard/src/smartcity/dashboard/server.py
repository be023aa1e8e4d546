"""The HTTP side: one page, its events, the cameras' last frames. Nothing on the page comes from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from smartcity.contracts.routes import ROUTE_NAMES, route, sites

from .guard import Guard

STATIC = Path(__file__).parent / "static"


def build_app(
    *,
    frame: Callable[[str], bytes | None],
    trouble: Callable[[], str | None],
    pages: Callable[[], int],
    more: Sequence[Route] = (),
    token: str | None = None,
) -> Starlette:
    """The ASGI application.

    Args:
        frame: a camera's last JPEG, by device.
        trouble: why nothing can come from the gateway, or None.
        pages: how many browsers watch.
        more: routes of the other pages.
        token: what whoever looks has to know; None: only this machine looks.
    """

    async def last_frame(request: Request) -> Response:
        jpeg = frame(request.path_params["device"])
        if jpeg is None:
            return PlainTextResponse("This camera has sent no frame yet.\n", status_code=404)
        return Response(jpeg, media_type="image/jpeg")

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "gateway": trouble() or "connected", "pages": pages()})

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def routes(request: Request) -> Response:
        return JSONResponse([drawn_route(name) for name in ROUTE_NAMES])

    return Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", health),
            Route("/routes.json", routes),
            Route("/frames/{device}.jpg", last_frame),
            *more,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, token=token)],
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
