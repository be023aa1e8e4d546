"""Redshift Serverless through its Data API: statements in one transaction, followed to their end, and query results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import botocore.exceptions

from .clients import client, error_code, error_message, explained
from .errors import WarehouseError
from .query import Column, Result
from .settings import Settings

DATABASE = "smartcity"
"""Of the template's namespace."""
STATEMENTS_MAX = 40
"""Of one BatchExecuteStatement, by the Data API's limit."""
_POLL_FIRST_S = 0.05
_POLL_MAX_S = 2.0
_ENDED = ("FINISHED", "FAILED", "ABORTED")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warehouse:
    """A workgroup's database. `data` is boto3's client of `redshift-data`."""

    workgroup: str
    data: Any
    database: str = DATABASE
    timeout_s: float = 900.0
    sleep: Callable[[float], None] = field(default=time.sleep)
    clock: Callable[[], float] = field(default=time.monotonic)

    def transact(self, statements: Sequence[str]) -> None:
        """Run all of them, or none.

        Raises:
            WarehouseError: the workgroup is missing, or it failed, with Redshift's reason; or it did not end in time.
            CredentialsError, EndpointError, ServiceError: see `errors.py`.
        """
        self._finish(lambda: self.data.batch_execute_statement(Sqls=list(statements), **self._where()))

    def ask(self, sql: str) -> Result:
        """A query's answer, typed as Athena's; types have Redshift's names. What was scanned it does not tell.

        Raises:
            WarehouseError, CredentialsError, EndpointError, ServiceError: as `transact`.
        """
        found = self._finish(lambda: self.data.execute_statement(Sql=sql, **self._where()))
        columns: tuple[Column, ...] = ()
        records: list[Any] = []
        if found.get("HasResultSet"):
            with explained():
                pages = list(self.data.get_paginator("get_statement_result").paginate(Id=found["Id"]))
            described = pages[0]["ColumnMetadata"]
            columns = tuple(Column(name=each["name"], type=each["typeName"]) for each in described)
            records = [record for page in pages for record in page["Records"]]
        return Result(
            columns=columns,
            rows=tuple(tuple(map(_value, record, columns)) for record in records),
            query_id=found["Id"],
            scanned_bytes=None,
            engine_ms=found.get("Duration", 0) // 1_000_000,
        )

    def rows(self, sql: str) -> tuple[Row, ...]:
        """The rows of `ask`."""
        return self.ask(sql).rows

    def _where(self) -> dict[str, str]:
        return {"WorkgroupName": self.workgroup, "Database": self.database}

    def _finish(self, start: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The statement's description, when it has ended well."""
        with explained():
            try:
                identity: str = start()["Id"]
            except botocore.exceptions.ClientError as error:
                if error_code(error) not in ("ResourceNotFoundException", "ValidationException"):
                    raise
                message = error_message(error)
                raise WarehouseError(
                    f"Redshift does not take statements for the workgroup {self.workgroup}: {message}. "
                    "`smartcity-aws deploy --parameter CreateRedshift=true` makes it"
                ) from None
            deadline, pause_s = self.clock() + self.timeout_s, _POLL_FIRST_S
            found: dict[str, Any]
            while (found := self.data.describe_statement(Id=identity))["Status"] not in _ENDED:
                if self.clock() > deadline:
                    self.data.cancel_statement(Id=identity)
                    raise WarehouseError(f"Redshift had not ended after {self.timeout_s:g} s, and was told to stop")
                self.sleep(pause_s)
                pause_s = min(pause_s * 2, _POLL_MAX_S)
        if found["Status"] != "FINISHED":
            raise WarehouseError(f"Redshift: {found['Status']}: {found.get('Error', 'no reason given')}")
        return found


def open_warehouse(settings: Settings, *, data: Any = None) -> Warehouse:
    """That of the stack: its workgroup has the stack's name."""
    return Warehouse(workgroup=settings.stack, data=data or client("redshift-data", settings))


def _value(field: dict[str, Any], column: Column) -> Any:
    [(kind, value)] = field.items()
    if kind == "isNull":
        return None
    return _TYPED.get(column.type, _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


_TYPED: dict[str, Callable[[Any], Any]] = {
    "numeric": Decimal,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
}
