"""Runs one Athena SELECT: its tables read into Arrow, the query run by DuckDB over them, its rows printed.

DuckDB runs without access to files or the network and without configuration: a query sees its tables and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from ..cancellation import Cancellation
from ..errors import QueryFailedError
from .dialect import TableUse, parse, translate
from .tables import TableReader, is_iceberg
from .values import athena_type, column_info, printed

MEMORY_LIMIT = "2GB"
THREADS = 2
_BATCH_ROWS = 10_000

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Columns as ColumnInfo, rows as printed, and what it took."""

    columns: list[dict[str, Any]]
    rows: Iterator[Row]
    bytes_scanned: int
    planning_s: float
    running_s: float


def run_select(
    sql: str, *, database: str, parameters: Sequence[str], reader: TableReader, cancellation: Cancellation
) -> Answer:
    """Execute a SELECT. Raises QueryFailedError with the reason that the client reads."""
    started = time.monotonic()
    statement = parse(sql, parameters)
    if not isinstance(statement, exp.Query):
        raise QueryFailedError("NOT_SUPPORTED", f"{_kind(sql)} is not served by the local Athena; SELECT is")
    digits = 3

    def columns_of(in_database: str, name: str) -> dict[str, str]:
        nonlocal digits
        if is_iceberg(reader.table(in_database, name)):
            digits = 6
        return reader.columns(in_database, name)

    query = translate(statement, database=database, columns_of=columns_of, fraction_digits=lambda uses: digits)
    with _sandbox() as connection:
        scanned = _register(connection, query.uses, reader, cancellation)
        connection.execute("SET lock_configuration = true")
        planned = time.monotonic()
        with cancellation.reaching(connection):
            try:
                cancellation.check()
                relation = connection.sql(query.sql)
                types, names = [str(each) for each in relation.types], relation.columns
                table = relation.to_arrow_table()
            except duckdb.Error as error:
                cancellation.check()
                raise failure(error) from None
    kinds = [athena_type(each) for each in types]
    for number in query.zoned_outputs:
        kinds[number] = "timestamp with time zone"
    columns = [column_info(*each) for each in zip(names, types, kinds, strict=True)]
    return Answer(
        columns=columns,
        rows=_rows(table, types, digits),
        bytes_scanned=scanned,
        planning_s=planned - started,
        running_s=time.monotonic() - planned,
    )


def _sandbox() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    for setting in (
        "TimeZone = 'UTC'",
        f"threads = {THREADS}",
        f"memory_limit = '{MEMORY_LIMIT}'",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "enable_external_access = false",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _register(
    connection: duckdb.DuckDBPyConnection, uses: Sequence[TableUse], reader: TableReader, cancellation: Cancellation
) -> int:
    def evaluate(constant: exp.Expr) -> Any:
        try:
            value = (
                connection.sql(f"SELECT {constant.sql(dialect='duckdb')} AS v").to_arrow_table().column(0)[0].as_py()
            )
        except duckdb.Error as error:
            raise failure(error) from None
        if value is None:
            raise QueryFailedError("CONSTANT", "a comparison with null selects nothing to prune by")
        return value

    scanned = 0
    for use in uses:
        cancellation.check()
        scan = reader.read(use, evaluate)
        connection.register(use.placeholder, scan.rows)
        scanned += scan.bytes_scanned
    return scanned


def _rows(table: Any, types: list[str], digits: int) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        columns = [
            [printed(value, kind, digits) for value in column.to_pylist()]
            for column, kind in zip(batch.columns, types, strict=True)
        ]
        yield from zip(*columns, strict=True)


def failure(error: duckdb.Error) -> QueryFailedError:
    """DuckDB's error in Athena's classes."""
    text = str(error).split("\n\nLINE ")[0].strip()
    message = text.split(": ", 1)[-1]
    if isinstance(error, duckdb.CatalogException):
        code = "FUNCTION_NOT_FOUND" if "Function" in text else "TABLE_NOT_FOUND"
    elif isinstance(error, duckdb.BinderException):
        code = "COLUMN_NOT_FOUND" if "column" in text and "not found" in text else "SYNTAX_ERROR"
    elif isinstance(error, duckdb.ParserException):
        code = "SYNTAX_ERROR"
    elif isinstance(error, duckdb.ConversionException):
        code = "INVALID_CAST_ARGUMENT"
    elif isinstance(error, duckdb.OutOfRangeException):
        code = "NUMERIC_VALUE_OUT_OF_RANGE"
    elif isinstance(error, duckdb.OutOfMemoryException):
        code = "EXCEEDED_LOCAL_MEMORY_LIMIT"
    elif isinstance(error, duckdb.PermissionException):
        code = "PERMISSION_DENIED"
    else:
        code = "GENERIC_USER_ERROR"
    return QueryFailedError(code, " ".join(message.split()))


def _kind(sql: str) -> str:
    return " ".join(sql.split()[:2]).upper() or "an empty statement"
