"""Questions to the lake: shared, kept, bounded, given up. And what a request may ask."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from smartcity.aws.dashboard.ask import Choices, visual_query
from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.dashboard.definition import Kind
from smartcity.aws.errors import QueryFailedError
from smartcity.aws.query import Column, Result
from smartcity.aws.settings import Settings
from smartcity.dashboard.errors import LakeBusyError, LakeRequestError, QuestionAbandonedError
from smartcity.dashboard.lake import Athena, Lake
from smartcity.dashboard.lake_definition import asked_sql, shown_definition, shown_result, with_clicks
from smartcity.dashboard.settings import LAKE_ANSWER_TTL_S, LAKE_AT_ONCE_MAX, LAKE_QUESTIONS_MAX

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
CLICKABLE = with_clicks(DASHBOARD)
DEADLINE_S = 20


class Slow:
    """An `Ask` that answers when told, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.given_up: list[str] = []
        self.go = threading.Event()

    def __call__(self, sql: str, abandoned: threading.Event) -> bytes:
        self.asked.append(sql)
        while not self.go.wait(0.01):
            if abandoned.is_set():
                self.given_up.append(sql)
                raise QuestionAbandonedError(sql)
        return sql.encode()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def test_who_ask_the_same_share_one_query_and_its_answer_for_a_while() -> None:
    now, slow = [0.0], Slow()

    async def scenario() -> None:
        lake = Lake(slow, clock=lambda: now[0])
        both = [asyncio.create_task(lake.answer("k", "a")) for _ in range(2)]
        await until(lambda: slow.asked)
        slow.go.set()
        assert await asyncio.gather(*both) == [b"a", b"a"]
        now[0] = LAKE_ANSWER_TTL_S - 0.1
        assert await lake.answer("k", "b") == b"a"
        now[0] = LAKE_ANSWER_TTL_S + 0.1
        assert await lake.answer("k", "b") == b"b"
        lake.close()

    asyncio.run(scenario())
    assert slow.asked == ["a", "b"]


def test_a_query_is_given_up_when_the_last_who_waits_has_gone() -> None:
    slow = Slow()

    async def scenario() -> None:
        lake = Lake(slow)
        first, second = (asyncio.create_task(lake.answer("k", "a")) for _ in range(2))
        await until(lambda: slow.asked)
        first.cancel()
        await asyncio.wait([first])
        await asyncio.sleep(0.05)
        assert not slow.given_up
        second.cancel()
        await until(lambda: slow.given_up)
        slow.go.set()
        assert await lake.answer("k", "b") == b"b"
        lake.close()

    asyncio.run(scenario())


def test_questions_are_bounded_and_closing_gives_all_up() -> None:
    slow = Slow()

    async def scenario() -> None:
        lake = Lake(slow)
        waiting = [asyncio.create_task(lake.answer(str(n), str(n))) for n in range(LAKE_QUESTIONS_MAX)]
        await until(lambda: len(slow.asked) == LAKE_AT_ONCE_MAX)
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(LakeBusyError, match=str(LAKE_QUESTIONS_MAX)):
                await lake.answer("one more", "one more")
        lake.close()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, QuestionAbandonedError) for each in answers)

    asyncio.run(scenario())
    assert len(slow.asked) == LAKE_AT_ONCE_MAX


def test_a_failure_is_told_to_all_and_not_kept() -> None:
    answers: list[Any] = [QueryFailedError("no"), b"yes"]

    def ask(sql: str, abandoned: threading.Event) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    async def scenario() -> None:
        lake = Lake(ask)
        with pytest.raises(QueryFailedError):
            await lake.answer("k", "a")
        assert await lake.answer("k", "a") == b"yes"
        lake.close()

    asyncio.run(scenario())


class Running:
    """Athena with a query that never ends."""

    def __init__(self) -> None:
        self.stopped: list[str] = []

    def start_query_execution(self, **given: Any) -> Any:
        return {"QueryExecutionId": "q-1"}

    def get_query_execution(self, **given: Any) -> Any:
        return {"QueryExecution": {"Status": {"State": "RUNNING"}}}

    def stop_query_execution(self, **given: Any) -> None:
        self.stopped.append(given["QueryExecutionId"])


def test_a_question_that_is_given_up_is_stopped_at_athena(monkeypatch: pytest.MonkeyPatch) -> None:
    running, abandoned = Running(), threading.Event()
    monkeypatch.setattr("smartcity.dashboard.lake.client", lambda service, settings: running)
    abandoned.set()
    with pytest.raises(QuestionAbandonedError):
        Athena(Settings(), register=False, shown=shown_result).ask("SELECT 1", abandoned)
    assert running.stopped == ["q-1"]


def test_the_definition_is_shown_whole() -> None:
    shown = json.loads(json.dumps(shown_definition(DASHBOARD)))
    drawn = [each for sheet in shown["sheets"] for row in sheet["rows"] for each in row["visuals"]]
    assert [each["id"] for each in drawn] == [visual.id for _, visual in DASHBOARD.placed()]
    for each, (_, visual) in zip(drawn, DASHBOARD.placed(), strict=True):
        assert each["title"] == visual.title
        assert bool(each["clicks"]) == visual.click_filters
        assert len([column for column in each["columns"] if column["role"] == "measure"]) == len(visual.measures)
        assert visual.kind is not Kind.TABLE or [column["name"] for column in each["columns"]] == list(visual.columns)


def test_a_request_becomes_the_definitions_statement() -> None:
    given = [("route", "a"), ("route", "it's"), ("since", "2026-09-20T00:00:00Z"), ("until", "2026-09-21T06:00Z")]
    visual = {each.id: each for _, each in DASHBOARD.placed()}["speed-by-time"]
    choices = Choices(
        values={"route": ("a", "it's")},
        since=datetime(2026, 9, 20, tzinfo=UTC),
        until=datetime(2026, 9, 21, 6, tzinfo=UTC),
    )
    days = {"first_day": "2026-09-20", "last_day": "2026-09-21"}
    assert asked_sql(CLICKABLE, visual.id, given, now=NOW) == visual_query(DASHBOARD, visual, choices, days, now=NOW)


def test_a_click_filters_what_has_its_column() -> None:
    clicked = [("clicked.type", "fire"), ("clicked.status", "resolved")]
    assert "type IN ('fire') AND status IN ('resolved')" in asked_sql(CLICKABLE, "active-map", clicked, now=NOW)
    assert "fire" not in asked_sql(CLICKABLE, "speed-by-time", clicked, now=NOW)


@pytest.mark.parametrize(
    ("visual", "given", "words"),
    [
        ("nothing", [], "nothing"),
        ("speed-by-time", [("vehicle", "car-1")], "no filter 'vehicle'"),
        ("speed-by-time", [("colour", "red")], "no filter 'colour'"),
        ("speed-by-time", [("clicked.km", "3")], r"no filter 'clicked\.km'"),
        ("speed-by-time", [("since", "yesterday")], "yesterday"),
        ("speed-by-time", [("since", "0001-01-01T00:00:00+23:00")], "since"),
        ("speed-by-time", [("route", "a")] * 1_001, "1001"),
    ],
)
def test_what_the_definition_lacks_is_refused_by_name(visual: str, given: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(LakeRequestError, match=words):
        asked_sql(CLICKABLE, visual, given, now=NOW)


def test_an_answer_is_plain_json() -> None:
    columns = tuple(Column(name=name, type="varchar") for name in "abcd")
    row = (datetime(2026, 11, 21, 8), float("nan"), Decimal("1.5"), None)
    result = Result(columns=columns, rows=(row,), query_id="q", scanned_bytes=None, engine_ms=3)
    assert json.loads(shown_result(result))["rows"] == [["2026-11-21T08:00:00Z", None, 1.5, None]]
