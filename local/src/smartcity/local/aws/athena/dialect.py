"""Athena's SQL as DuckDB's: one SELECT, its tables replaced by what the engine reads for each of them.

sqlglot does the bulk. Here is what it leaves different of names and places: those of unnamed columns, and
`at_timezone`, whose zone DuckDB's timestamps cannot carry; `athena_functions.py` has the functions.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from ..errors import QueryFailedError
from .functions import rewritten

COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between)
_CATALOG = "awsdatacatalog"
_ZONE_BLIND: tuple[type[exp.Expr], ...] = (
    exp.Extract,
    exp.Year,
    exp.Month,
    exp.Day,
    exp.Hour,
    exp.Minute,
    exp.Second,
    exp.Week,
    exp.Quarter,
)
_ZONE_BLIND += (exp.DayOfMonth, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.TimeToStr, exp.Date)
_NAMED = (exp.Alias, exp.Aliases, exp.Column, exp.Dot, exp.Star)
_TRUNCATIONS = (exp.TimestampTrunc, exp.DateTrunc)


@dataclass(slots=True, kw_only=True)
class TableUse:
    """One mention of a table: what of it the query needs. Each mention is read for itself."""

    database: str
    name: str
    placeholder: str
    """What stands in its place in the query for DuckDB."""
    columns: list[str] | None = None
    """Columns in use; None where that is unknown, so all of them."""
    conditions: list[exp.Expr] = field(default_factory=list)
    """Comparisons of this table's columns with constants that every row of the answer fulfils."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A SELECT, ready for DuckDB once its `uses` are registered under their placeholders."""

    sql: str
    uses: Sequence[TableUse]
    zoned_outputs: frozenset[int]
    """Outputs that are printed with their zone, hence text to DuckDB and timestamps to the client."""


def translate(
    statement: exp.Expr,
    *,
    database: str,
    columns_of: Callable[[str, str], Mapping[str, str]],
    fraction_digits: Callable[[Sequence[TableUse]], int] = lambda uses: 6,
) -> Query:
    """Translate a parsed SELECT.

    `columns_of(database, table)` gives a table's columns as {name: Athena type}; it raises QueryFailedError where there
    is no such table. `fraction_digits` says how many digits of a second are printed for a query over these tables.
    """
    statement = statement.copy()
    _refuse_foreign(statement)
    _name_outputs(statement)
    uses, schema = _place_tables(statement, database, columns_of)
    with contextlib.suppress(sqlglot.errors.SqlglotError):
        # Where sqlglot cannot resolve a name, DuckDB gets the query as it is, and judges.
        qualified = qualify(statement.copy(), schema=schema, dialect="athena")
        statement = annotate_types(qualified, schema=schema, dialect="athena")
        _note_needs(statement, uses)
    zoned = _place_zones(statement, fraction_digits(uses))
    return Query(sql=rewritten(statement).sql(dialect="duckdb"), uses=uses, zoned_outputs=zoned)


def parse(sql: str, parameters: Sequence[str] = ()) -> exp.Expr:
    """The one statement of `sql`, its `?` replaced by the parameters, which are SQL literals."""
    try:
        statements = [each for each in sqlglot.parse(sql, dialect="athena") if each is not None]
        values = [sqlglot.parse_one(each, dialect="athena") for each in parameters]
    except sqlglot.errors.SqlglotError as error:
        raise QueryFailedError("SYNTAX_ERROR", _first_line(error)) from None
    if len(statements) != 1:
        raise QueryFailedError("SYNTAX_ERROR", f"Only one sql statement is allowed. Got: {len(statements)}")
    (statement,) = statements
    places = [each for each in statement.find_all(exp.Placeholder, bfs=False) if not each.args.get("this")]
    if len(places) != len(values):
        raise QueryFailedError(
            "INVALID_PARAMETER_USAGE", f"Incorrect number of parameters: expected {len(places)} but found {len(values)}"
        )
    for place, value in zip(places, values, strict=True):
        place.replace(value)
    return statement


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return " ".join(text.split())[:500]


def _refuse_foreign(statement: exp.Expr) -> None:
    for table in statement.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise QueryFailedError("NOT_SUPPORTED", f"table function {table.this.sql('athena')} is not served")
        if table.args.get("version"):
            raise QueryFailedError("NOT_SUPPORTED", "FOR TIMESTAMP/VERSION AS OF is not served by the local Athena")


def _name_outputs(statement: exp.Expr) -> None:
    """Give unnamed columns Athena's names: `_col0`, by position."""
    query: Any = statement
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if isinstance(query, exp.Select):
        query.set(
            "expressions",
            [
                each if isinstance(each, _NAMED) else exp.alias_(each, f"_col{number}")
                for number, each in enumerate(query.expressions)
            ],
        )


def _place_tables(
    statement: exp.Expr, database: str, columns_of: Callable[[str, str], Mapping[str, str]]
) -> tuple[list[TableUse], dict[str, object]]:
    uses: list[TableUse] = []
    schema: dict[str, object] = {}
    for scope in traverse_scope(statement):
        for source in scope.sources.values():
            if not isinstance(source, exp.Table) or source.meta.get("placed"):
                continue
            if source.catalog and source.catalog.lower() != _CATALOG:
                raise QueryFailedError("CATALOG_NOT_FOUND", f"Catalog '{source.catalog}' not found")
            use = TableUse(
                database=(source.db or database).lower(), name=source.name.lower(), placeholder=f"_table{len(uses)}"
            )
            schema[use.placeholder] = columns_of(use.database, use.name)
            if not source.alias:
                source.set("alias", exp.TableAlias(this=exp.to_identifier(use.name, quoted=True)))
            source.set("this", exp.to_identifier(use.placeholder))
            source.set("db", None)
            source.set("catalog", None)
            source.meta["placed"] = True
            uses.append(use)
    for column in statement.find_all(exp.Column):
        # smartcity.gps.speed: the mention is named after its table, so the database adds nothing.
        column.set("db", None)
        column.set("catalog", None)
    return uses, schema


def _note_needs(statement: exp.Expr, uses: list[TableUse]) -> None:
    by_placeholder = {use.placeholder: use for use in uses}
    for scope in traverse_scope(statement):
        for alias, source in scope.sources.items():
            use = by_placeholder.get(source.name) if isinstance(source, exp.Table) else None
            if use is not None:
                inside = scope.expression.find_all(exp.Column)  # with those of subqueries that look out of themselves
                use.columns = sorted({column.name for column in inside if column.table == alias})
                use.conditions = list(_conditions(scope, alias))


def _conditions(scope: Scope, alias: str) -> list[exp.Expr]:
    where = scope.expression.args.get("where")
    if where is None:
        return []
    parts = where.this.flatten() if isinstance(where.this, exp.And) else (where.this,)
    return [each for each in parts if _compares(each, alias)]


def _compares(condition: exp.Expr, alias: str) -> bool:
    """Whether this compares one column of `alias` with constants. Such a comparison is never true of a null."""
    if not isinstance(condition, COMPARISONS) or condition.find(exp.Query, exp.AggFunc, exp.Anonymous, exp.Rand):
        return False
    columns = list(condition.find_all(exp.Column))
    return len(columns) == 1 and columns[0] is condition.this and columns[0].table == alias


def _place_zones(statement: exp.Expr, digits: int) -> frozenset[int]:
    for call in list(statement.find_all(exp.Anonymous)):
        if call.name.lower() == "at_timezone" and len(call.expressions) == 2:
            call.replace(exp.AtTimeZone(this=call.expressions[0], zone=call.expressions[1]))
    outputs: dict[int, exp.Expr] = {}
    selects = statement.selects if isinstance(statement, exp.Select) else []
    for node in list(statement.find_all(exp.AtTimeZone)):
        top, parent = _zoned_whole(node)
        if isinstance(parent, (*_ZONE_BLIND, exp.Cast, exp.Group, exp.Ordered)) or _is_format(parent):
            continue
        column = next((n for n, each in enumerate(selects) if each is top or (each is parent and each.this is top)), -1)
        if column < 0 or not isinstance(parent, exp.Alias | exp.Select):
            raise QueryFailedError(
                "NOT_SUPPORTED",
                "at_timezone is served inside date functions, casts and GROUP BY, and as an output of the outermost "
                "SELECT; elsewhere use the timestamp itself, which is the same instant",
            )
        outputs[column] = top
        zone = node.args["zone"].copy()
        shape = "%Y-%m-%d %H:%M:%S." + ("%f" if digits == 6 else "%g")
        printed = exp.Anonymous(this="strftime", expressions=[top.copy(), exp.Literal.string(shape)])
        top.replace(exp.DPipe(this=printed, expression=exp.DPipe(this=exp.Literal.string(" "), expression=zone)))
    return frozenset(outputs)


def _zoned_whole(node: exp.Expr) -> tuple[exp.Expr, exp.Expr | None]:
    """The largest expression around `node` that still carries its zone, and what it stands in."""
    top: exp.Expr = node
    while isinstance(top.parent, (*_TRUNCATIONS, exp.Paren)):
        top = top.parent
    return top, top.parent


def _is_format(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == "format_datetime"
