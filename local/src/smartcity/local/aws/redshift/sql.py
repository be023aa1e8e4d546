"""Redshift's SQL as DuckDB's: what is served, without its physical design, integers divided as Redshift does.

sqlglot does the bulk. DISTKEY, SORTKEY, DISTSTYLE and ENCODE say where rows lie, and are left out; primary, unique and
foreign keys are left out as well, since Redshift does not enforce them. The bytes of a `VARCHAR(n)` are checked.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from ..errors import StatementError
from .design import syntax_error, without_design

Schema = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Types by schema, table and column."""

_SERVED: tuple[type[exp.Expr], ...] = (
    exp.Query,
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Comment,
    exp.Copy,
)
_KINDS = ("TABLE", "VIEW", "SCHEMA")
_UNENFORCED = (exp.PrimaryKey, exp.ForeignKey, exp.UniqueColumnConstraint, exp.Reference)
_UNENFORCED_COLUMN = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)
_NAMED = (exp.Alias, exp.Column, exp.Star)
_OUTPUT_NAMES = {
    "ts_or_ds_diff": "date_diff", "datediff": "date_diff", "ts_or_ds_add": "date_add", "time_to_str": "to_char",
    "length": "len", "group_concat": "listagg", "timestamp_trunc": "date_trunc", "current_timestamp": "getdate",
}  # fmt: skip
_EXTERNAL = re.compile(
    r"CREATE\s+EXTERNAL\s+SCHEMA\s+(?P<lenient>IF\s+NOT\s+EXISTS\s+)?(?P<schema>\"[^\"]+\"|\w+)\s+FROM\s+DATA\s+CATALOG\s+"
    r"DATABASE\s+'(?P<database>[^']+)'(?:\s+REGION\s+'[^']*')?\s+IAM_ROLE\s+(?:'[^']+'|DEFAULT)"
    r"(?:\s+CATALOG_ROLE\s+'[^']+')?(?:\s+REGION\s+'[^']*')?(?P<create>\s+CREATE\s+EXTERNAL\s+DATABASE\s+IF\s+NOT\s+EXISTS)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSchema:
    """CREATE EXTERNAL SCHEMA … FROM DATA CATALOG DATABASE …; `lenient` is IF NOT EXISTS."""

    schema: str
    database: str
    lenient: bool
    create_database: bool


def parse(sql: str) -> exp.Expr | ExternalSchema:
    """The one statement of `sql`.

    Raises:
        StatementError: it is no statement, several, or one that is not served; the text names it.
    """
    text = sql.strip().rstrip(";").strip()
    match = _EXTERNAL.fullmatch(text)
    if match:
        schema = match["schema"].strip('"').lower()
        return ExternalSchema(
            schema=schema,
            database=match["database"].lower(),
            lenient=bool(match["lenient"]),
            create_database=bool(match["create"]),
        )
    try:
        statements = [each for each in sqlglot.parse(without_design(text), dialect="redshift") if each is not None]
    except sqlglot.errors.SqlglotError as error:
        raise syntax_error(error) from None
    if len(statements) != 1:
        raise StatementError(f"{len(statements)} statements in one: give several to BatchExecuteStatement")
    (statement,) = statements
    _check_served(statement, text)
    return statement


def bind(statement: exp.Expr, parameters: Mapping[str, str]) -> set[str]:
    """Replace each `:name` by its parameter, as a string literal; the names that were used.

    Raises:
        StatementError: a name has no value.
    """
    places = list(statement.find_all(exp.Placeholder))
    for place in places:
        if place.name not in parameters:
            raise StatementError(f"the parameter :{place.name} has no value")
        place.replace(exp.Literal.string(parameters[place.name]))
    return {place.name for place in places}


def translate(statement: exp.Expr, schema: Schema) -> list[str]:
    """DuckDB's statements for a parsed one, to be run in order. Its tables are those of `schema`."""
    statement = statement.copy()
    before: list[str] = []
    if isinstance(statement, exp.Create):
        before = _create(statement)
    if isinstance(statement, exp.Query):
        _name_outputs(statement)
        statement = _typed(statement, schema)
    elif isinstance(statement.args.get("expression"), exp.Query):
        query = statement.args["expression"]
        _name_outputs(query)
        statement.set("expression", _typed(query, schema))
    return [*before, *(_sql(each) for each in _single(statement))]


def _single(statement: exp.Expr) -> list[exp.Expr]:
    """DROP TABLE a, b as one DROP each, as DuckDB takes them."""
    tables = statement.args.get("tables") or [] if isinstance(statement, exp.Drop) else []
    drops: list[exp.Expr] = []
    for table in tables:
        one = statement.copy()
        one.set("tables", [table.copy()])
        drops.append(one)
    return drops or [statement]


def _sql(statement: exp.Expr) -> str:
    return statement.transform(_rewrite).sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE)


def _check_served(statement: exp.Expr, text: str) -> None:
    kind = str(statement.args.get("kind") or "").upper()
    is_ddl = isinstance(statement, exp.Create | exp.Drop | exp.Alter)
    is_served = isinstance(statement, _SERVED) and (not is_ddl or kind in _KINDS)
    is_served &= not (isinstance(statement, exp.Select) and statement.args.get("into"))
    if isinstance(statement, exp.Create):
        is_served &= statement.find(exp.LikeProperty) is None
        allowed = (exp.TemporaryProperty,)
        properties = statement.args.get("properties")
        is_served &= all(isinstance(each, allowed) for each in (properties.expressions if properties else ()))
    if not is_served:
        words = " ".join(text.split()[:3]).upper() or "an empty statement"
        raise StatementError(
            f"{words} is not served by the local Redshift. It runs SELECT, INSERT, UPDATE, DELETE, TRUNCATE, COPY from "
            "Parquet, COMMENT, and CREATE, ALTER and DROP of tables, views and schemas"
        )


def _create(statement: exp.Create) -> list[str]:
    """Take from a CREATE what DuckDB has not; returns the sequences that its identity columns need first."""
    statement.set("no_schema_binding", None)
    holder = statement.this
    if not isinstance(holder, exp.Schema):
        return []
    sequences: list[str] = []
    kept = []
    for each in holder.expressions:
        inner = each.expressions[0] if isinstance(each, exp.Constraint) and each.expressions else each
        if isinstance(inner, _UNENFORCED):
            continue
        if isinstance(each, exp.ColumnDef):
            _column(each, holder.this, sequences)
        kept.append(each)
    holder.set("expressions", kept)
    return sequences


def _column(column: exp.ColumnDef, table: exp.Expr, sequences: list[str]) -> None:
    constraints: list[exp.Expr] = []
    for each in column.args.get("constraints") or []:
        if isinstance(each.kind, exp.GeneratedAsIdentityColumnConstraint):
            name = exp.table_(f"{table.name}_{column.name}_{uuid.uuid4().hex[:8]}", db=table.args.get("db") or "public")
            start, step = (each.kind.args.get(key) or exp.Literal.number(1) for key in ("start", "increment"))
            sequences.append(f"CREATE SEQUENCE {name.sql('duckdb')} START WITH {start.sql()} INCREMENT BY {step.sql()}")
            value = exp.Anonymous(this="nextval", expressions=[exp.Literal.string(name.sql("duckdb"))])
            constraints.append(exp.ColumnConstraint(kind=exp.DefaultColumnConstraint(this=value)))
        elif not isinstance(each.kind, _UNENFORCED_COLUMN):
            constraints.append(each)
    kind = column.kind
    if kind is not None and kind.is_type("varchar", "char", "nvarchar", "nchar", "bpchar") and kind.expressions:
        length = kind.expressions[0].name
        if length.isdigit():
            quoted = exp.column(exp.to_identifier(column.name, quoted=True))
            size = exp.Anonymous(this="strlen", expressions=[quoted])
            check = exp.CheckColumnConstraint(this=exp.LTE(this=size, expression=exp.Literal.number(int(length))))
            constraints.append(exp.ColumnConstraint(kind=check))
    column.set("constraints", constraints)


def _name_outputs(statement: exp.Expr) -> None:
    """Give unnamed columns Redshift's names: the function's or the cast column's, else `?column?`."""
    query: Any = statement
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if isinstance(query, exp.Select):
        outputs = [
            each if isinstance(each, _NAMED) else exp.alias_(each, _output_name(each), quoted=True)
            for each in query.expressions
        ]
        query.set("expressions", outputs)


def _output_name(output: exp.Expr) -> str:
    while isinstance(output, exp.Cast | exp.Paren | exp.Window | exp.WithinGroup):
        output = output.this
    if isinstance(output, exp.Column):
        return output.name.lower()
    if isinstance(output, exp.Case):
        return "case"
    if isinstance(output, exp.Anonymous):
        return output.name.lower()
    if not isinstance(output, exp.Func) or isinstance(output, exp.Binary | exp.Unary):
        return "?column?"
    name = output.sql_name().lower()
    return _OUTPUT_NAMES.get(name, name)


def _typed(query: exp.Query, schema: Schema) -> exp.Query:
    """A query with its columns' types known, so that `/` and AVG over integers are Redshift's."""
    # Where sqlglot cannot resolve a name, DuckDB gets the query as it is, and judges.
    with contextlib.suppress(sqlglot.errors.SqlglotError):
        known: Any = {name: dict(tables) for name, tables in schema.items()}
        typed: Any = qualify(query.copy(), schema=known, dialect="redshift")
        typed = annotate_types(typed, schema=known, dialect="redshift")
        query = annotate_types(typed.transform(_aggregate), schema=known, dialect="redshift")
    return query


def _aggregate(node: exp.Expr) -> exp.Expr:
    """Redshift's SUM of a bigint is numeric, of smaller integers a bigint; its AVG of integers is a bigint."""
    call: exp.Expr = node.this if isinstance(node, exp.Window) else node
    is_whole = isinstance(call, exp.Sum | exp.Avg) and _argument(call).is_type(*exp.DataType.INTEGER_TYPES)
    if not is_whole or isinstance(node.parent, exp.Window):
        return node
    if isinstance(call, exp.Avg):
        return exp.cast(exp.Trunc(this=node.copy()), "bigint")
    return exp.cast(node.copy(), "decimal(38, 0)" if _argument(call).is_type("bigint") else "bigint")


def _argument(node: exp.Expr) -> exp.Expr:
    inner: exp.Expr = node.this
    if isinstance(inner, exp.Distinct) and inner.expressions:
        inner = inner.expressions[0]
    return inner


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.CurrentTimestamp) and not isinstance(node.parent, exp.AtTimeZone):
        # GETDATE() and SYSDATE have no zone in Redshift; the engine's zone is UTC.
        return exp.cast(node.copy(), "timestamp")
    if isinstance(node, exp.DataType) and node.is_type(exp.DType.SUPER):
        return exp.DataType.build("json", dialect="duckdb")
    if isinstance(node, exp.DataType) and node.is_type("varchar", "char", "nvarchar", "nchar", "varbinary"):
        return exp.DataType(this=exp.DType.VARBINARY if node.is_type("varbinary") else exp.DType.TEXT)
    return node
