"""The lake over HTTP: its page, the definition, a visual's rows, a filter's values, a frame that the lake keeps."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from smartcity.aws.clients import client, explained
from smartcity.aws.dashboard.ask import choices_query
from smartcity.aws.dashboard.definition import Control, Dashboard
from smartcity.aws.errors import AwsError, QueryFailedError
from smartcity.aws.settings import Settings

from .errors import LakeBusyError, LakeRequestError, QuestionAbandonedError
from .lake import Lake
from .lake_definition import asked_sql, placed, request_key, shown_definition, with_clicks
from .settings import LAKE_FRAME_BYTES_MAX

STATIC = Path(__file__).parent / "static"
NO_TABLE = "TABLE_NOT_FOUND"
NOTHING_YET = "The lake has no day of this yet. Marts are built from what has reached the lake, every few minutes."

_FRAME_KEY = re.compile(r"frames/[A-Za-z0-9._=/-]{1,240}\.jpg")
_JPEG_START = b"\xff\xd8\xff"


def lake_routes(
    dashboard: Dashboard,
    lake: Lake,
    frame: Callable[[str], bytes | None],
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Route]:
    """Routes of the page and its API.

    Args:
        frame: the JPEG of an object key, or None; blocks. Raises AwsError.
        clock: the present, UTC.
    """
    clickable = with_clicks(dashboard)

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "lake.html", media_type="text/html")

    async def definition(request: Request) -> Response:
        return JSONResponse(shown_definition(dashboard))

    async def visual(request: Request) -> Response:
        name, given = request.path_params["id"], request.query_params.multi_items()
        try:
            placed(dashboard, name)
        except LakeRequestError as error:
            return _trouble(404, str(error))
        try:
            sql = asked_sql(clickable, name, given, now=clock())
        except LakeRequestError as error:
            return _trouble(400, str(error))
        return await answered(request, request_key(name, given), sql)

    async def choices(request: Request) -> Response:
        name = request.path_params["id"]
        known = [each.id for each in dashboard.filters if each.control is Control.CHOICE]
        if name not in known:
            return _trouble(404, f"there is no choice {name!r}")
        return await answered(request, request_key(f"choices of {name}", ()), choices_query(dashboard, name))

    async def answered(request: Request, key: str, sql: str) -> Response:
        try:
            body = await _while_there(request, lake.answer(key, sql))
        except QueryFailedError as error:
            if NO_TABLE in str(error):
                return JSONResponse({"columns": [], "rows": [], "nothing": NOTHING_YET})
            return _trouble(502, f"Athena did not answer: {error}")
        except (LakeBusyError, QuestionAbandonedError) as error:
            return _trouble(503, str(error))
        except AwsError as error:
            return _trouble(502, f"The lake cannot be asked: {error}")
        return Response(body, media_type="application/json")

    async def kept_frame(request: Request) -> Response:
        key = request.path_params["key"]
        if not _FRAME_KEY.fullmatch(key):
            return PlainTextResponse("This is no frame's key.\n", status_code=404)
        try:
            jpeg = await asyncio.to_thread(frame, key)
        except AwsError as error:
            return PlainTextResponse(f"The frame cannot be read: {error}\n", status_code=502)
        if jpeg is None or not jpeg.startswith(_JPEG_START):
            return PlainTextResponse("The lake keeps no such frame.\n", status_code=404)
        return Response(jpeg, media_type="image/jpeg")

    return [
        Route("/lake", page),
        Route("/api/lake/definition", definition),
        Route("/api/lake/visual/{id}", visual),
        Route("/api/lake/choices/{id}", choices),
        Route("/lake/{key:path}", kept_frame),
    ]


def frame_reader(settings: Settings) -> Callable[[str], bytes | None]:
    """Reads a frame from the lake's bucket; None where it is absent or larger than LAKE_FRAME_BYTES_MAX."""

    made: dict[str, Any] = {}

    def read(key: str) -> bytes | None:
        s3 = made.get("s3") or made.setdefault("s3", client("s3", settings))
        with explained():
            try:
                answer = s3.get_object(Bucket=settings.bucket, Key=key)
            except s3.exceptions.NoSuchKey:
                return None
            body: bytes = answer["Body"].read(LAKE_FRAME_BYTES_MAX + 1)
        return body if len(body) <= LAKE_FRAME_BYTES_MAX else None

    return read


async def _while_there(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """What the work gives; it is cancelled when the client has gone.

    Raises:
        QuestionAbandonedError: it has gone.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            return tasks[0].result()
        raise QuestionAbandonedError("the client has gone")
    finally:
        for task in tasks:
            task.cancel()


def _trouble(status: int, text: str) -> Response:
    return Response(json.dumps({"trouble": text}), status_code=status, media_type="application/json")
