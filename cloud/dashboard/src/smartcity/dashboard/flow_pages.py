"""The pipeline over HTTP: its page, what it shows as server-sent events, dead letters and their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .errors import LettersError
from .flow_watch import Watch
from .letters import Letter, whole
from .letters_kafka import Letters
from .settings import FLOW_INTERVAL_S, PAGES_MAX

STATIC = Path(__file__).parent / "static"


def flow_routes(watch: Watch, letters: Letters, *, stopping: Callable[[], bool]) -> list[Route]:
    """Routes of the page and its API. `stopping`: whether pages must let go of their connections."""

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "flow.html", media_type="text/html")

    async def events(request: Request) -> Response:
        if watch.watching >= PAGES_MAX:
            return _trouble(503, f"{PAGES_MAX} pages watch already")
        return StreamingResponse(stream(), media_type="text/event-stream")

    async def stream() -> AsyncIterator[str]:
        watch.watching += 1
        try:
            while not stopping():
                yield f"event: flow\ndata: {watch.shown()}\n\n"
                await asyncio.sleep(FLOW_INTERVAL_S)
        finally:
            watch.watching -= 1

    async def latest(request: Request) -> Response:
        try:
            return JSONResponse({"reasons": await asyncio.to_thread(letters.latest)})
        except LettersError as error:
            return _trouble(503, str(error))

    async def found(request: Request) -> Letter | Response:
        partition, offset = request.path_params["partition"], request.path_params["offset"]
        if partition >= 2**31 or offset >= 2**63:
            return _trouble(404, "There is no such place in Kafka.")
        try:
            letter = await asyncio.to_thread(letters.letter, partition, offset)
        except LettersError as error:
            return _trouble(503, str(error))
        return letter or _trouble(
            404, "Kafka has no letter at this place, or no more: the topic keeps them for 30 days."
        )

    async def one(request: Request) -> Response:
        letter = await found(request)
        return letter if isinstance(letter, Response) else JSONResponse(whole(letter))

    async def payload(request: Request) -> Response:
        letter = await found(request)
        if isinstance(letter, Response):
            return letter
        # Whatever a device sent, a browser gets it as a file to keep and nothing else.
        name = f"dead-letter-{letter.partition}-{letter.offset}.bin"
        return Response(
            letter.payload,
            media_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": "sandbox"},
        )

    place = "/api/flow/dead-letters/{partition:int}/{offset:int}"
    return [
        Route("/flow", page),
        Route("/api/flow/events", events),
        Route("/api/flow/dead-letters", latest),
        Route(place, one),
        Route(f"{place}/payload", payload),
    ]


def _trouble(status: int, text: str) -> Response:
    return JSONResponse({"trouble": text}, status_code=status)
