"""Who may look: this machine, or whoever shows the token. And what no answer lacks: the security headers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import is_loopback

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
COUNTS_PATH = "/metrics"
"""Answered under every name where there is no token: a Prometheus in a network of containers calls us by ours, and
there is nothing in it but counts."""
COOKIE = "smartcity"
ENTRANCE = "/enter"
OPEN_PATHS = ("/healthz", "/static/style.css", "/static/icon.svg")
"""Without a token: whether the process answers, and what the entrance looks like."""
_FORM_BYTES_MAX = 1_000
_ENTRANCE_PAGE = Path(__file__).parent / "static" / "enter.html"


class Guard:
    """Adds the security headers. Without a token, answers only to loopback names: a foreign page cannot rebind its
    name to us. With one, asks everybody for it: as `Authorization: Bearer`, or as the cookie that the entrance gives.

    The cookie holds a digest of the token, is not for scripts, and is sent from our own pages alone.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token
        self._cookie = hmac.digest((token or "").encode(), b"smartcity-dashboard cookie", hashlib.sha256).hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        answer: ASGIApp = self._app
        if self._token is None:
            name = _host_name(Headers(scope=scope).get("host", ""))
            if not is_loopback(name) and scope["path"] != COUNTS_PATH:
                answer = PlainTextResponse("This dashboard answers to localhost only.\n", status_code=421)
        elif scope["path"] == ENTRANCE:
            answer = await self._enter(Request(scope, receive))
        elif scope["path"] not in OPEN_PATHS and not self._knows(Request(scope)):
            answer = _refusal(Request(scope))
        await answer(scope, receive, guarded)

    def _knows(self, request: Request) -> bool:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _same(shown.strip(), self._token or "")
        return _same(request.cookies.get(COOKIE, ""), self._cookie)

    async def _enter(self, request: Request) -> Response:
        """The entrance: a form that sends the token, so that it stands in no address and no log."""
        if request.method != "POST":
            return _entrance(200)
        body = b""
        async for portion in request.stream():
            body += portion
            if len(body) > _FORM_BYTES_MAX:
                return _entrance(413)
        [shown] = parse_qs(body.decode("ascii", "replace")).get("token", [""])[:1]
        if not _same(shown.strip(), self._token or ""):
            return _entrance(401)
        welcome = RedirectResponse("/", status_code=303)
        welcome.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return welcome


def _refusal(request: Request) -> Response:
    """People are shown the entrance, programs the status."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(ENTRANCE, status_code=303)
    return PlainTextResponse(
        "The token is missing or wrong: send it as Authorization: Bearer TOKEN.\n",
        status_code=401,
        headers={"WWW-Authenticate": "Bearer"},
    )


def _entrance(status: int) -> Response:
    page = _ENTRANCE_PAGE.read_text(encoding="utf-8")
    return HTMLResponse(page if status == 200 else page.replace(" hidden", ""), status_code=status)


def _same(shown: str, known: str) -> bool:
    return secrets.compare_digest(shown.encode(), known.encode())


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
