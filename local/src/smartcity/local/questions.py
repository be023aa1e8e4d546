"""The ten questions, asked of Athena and of Redshift about one day, and whether the answers are equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from smartcity.aws.engine import Engine
from smartcity.aws.errors import AwsError, DifferentAnswersError
from smartcity.aws.query import Result, run_query
from smartcity.aws.questions import QUESTIONS, require_equal
from smartcity.aws.saved import parameters, saved_query
from smartcity.aws.settings import Settings
from smartcity.aws.warehouse import Warehouse, open_warehouse

from .answers import AnswerError

_NEWEST_JOURNEY = """
SELECT device_id, route, started_at, ended_at FROM journeys
WHERE dt <= '{day}' AND route IS NOT NULL ORDER BY started_at DESC, device_id LIMIT 1
"""
_UNDER_WAY = """
SELECT max(coalesce(responding_at, first_step_at)) FROM incident_response WHERE dt = '{day}'
"""
"""When somebody last set out for an incident: then at least that one is active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question, and both answers. `difference` is empty where they are equal."""

    name: str
    given: dict[str, str]
    rows: int
    athena_ms: int
    redshift_ms: int
    difference: str

    def document(self) -> dict[str, Any]:
        """The JSON object; times are the engines' own."""
        return {
            "question": self.name,
            "parameters": self.given,
            "rows": self.rows,
            "athena_ms": self.athena_ms,
            "redshift_ms": self.redshift_ms,
            "equal": not self.difference,
        }


def ask_both(settings: Settings, until: datetime, say: Callable[[str], None]) -> tuple[Asked, ...]:
    """Ask all of QUESTIONS about the newest journey in the marts that began by the day of `until`, and its day.

    Raises:
        AnswerError: there is no journey, or an engine does not answer.
    """
    warehouse = open_warehouse(settings)
    try:
        given = _subject(settings, until)
        asked = []
        for name in QUESTIONS:
            asked.append(_ask(name, given, settings, warehouse))
            say(f"{name}: {asked[-1].rows} rows, {asked[-1].difference or 'equal'}")
        return tuple(asked)
    except AwsError as error:
        raise AnswerError(str(error)) from error


def _subject(settings: Settings, until: datetime) -> dict[str, dict[str, str]]:
    """What the questions are about: values of their parameters, by question; `""` for the others."""
    journeys = run_query(_NEWEST_JOURNEY.format(day=until.date()), settings).rows
    if not journeys:
        raise AnswerError("the marts have no journey to ask about")
    [(device, route, started_at, ended_at)] = journeys
    day = started_at.date().isoformat()
    [(under_way,)] = run_query(_UNDER_WAY.format(day=day), settings).rows
    days = {"first_day": day, "last_day": day, "day": day, "route": route, "device_id": device}
    return {
        "": {**days, "since": _moment(started_at), "until": _moment(ended_at)},
        "slowest_kilometres": {"until": _moment(started_at + (ended_at - started_at) * 3 / 4)},
        "active_incidents": {"until": _moment(under_way or ended_at)},
    }


def _moment(value: datetime) -> str:
    return value.replace(tzinfo=UTC).isoformat()


def _ask(name: str, given: dict[str, dict[str, str]], settings: Settings, warehouse: Warehouse) -> Asked:
    values = given[""] | given.get(name, {})
    wanted = {each.name: values[each.name] for each in parameters(name)}
    athena = run_query(saved_query(name, wanted), settings)
    redshift = warehouse.ask(saved_query(name, wanted, engine=Engine.REDSHIFT))
    return Asked(
        name=name,
        given=wanted,
        rows=len(athena.rows),
        athena_ms=athena.engine_ms,
        redshift_ms=redshift.engine_ms,
        difference=_difference(name, athena, redshift),
    )


def _difference(name: str, athena: Result, redshift: Result) -> str:
    if not athena.rows and not redshift.rows:
        return ""
    try:
        require_equal(name, {"Athena": athena.rows, "Redshift": redshift.rows})
    except DifferentAnswersError as error:
        return str(error)
    return ""


def questions_table(asked: tuple[Asked, ...]) -> Table:
    """A row per question."""
    table = Table(title="ten questions, asked of Athena and of Redshift", title_justify="left")
    table.add_column("question")
    for name in ("rows", "Athena ms", "Redshift ms"):
        table.add_column(name, justify="right")
    table.add_column("answers")
    for one in asked:
        answers = escape(one.difference) if one.difference else "equal"
        table.add_row(QUESTIONS[one.name], str(one.rows), str(one.athena_ms), str(one.redshift_ms), answers)
    return table
