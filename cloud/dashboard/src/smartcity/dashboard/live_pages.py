"""The live city over HTTP: its events, a vehicle's page, and what that page shows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from smartcity.contracts.limits import DEVICE_NAME_PATTERN

from .live import Live
from .settings import PAGES_MAX

STATIC = Path(__file__).parent / "static"


def live_routes(live: Live, about: Callable[[], dict[str, Any]], stopping: Callable[[], bool]) -> list[Route]:
    """Routes of the live page and the vehicles' pages.

    Args:
        about: what a vehicle's page should know beyond its vehicle, as `Live` has it.
        stopping: whether pages must let go of their connections.
    """

    async def events(request: Request) -> Response:
        if live.is_full:
            return PlainTextResponse(f"{PAGES_MAX} pages watch already.\n", status_code=503)
        return StreamingResponse(live.events(stopping), media_type="text/event-stream")

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "vehicle.html", media_type="text/html")

    async def vehicle(request: Request) -> Response:
        name = request.path_params["device"]
        try:
            since = float(request.query_params.get("since", "0"))
        except ValueError:
            since = math.nan
        if not math.isfinite(since):
            return JSONResponse({"trouble": "since is a time in seconds since 1970"}, status_code=400)
        # A vehicle that is not there yet is no error: its page waits for it.
        found = shown_vehicle(live, name, since) or {"device_id": name, "unknown": _why(name)}
        return JSONResponse(found | about())

    return [
        Route("/events", events),
        Route("/vehicle/{device}", page),
        Route("/api/vehicle/{device}", vehicle),
    ]


def shown_vehicle(live: Live, name: str, since: float) -> dict[str, Any] | None:
    """A vehicle ready for JSON, with the points of its history after a time (seconds since 1970); None where neither a
    reading nor a status of it came."""
    heard = live.city.roll.of(name)
    vehicle, book = live.city.thing("vehicles", name), live.logbook.shown(name, since)
    if heard is None and vehicle is None and book is None:
        return None
    return {
        "device_id": name,
        "now": live.now(),
        "vehicle": vehicle or {},
        "book": book,
        "status": None if heard is None else heard.shown(),
    }


def _why(name: str) -> str:
    if re.fullmatch(DEVICE_NAME_PATTERN, name):
        return f"No device {name} has been heard since this page's server started."
    return "That is no device's name: small letters, digits and hyphens, 32 at most."
