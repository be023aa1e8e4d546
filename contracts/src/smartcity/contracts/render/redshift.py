"""Columns as Amazon Redshift DDL.

Sources: Amazon Redshift Database Developer Guide, data types. `VARCHAR(n)` counts bytes of UTF-8, not characters, and
ends at 65,535; `VARBYTE(n)` ends at 16,777,216. `TIMESTAMP` has no zone: every time in it is UTC.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..fields import Column, Kind
from ..limits import DEAD_LETTER_RECORD_BYTES_MAX
from .wording import comment

VARCHAR_BYTES_MAX = 65_535
SHORT_BYTES = 256
"""Width of a string that choices or a pattern bound: each is shorter by far, and choices may grow."""

UTF8_BYTES_MAX = 4
"""The most bytes that UTF-8 takes for one character."""

TYPES: dict[Kind, str] = {
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE PRECISION",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.STRINGS: "SUPER",
    Kind.BYTES: f"VARBYTE({DEAD_LETTER_RECORD_BYTES_MAX})",
}
"""Type of each kind but strings, whose width depends on their rules."""


def redshift_table(schema: str, table: str, columns: Iterable[Column], *, sort_key: str) -> str:
    """A `CREATE TABLE` statement and the comments of its columns, each statement ended by `;` and a line feed.

    `sort_key` is the column by which queries restrict time.
    """
    columns = tuple(columns)
    name = f"{_quoted(schema)}.{_quoted(table)}"
    body = ",\n".join(f"  {_definition(column)}" for column in columns)
    comments = (
        f"COMMENT ON COLUMN {name}.{_quoted(column.name)} IS {_literal(comment(column))};\n" for column in columns
    )
    return f"CREATE TABLE IF NOT EXISTS {name} (\n{body}\n)\nSORTKEY ({_quoted(sort_key)});\n" + "".join(comments)


def redshift_type(column: Column) -> str:
    """The Redshift type that holds every value the column's rules allow."""
    if column.kind is Kind.STRING:
        return f"VARCHAR({_varchar_bytes(column)})"
    return TYPES[column.kind]


def _definition(column: Column) -> str:
    return f"{_quoted(column.name)} {redshift_type(column)}{'' if column.nullable else ' NOT NULL'}"


def _varchar_bytes(column: Column) -> int:
    rules = column.rules
    if rules.choices or rules.pattern is not None:
        return SHORT_BYTES
    return VARCHAR_BYTES_MAX if rules.length_max is None else min(rules.length_max * UTF8_BYTES_MAX, VARCHAR_BYTES_MAX)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    """A string literal. Redshift reads a backslash in one as an escape, so it is doubled, like the quote."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
