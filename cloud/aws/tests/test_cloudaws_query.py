"""Queries through a stubbed Athena: following, paging, typing, and what is said when they fail."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from smartcity.aws.errors import CredentialsError, QueryFailedError, QueryTimeoutError, ServiceError, WorkgroupError
from smartcity.aws.query import Column, Result, run_query, typed
from smartcity.aws.settings import Settings
from smartcity.aws.table import as_csv, as_json, as_table

SETTINGS = Settings(region="us-east-1", query_timeout_s=5)
ID = "6a2b1c1e-0000-4000-8000-000000000000"


@pytest.fixture
def athena() -> Any:
    return boto3.client("athena", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def stub(athena: Any) -> Iterator[Stubber]:
    with Stubber(athena) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _start(stub: Stubber) -> None:
    stub.add_response(
        "start_query_execution",
        {"QueryExecutionId": ID},
        {
            "QueryString": "SELECT",
            "QueryExecutionContext": {"Database": "smartcity"},
            "WorkGroup": "smartcity",
        },
    )


def _state(stub: Stubber, state: str, **more: Any) -> None:
    execution = {
        "Status": {"State": state, **more},
        "StatementType": "DML",
        "Statistics": {"DataScannedInBytes": 1234, "EngineExecutionTimeInMillis": 7},
    }
    stub.add_response("get_query_execution", {"QueryExecution": execution}, {"QueryExecutionId": ID})


def _page(stub: Stubber, rows: list[list[str | None]], *, token: str | None, expected: dict[str, str]) -> None:
    info = [{"Name": "n", "Type": "bigint"}, {"Name": "word", "Type": "varchar"}]
    data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows]
    answer = {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": info}}}
    stub.add_response(
        "get_query_results", {**answer, **({"NextToken": token} if token else {})}, {"QueryExecutionId": ID, **expected}
    )


def test_a_query_is_followed_and_all_its_pages_are_read(athena: Any, stub: Stubber) -> None:
    _start(stub)
    for state in ("QUEUED", "RUNNING", "SUCCEEDED"):
        _state(stub, state)
    _page(stub, [["n", "word"], ["1", "a"]], token="more", expected={})
    _page(stub, [["2", None]], token=None, expected={"NextToken": "more"})
    pauses: list[float] = []
    result = run_query("SELECT", SETTINGS, athena=athena, sleep=pauses.append, clock=lambda: 0)
    assert result.rows == ((1, "a"), (2, None))
    assert result.columns == (Column(name="n", type="bigint"), Column(name="word", type="varchar"))
    assert (result.scanned_bytes, result.engine_ms, result.query_id) == (1234, 7, ID)
    assert pauses == sorted(pauses)
    assert len(pauses) == 2


def test_a_failed_query_tells_athenas_reason(athena: Any, stub: Stubber) -> None:
    _start(stub)
    _state(stub, "FAILED", StateChangeReason="COLUMN_NOT_FOUND: nope")
    with pytest.raises(QueryFailedError, match="COLUMN_NOT_FOUND: nope"):
        run_query("SELECT", SETTINGS, athena=athena)


def test_a_query_that_takes_too_long_is_stopped(athena: Any, stub: Stubber) -> None:
    _start(stub)
    _state(stub, "RUNNING")
    _state(stub, "RUNNING")
    stub.add_response("stop_query_execution", {}, {"QueryExecutionId": ID})
    ticks = iter([0.0, 1.0, 6.0])
    with pytest.raises(QueryTimeoutError, match="5 s"):
        run_query("SELECT", SETTINGS, athena=athena, sleep=lambda _: None, clock=lambda: next(ticks))


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("InvalidRequestException", "WorkGroup smartcity is not found.", (WorkgroupError, "smartcity-aws prepare")),
        ("UnrecognizedClientException", "The security token is invalid", (CredentialsError, "AWS_ACCESS_KEY_ID")),
        ("ExpiredTokenException", "expired", (CredentialsError, "log in again")),
        ("AccessDeniedException", "no", (ServiceError, "lacks the permission")),
        ("InvalidRequestException", "Queries of this type are not supported", (ServiceError, "not supported")),
    ],
)
def test_refusals_say_what_to_do(
    athena: Any, stub: Stubber, code: str, message: str, expected: tuple[type[Exception], str]
) -> None:
    stub.add_client_error("start_query_execution", service_error_code=code, service_message=message)
    with pytest.raises(expected[0], match=expected[1]):
        run_query("SELECT", SETTINGS, athena=athena)


@pytest.mark.parametrize(
    ("text", "athena_type", "value"),
    [
        (None, "bigint", None),
        ("9223372036854775807", "bigint", 2**63 - 1),
        ("1.0E10", "double", 1e10),
        ("1.50", "decimal", Decimal("1.50")),
        ("true", "boolean", True),
        ("false", "boolean", False),
        ("2026-11-21", "date", dt.date(2026, 11, 21)),
        ("2026-11-21 08:00:00.000", "timestamp", dt.datetime(2026, 11, 21, 8)),
        ("2026-11-21 08:00:00.000001 UTC", "timestamp with time zone", dt.datetime(2026, 11, 21, 8, 0, 0, 1, dt.UTC)),
        (
            "2026-11-21 03:00:00.000 America/Toronto",
            "timestamp with time zone",
            dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC),
        ),
        ("[a, b]", "array", "[a, b]"),
        ("", "varchar", ""),
    ],
)
def test_values_get_their_types_back(text: str | None, athena_type: str, value: Any) -> None:
    found = typed(text, athena_type)
    assert found == value
    assert type(found) is type(value)


RESULT = Result(
    columns=(Column(name="route", type="varchar"), Column(name="km", type="double"), Column(name="t", type="date")),
    rows=(("a", 1.5, dt.date(2026, 11, 21)), ("long name", None, None)),
    query_id=ID,
    scanned_bytes=1000,
    engine_ms=3,
)


def test_a_result_as_a_table() -> None:
    assert as_table(RESULT).splitlines() == [
        "route       km  t",
        "---------  ---  ----------",
        "a          1.5  2026-11-21",
        "long name",
        "(2 rows, 1,000 bytes scanned)",
    ]


def test_a_result_as_json_and_csv() -> None:
    document = json.loads(as_json(RESULT))
    assert document["rows"][0] == {"route": "a", "km": 1.5, "t": "2026-11-21"}
    assert document["columns"][1] == {"name": "km", "type": "double"}
    assert as_csv(RESULT).splitlines() == ["route,km,t", "a,1.5,2026-11-21", "long name,,"]
