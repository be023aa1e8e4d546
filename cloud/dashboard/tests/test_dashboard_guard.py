"""Who may look: this machine, or whoever knows the token."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from smartcity.dashboard.access_token import read_token
from smartcity.dashboard.errors import TokenError
from smartcity.dashboard.guard import COOKIE, SECURITY_HEADERS, Guard
from smartcity.dashboard.main import main
from smartcity.dashboard.settings import read_settings

TOKEN = "a-token-of-some-length-0123"
WRONG = ["", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "ä" * 30]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def ask(
    path: str, *, token: str | None = TOKEN, host: str = "city.example", post: bytes | None = None, **headers: str
) -> Answer:
    """What Guard before an application that shows everything answers to one request."""

    async def city(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("the city")(scope, receive, send)

    given = {"host": host, **headers}
    scope = {
        "type": "http",
        "method": "GET" if post is None else "POST",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": post or b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(city, token)(scope, receive, send))
    return Answer(
        status=sent[0]["status"],
        headers={name.decode(): value.decode() for name, value in sent[0]["headers"]},
        text=b"".join(message.get("body", b"") for message in sent[1:]).decode(),
    )


@pytest.mark.parametrize("path", ["/", "/events", "/metrics", "/frames/a.jpg", "/lake", "/static/page.js", "//healthz"])
def test_without_the_token_nothing_is_shown(path: str) -> None:
    answer = ask(path)
    assert answer.status == 401
    assert "the city" not in answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    assert {name: answer.headers.get(name.lower()) for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_token_is_none(wrong: str) -> None:
    assert ask("/", authorization=f"Bearer {wrong}").status == 401
    assert ask("/", cookie=f"{COOKIE}={wrong}").status == 401
    refused = ask("/enter", post=f"token={wrong}".encode())
    assert refused.status == 401
    assert "That is not the token" in refused.text
    assert " hidden" not in refused.text
    assert "set-cookie" not in refused.headers


def test_the_token_itself_is_no_cookie() -> None:
    assert ask("/", cookie=f"{COOKIE}={TOKEN}").status == 401


def test_programs_show_the_token_as_a_header() -> None:
    assert ask("/metrics", authorization=f"Bearer {TOKEN}").text == "the city"


def test_people_come_in_by_the_entrance() -> None:
    sent_off = ask("/lake", accept="text/html,*/*")
    assert (sent_off.status, sent_off.headers["location"]) == (303, "/enter")
    form = ask("/enter")
    assert form.status == 200
    assert re.search('id="banner"[^>]* hidden', form.text)
    welcome = ask("/enter", post=f"token=+{TOKEN}%0A".encode())
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    cookie = welcome.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert ask("/lake", cookie=cookie.partition(";")[0]).text == "the city"
    assert ask("/lake", token="another-token-of-some-length", cookie=cookie.partition(";")[0]).status == 401


def test_the_entrance_reads_no_more_than_a_token() -> None:
    assert ask("/enter", post=b"token=" + b"a" * 100_000).status == 413


def test_health_and_looks_are_open() -> None:
    assert ask("/healthz").text == "the city"
    assert ask("/static/style.css").text == "the city"


def test_without_a_token_only_this_machine_is_answered() -> None:
    assert ask("/", token=None).status == 421
    assert ask("/", token=None, host="localhost:8080").text == "the city"
    assert ask("/metrics", token=None, host="dashboard:8080").text == "the city"


def test_a_missing_file_is_made_with_a_good_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = read_token(file)
    assert len(token) >= 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_token(file) == token
    settings = read_settings(mqtt=None, bridge="http://b", listen="0.0.0.0:8080", token_file=str(file))
    assert settings.token == token
    assert token not in repr(settings)


@pytest.mark.parametrize(
    ("content", "mode", "named"),
    [
        (b"short", 0o600, "20 characters"),
        (b"a token with spaces in it", 0o600, "spaces"),
        (TOKEN.encode(), 0o644, "chmod 600"),
        ("ä".encode() * 30, 0o600, "ASCII"),
    ],
)
def test_a_file_that_will_not_do_is_named(tmp_path: Path, content: bytes, mode: int, named: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(TokenError, match=named) as caught:
        read_token(file)
    assert str(file) in str(caught.value)


def test_a_folder_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "missing" / "token"
    assert main(["run", "--listen", "0.0.0.0:0", "--token-file", str(file)]) == 2
    assert main(["run", "--listen", "0.0.0.0:8080", "--token-file", str(file)]) == 2
    assert f"--token-file {file}: No such file" in capsys.readouterr().err
