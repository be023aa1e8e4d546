"""Columns as Spark's own schema document, and as the column list of a Spark `CREATE TABLE … USING iceberg`.

Sources: Apache Spark, `org.apache.spark.sql.types.DataType.json` (what pyspark's `StructType.fromJson` reads), and
Iceberg's table of Spark type conversions, by which `TIMESTAMP` becomes Iceberg's `timestamptz`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..fields import Column, Kind
from .wording import comment

TYPES: dict[Kind, str | dict[str, Any]] = {
    Kind.STRING: "string",
    Kind.INTEGER: "long",
    Kind.NUMBER: "double",
    Kind.BOOLEAN: "boolean",
    Kind.TIMESTAMP: "timestamp",
    Kind.STRINGS: {"type": "array", "elementType": "string", "containsNull": False},
    Kind.BYTES: "binary",
}
"""Type of each kind in the schema document."""

SQL_TYPES: dict[Kind, str] = {
    Kind.STRING: "STRING",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.STRINGS: "ARRAY<STRING>",
    Kind.BYTES: "BINARY",
}
"""Type of each kind in Spark SQL. SQL cannot say that an array's elements are never null."""


def spark_schema(columns: Iterable[Column]) -> dict[str, Any]:
    """The document that `StructType.fromJson` accepts."""
    fields = [
        {
            "name": column.name,
            "type": TYPES[column.kind],
            "nullable": column.nullable,
            "metadata": {"comment": comment(column)},
        }
        for column in columns
    ]
    return {"type": "struct", "fields": fields}


def spark_schema_json(columns: Iterable[Column]) -> str:
    """The same document as text, for `StructType.fromJson(json.loads(…))` or Scala's `DataType.fromJson`."""
    return json.dumps(spark_schema(columns), ensure_ascii=False)


def iceberg_ddl(columns: Iterable[Column]) -> str:
    """The column list between the parentheses of a Spark `CREATE TABLE`, one column a line, with comments."""
    return ",\n".join(_definition(column) for column in columns)


def _definition(column: Column) -> str:
    required = "" if column.nullable else " NOT NULL"
    return f"`{column.name}` {SQL_TYPES[column.kind]}{required} COMMENT {_literal(comment(column))}"


def _literal(text: str) -> str:
    """A Spark SQL string literal; backslash escapes, as the default parser reads them."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
