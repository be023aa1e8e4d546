"""Columns as AWS Glue's catalog holds them.

Sources: AWS Glue API, `Column`; type names are Hive's. Hive types cannot say that a column is required, so each column
carries the parameter that Iceberg's Glue catalog writes for it, `iceberg.field.optional`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..fields import Column, Kind
from .wording import comment

COMMENT_CHARACTERS_MAX = 255
"""Glue refuses a longer comment."""

OPTIONAL_PARAMETER = "iceberg.field.optional"

TYPES: dict[Kind, str] = {
    Kind.STRING: "string",
    Kind.INTEGER: "bigint",
    Kind.NUMBER: "double",
    Kind.BOOLEAN: "boolean",
    Kind.TIMESTAMP: "timestamp",
    Kind.STRINGS: "array<string>",
    Kind.BYTES: "binary",
}


def glue_columns(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """`StorageDescriptor.Columns` of a Glue table."""
    return [
        {
            "Name": column.name,
            "Type": TYPES[column.kind],
            "Comment": comment(column)[:COMMENT_CHARACTERS_MAX],
            "Parameters": {OPTIONAL_PARAMETER: str(column.nullable).lower()},
        }
        for column in columns
    ]
