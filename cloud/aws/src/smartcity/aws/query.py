"""Run SQL through Athena's API: start, follow, page through the result, and give its values their types back."""

from __future__ import annotations

import time
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

import botocore.exceptions

from .clients import client, error_message, explained
from .errors import QueryFailedError, QueryTimeoutError, WorkgroupError
from .settings import Settings

_POLL_FIRST_S = 0.05
_POLL_MAX_S = 1.0
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A result's column: its name, and Athena's type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A query's answer. Integers, doubles, decimals, booleans, dates and timestamps are typed; the rest is text."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    query_id: str
    scanned_bytes: int | None
    """None where the engine does not tell."""
    engine_ms: int


def run_query(
    sql: str,
    settings: Settings,
    *,
    athena: Any = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Run one statement in the settings' database and workgroup.

    Raises:
        WorkgroupError: the workgroup is missing.
        QueryFailedError: with Athena's reason.
        QueryTimeoutError: after `query_timeout_s`; the query is stopped.
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    athena = athena or client("athena", settings)
    with explained():
        query_id = _start(athena, sql, settings)
        execution = _follow(athena, query_id, settings.query_timeout_s, sleep, clock)
        status = execution["Status"]
        if status["State"] != "SUCCEEDED":
            raise QueryFailedError(f"{status.get('StateChangeReason', 'no reason given')} (query {query_id})")
        columns, rows = _read(athena, query_id, has_header=execution.get("StatementType") == "DML")
    statistics = execution.get("Statistics", {})
    return Result(
        columns=columns,
        rows=tuple(rows),
        query_id=query_id,
        scanned_bytes=statistics.get("DataScannedInBytes", 0),
        engine_ms=statistics.get("EngineExecutionTimeInMillis", 0),
    )


def _start(athena: Any, sql: str, settings: Settings) -> str:
    try:
        answer = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": settings.database},
            WorkGroup=settings.workgroup,
        )
    except botocore.exceptions.ClientError as error:
        message = error_message(error)
        if "workgroup" in message.lower() and "not found" in message.lower():
            raise WorkgroupError(
                f"the Athena workgroup {settings.workgroup} is missing: run `smartcity-aws prepare`, "
                "or name another with SMARTCITY_WORKGROUP"
            ) from None
        raise
    return str(answer["QueryExecutionId"])


def _follow(
    athena: Any, query_id: str, timeout_s: float, sleep: Callable[[float], None], clock: Callable[[], float]
) -> dict[str, Any]:
    deadline = clock() + timeout_s
    pause = _POLL_FIRST_S
    while True:
        execution: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if execution["Status"]["State"] in _ENDED:
            return execution
        if clock() >= deadline:
            athena.stop_query_execution(QueryExecutionId=query_id)
            raise QueryTimeoutError(f"the query {query_id} did not end within {timeout_s:g} s and was stopped")
        sleep(pause)
        pause = min(pause * 1.5, _POLL_MAX_S)


def _read(athena: Any, query_id: str, *, has_header: bool) -> tuple[tuple[Column, ...], Iterator[tuple[Any, ...]]]:
    pages = iter(athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id))
    first = next(pages)
    described = first["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    columns = tuple(Column(name=each["Name"], type=each["Type"]) for each in described)

    def rows() -> Iterator[tuple[Any, ...]]:
        yield from (_row(each, columns) for each in first["ResultSet"]["Rows"][1 if has_header else 0 :])
        for page in pages:
            yield from (_row(each, columns) for each in page["ResultSet"]["Rows"])

    return columns, iter(list(rows()))


def _row(row: dict[str, Any], columns: tuple[Column, ...]) -> tuple[Any, ...]:
    values = [each.get("VarCharValue") for each in row["Data"]]
    return tuple(typed(value, column.type) for value, column in zip(values, columns, strict=False))


def typed(text: str | None, athena_type: str) -> Any:
    """A printed value in its column's type; None is null. A type that has no Python counterpart stays text."""
    if text is None:
        return None
    return _TYPED.get(athena_type, str)(text)


def _timestamp(text: str) -> datetime:
    """`2026-11-21 08:00:00.000 UTC`, or with another zone's name, or with none."""
    day, clock, *zone = text.split(" ")
    value = datetime.fromisoformat(f"{day} {clock}")
    if not zone:
        return value
    place: tzinfo = UTC if zone[0] in ("UTC", "Z") else zoneinfo.ZoneInfo(zone[0])
    return value.replace(tzinfo=place)


_TYPED: dict[str, Callable[[str], Any]] = {
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "double": float,
    "float": float,
    "real": float,
    "decimal": Decimal,
    "boolean": lambda text: text == "true",
    "date": date.fromisoformat,
    "timestamp": _timestamp,
    "timestamp with time zone": _timestamp,
}
