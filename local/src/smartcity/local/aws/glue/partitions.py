"""Glue's partitions of Hive tables: registered, listed, and selected by an expression over their keys."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from ..errors import AwsError
from ..protocol import Action, actions_of, page
from ..store import Store
from .service import ACCOUNT, GlueCatalog, missing

_ACTIONS = (
    "CreatePartition",
    "BatchCreatePartition",
    "GetPartition",
    "GetPartitions",
    "BatchGetPartition",
    "UpdatePartition",
    "DeletePartition",
    "BatchDeletePartition",
)
_PAGE_MAX = 1000
_TEXT_KEYS = ("string", "varchar", "char")


class GluePartitions:
    """Partitions over the store. Every method takes a request and gives the response of its Glue action."""

    def __init__(self, store: Store, catalog: GlueCatalog) -> None:
        self._store = store
        self._catalog = catalog

    def actions(self) -> dict[str, Action]:
        """Glue's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        given = request["PartitionInput"]
        with self._store.transaction() as connection:
            self._insert(connection, table, given, created=time.time())
        return {}

    def batch_create_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        errors = []
        with self._store.transaction() as connection:
            for given in request["PartitionInputList"]:
                try:
                    self._insert(connection, table, given, created=time.time())
                except AwsError as error:
                    errors.append(_failed(given.get("Values", []), error))
        return {"Errors": errors}

    def get_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Partition": self._partition(self._table(request), request["PartitionValues"])}

    def get_partitions(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        found, token = page(self.selected(table, request.get("Expression") or ""), request, at_most=_PAGE_MAX)
        return {"Partitions": found, **({"NextToken": token} if token else {})}

    def batch_get_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        found, unknown = [], []
        for wanted in request["PartitionsToGet"]:
            try:
                found.append(self._partition(table, wanted["Values"]))
            except AwsError:
                unknown.append(wanted)
        return {"Partitions": found, "UnprocessedKeys": unknown}

    def update_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        with self._store.transaction() as connection:
            kept = self._partition(table, request["PartitionValueList"])
            self._delete(connection, table, request["PartitionValueList"])
            self._insert(connection, table, request["PartitionInput"], created=kept["CreationTime"])
        return {}

    def delete_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        with self._store.transaction() as connection:
            self._delete(connection, table, request["PartitionValues"])
        return {}

    def batch_delete_partition(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request)
        errors = []
        with self._store.transaction() as connection:
            for each in request["PartitionsToDelete"]:
                try:
                    self._delete(connection, table, each["Values"])
                except AwsError as error:
                    errors.append(_failed(each["Values"], error))
        return {"Errors": errors}

    def selected(self, table: dict[str, Any], expression: str = "") -> list[dict[str, Any]]:
        """The table's partitions by value; with an expression (SQL over the keys), those for which it is true."""
        sql = "SELECT document FROM partitions WHERE database = ? AND name = ? ORDER BY partition_values"
        partitions = self._store.documents(sql, table["DatabaseName"], table["Name"])
        if not expression.strip() or not partitions:
            return partitions
        return _matching(table.get("PartitionKeys", []), partitions, expression)

    def _table(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._catalog.table(request["DatabaseName"], request["TableName"])

    def _partition(self, table: dict[str, Any], values: list[str]) -> dict[str, Any]:
        sql = "SELECT document FROM partitions WHERE database = ? AND name = ? AND partition_values = ?"
        found = self._store.documents(sql, table["DatabaseName"], table["Name"], json.dumps(values))
        if not found:
            raise missing("Partition", str(values))
        return found[0]

    def _insert(
        self, connection: sqlite3.Connection, table: dict[str, Any], given: dict[str, Any], *, created: float
    ) -> None:
        values = given.get("Values", [])
        keys = table.get("PartitionKeys", [])
        if len(values) != len(keys):
            raise AwsError(
                "InvalidInputException",
                f"The number of partition keys do not match the number of partition values: {len(keys)} keys, {values}",
            )
        document = {
            **given,
            "DatabaseName": table["DatabaseName"],
            "TableName": table["Name"],
            "CatalogId": ACCOUNT,
            "CreationTime": created,
        }
        row = (table["DatabaseName"], table["Name"], json.dumps(values), json.dumps(document))
        try:
            connection.execute("INSERT INTO partitions VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise AwsError("AlreadyExistsException", f"Partition {values} already exists.") from None

    def _delete(self, connection: sqlite3.Connection, table: dict[str, Any], values: list[str]) -> None:
        sql = "DELETE FROM partitions WHERE database = ? AND name = ? AND partition_values = ?"
        if connection.execute(sql, (table["DatabaseName"], table["Name"], json.dumps(values))).rowcount == 0:
            raise missing("Partition", str(values))


def _failed(values: list[str], error: AwsError) -> dict[str, Any]:
    return {"PartitionValues": values, "ErrorDetail": {"ErrorCode": error.code, "ErrorMessage": error.message}}


def _matching(keys: list[dict[str, Any]], partitions: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
    """Evaluate the expression in an empty DuckDB over the partition values, cast to their keys' types."""
    try:
        condition = sqlglot.condition(expression, dialect="hive")
        if condition.find(exp.Query, exp.Table):
            raise AwsError("InvalidInputException", f"Expression {expression!r} reads more than partition keys.")
        names = [exp.to_identifier(key["Name"].lower(), quoted=True) for key in keys]
        for column in condition.find_all(exp.Column):
            column.set("this", exp.to_identifier(column.name.lower(), quoted=True))
        typed = ", ".join(
            f"TRY_CAST(p.v[{number}] AS {_duckdb_type(key)}) AS {name.sql()}"
            for number, (key, name) in enumerate(zip(keys, names, strict=True), start=1)
        )
        sql = f"SELECT i FROM (SELECT i, {typed} FROM p) WHERE {condition.sql(dialect='duckdb')} ORDER BY i"
        with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
            connection.execute("CREATE TABLE p (i BIGINT, v VARCHAR[])")
            rows = [(number, each["Values"]) for number, each in enumerate(partitions)]
            connection.executemany("INSERT INTO p VALUES (?, ?)", rows)
            return [partitions[number] for (number,) in connection.execute(sql).fetchall()]
    except (sqlglot.errors.SqlglotError, duckdb.Error) as error:
        raise AwsError("InvalidInputException", f"Unsupported expression {expression!r}: {error}") from None


def _duckdb_type(key: dict[str, Any]) -> str:
    kind = key.get("Type", "string").lower()
    if kind.startswith(_TEXT_KEYS):
        return "VARCHAR"
    return sqlglot.exp.DataType.build(kind, dialect="hive").sql(dialect="duckdb")
