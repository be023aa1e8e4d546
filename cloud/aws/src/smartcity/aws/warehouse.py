"""Redshift Serverless through its Data API: statements in one transaction, followed to their end, and query results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions

from .clients import client, error_code, explained
from .errors import WarehouseError
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

    def rows(self, sql: str) -> list[Row]:
        """A query's rows: integers, floats, booleans, text, or None.

        Raises:
            WarehouseError, CredentialsError, EndpointError, ServiceError: as `transact`.
        """
        identity = self._finish(lambda: self.data.execute_statement(Sql=sql, **self._where()))
        with explained():
            pages = self.data.get_paginator("get_statement_result").paginate(Id=identity)
            return [tuple(map(_value, record)) for page in pages for record in page["Records"]]

    def _where(self) -> dict[str, str]:
        return {"WorkgroupName": self.workgroup, "Database": self.database}

    def _finish(self, start: Callable[[], dict[str, Any]]) -> str:
        with explained():
            try:
                identity: str = start()["Id"]
            except botocore.exceptions.ClientError as error:
                if error_code(error) not in ("ResourceNotFoundException", "ValidationException"):
                    raise
                message = error.response.get("Error", {}).get("Message", "")
                raise WarehouseError(
                    f"Redshift does not take statements for the workgroup {self.workgroup}: {message}. "
                    "`smartcity-aws deploy --parameter CreateRedshift=true` makes it"
                ) from None
            deadline, pause_s = self.clock() + self.timeout_s, _POLL_FIRST_S
            while (found := self.data.describe_statement(Id=identity))["Status"] not in _ENDED:
                if self.clock() > deadline:
                    self.data.cancel_statement(Id=identity)
                    raise WarehouseError(f"Redshift had not ended after {self.timeout_s:g} s, and was told to stop")
                self.sleep(pause_s)
                pause_s = min(pause_s * 2, _POLL_MAX_S)
        if found["Status"] != "FINISHED":
            raise WarehouseError(f"Redshift: {found['Status']}: {found.get('Error', 'no reason given')}")
        return identity


def open_warehouse(settings: Settings, *, data: Any = None) -> Warehouse:
    """That of the stack: its workgroup has the stack's name."""
    return Warehouse(workgroup=settings.stack, data=data or client("redshift-data", settings))


def literal(text: str) -> str:
    """A string in SQL. A backslash escapes in Redshift's literals."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _value(field: dict[str, Any]) -> Any:
    [(kind, value)] = field.items()
    return None if kind == "isNull" else value
