"""One statement inside a transaction of the local Redshift: its tables put in place, run by DuckDB, rows as records.

SQL sees its own tables, and those that the external schemas name in the Glue catalog: what a statement needs of these
is read from S3 and registered for its time. COPY reads S3 as well; nothing else does.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from ..athena.dialect import TableUse
from ..athena.tables import TableReader
from ..errors import StatementError
from .copy import parse_copy, read
from .sql import ExternalSchema, translate
from .values import column_metadata
from .values import field as value_field

RESULT_ROWS_MAX = 500_000
RESULT_BYTES_MAX = 100 * 1024**2
OWN_SCHEMA = "local_state"
"""Where the local Redshift keeps its own tables in a namespace's file; SQL does not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one statement gave: rows as records of Fields, or how many rows it touched (-1: none to count). `size` is
    the records' in bytes of JSON.
    """

    columns: Sequence[dict[str, Any]] | None
    records: Sequence[Sequence[dict[str, Any]]]
    rows: int
    size: int = 0


class Statement:
    """One statement inside a transaction."""

    def __init__(self, connection: Any, reader: TableReader, s3: Any, new_system: Callable[[], Any]) -> None:
        self._connection = connection
        self._reader = reader
        self._s3 = s3
        self._new_system = new_system
        rows = connection.execute(f"SELECT name, source FROM {OWN_SCHEMA}.external_schemas").fetchall()
        self._external: dict[str, str] = dict(rows)

    def run(self, statement: exp.Expr | ExternalSchema, create_database: Callable[[str], None]) -> Outcome:
        """Run it.

        Raises:
            StatementError, AwsError, duckdb.Error: it failed; the transaction has to be rolled back.
        """
        if isinstance(statement, ExternalSchema):
            return self._create_external(statement, create_database)
        self._refuse_own(statement)
        if isinstance(statement, exp.Copy):
            return self._copy(statement)
        if isinstance(statement, exp.Drop) and self._drop_external(statement):
            return Outcome(columns=None, records=(), rows=-1)
        schema = self._schema()
        views = self._place(statement, schema)
        try:
            for sql in translate(statement, schema):
                self._connection.execute(sql)
            return self._outcome(statement)
        finally:
            for view in views:
                with contextlib.suppress(duckdb.Error):
                    self._connection.unregister(view)

    def _outcome(self, statement: exp.Expr) -> Outcome:
        if isinstance(statement, exp.Query):
            described = [(each[0], str(each[1])) for each in self._connection.description]
            rows = self._connection.fetchmany(RESULT_ROWS_MAX + 1)
            if len(rows) > RESULT_ROWS_MAX:
                raise StatementError(f"the result has more than {RESULT_ROWS_MAX} rows: select fewer")
            records = [[value_field(v, kind) for v, (_, kind) in zip(row, described, strict=True)] for row in rows]
            size = len(json.dumps(records))
            if size > RESULT_BYTES_MAX:
                raise StatementError(f"the result is larger than {RESULT_BYTES_MAX} bytes: select less")
            columns = [column_metadata(name, kind) for name, kind in described]
            return Outcome(columns=columns, records=records, rows=len(records), size=size)
        is_counted = isinstance(statement, exp.Insert | exp.Update | exp.Delete)
        return Outcome(columns=None, records=(), rows=self._connection.fetchone()[0] if is_counted else -1)

    def _schema(self) -> dict[str, dict[str, dict[str, str]]]:
        """Types of the tables and views that are there, temporary ones under `temp`."""
        sql = (
            "SELECT CASE WHEN database_name = 'temp' THEN 'temp' ELSE schema_name END, table_name, column_name,"
            " data_type FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
        )
        schema: dict[str, dict[str, dict[str, str]]] = {}
        for name, table, column, kind in self._connection.execute(sql).fetchall():
            schema.setdefault(name.lower(), {}).setdefault(table.lower(), {})[column.lower()] = kind
        return schema

    def _refuse_own(self, statement: exp.Expr) -> None:
        for table in statement.find_all(exp.Table):
            if table.db.lower() in (OWN_SCHEMA, "main", "temp") or table.catalog:
                raise StatementError(f"relation {table.sql('redshift')} does not exist")
            if table.this is not None and not isinstance(table.this, exp.Identifier):
                raise StatementError(f"{table.this.sql('redshift')[:100]} in FROM is not served by the local Redshift")

    def _place(self, statement: exp.Expr, schema: dict[str, dict[str, dict[str, str]]]) -> list[str]:
        """Put what external tables hold in their place, and name the schemas of the others; the views registered."""
        queries = [statement] if isinstance(statement, exp.Query) else list(statement.find_all(exp.Query))
        target = _target(statement)
        reads = isinstance(statement, exp.Query | exp.Insert | exp.Update | exp.Delete | exp.Create)
        changed = [target] if reads else list(statement.find_all(exp.Table))
        for each in changed:
            if each is not None and each.db.lower() in self._external:
                raise StatementError(f"{each.sql('redshift')} is an external table: it can only be read")
        temporary = target if isinstance(statement, exp.Create) and statement.find(exp.TemporaryProperty) else None
        common = {each.alias.lower() for each in statement.find_all(exp.CTE)}
        mentioned = {each.name.lower() for each in statement.find_all(exp.Column)}
        needs_all = any(query.find(exp.Star) and not _only_counts(query) for query in queries)
        views: list[str] = []
        for table in list(statement.find_all(exp.Table)):
            database = self._external.get(table.db.lower())
            if database is None:
                if not table.db and table.name.lower() not in common and table is not temporary:
                    is_temporary = table.name.lower() in schema.get("temp", {})
                    table.set("db", exp.to_identifier("temp" if is_temporary else "public"))
                continue
            if isinstance(statement, exp.Create) and str(statement.args["kind"]).upper() == "VIEW":
                raise StatementError("a view of external tables is not served by the local Redshift")
            view = f"_external{len(views)}"
            known = self._reader.columns(database, table.name.lower())
            columns = None if needs_all else [name for name in known if name in mentioned]
            use = TableUse(database=database, name=table.name.lower(), placeholder=view, columns=columns)
            self._connection.register(view, self._reader.read(use, _no_constants).rows)
            views.append(view)
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name.lower(), quoted=True)))
            table.set("this", exp.to_identifier(view))
            table.set("db", exp.to_identifier("temp"))
        for column in statement.find_all(exp.Column):
            if column.db.lower() in self._external:
                column.set("db", None)
        if views:
            schema.update(self._schema())
        return views

    def _copy(self, statement: exp.Copy) -> Outcome:
        copy = parse_copy(statement)
        table = copy.table
        name = table.name.lower()
        schema = self._schema()
        in_schema = table.db.lower() or ("temp" if name in schema.get("temp", {}) else "public")
        known = schema.get(in_schema, {}).get(name)
        if known is None:
            raise StatementError(f"relation {in_schema}.{name} does not exist")
        missing = [each for each in copy.columns if each not in known]
        if missing:
            raise StatementError(f"{in_schema}.{name} has no column {missing[0]!r}")
        wanted = {each: known[each] for each in copy.columns} if copy.columns else known
        rows = read(copy, wanted, s3=self._s3, system=self._new_system())
        self._connection.register("_copied", rows)
        try:
            into = exp.table_(name, db=in_schema, quoted=True).sql("duckdb")
            columns = ", ".join(exp.to_identifier(each, quoted=True).sql("duckdb") for each in wanted)
            self._connection.execute(f"INSERT INTO {into} ({columns}) SELECT {columns} FROM temp._copied")
            return Outcome(columns=None, records=(), rows=self._connection.fetchone()[0])
        finally:
            with contextlib.suppress(duckdb.Error):
                self._connection.unregister("_copied")

    def _create_external(self, given: ExternalSchema, create_database: Callable[[str], None]) -> Outcome:
        nothing = Outcome(columns=None, records=(), rows=-1)
        taken = {name for (name,) in self._connection.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()}
        if given.schema in self._external or given.schema in taken:
            if given.lenient and given.schema in self._external:
                return nothing
            raise StatementError(f'schema "{given.schema}" already exists')
        if given.create_database:
            create_database(given.database)
        row = [given.schema, given.database]
        self._connection.execute(f"INSERT INTO {OWN_SCHEMA}.external_schemas VALUES (?, ?)", row)
        return nothing

    def _drop_external(self, statement: exp.Drop) -> bool:
        if str(statement.args["kind"]).upper() != "SCHEMA":
            return False
        names = [each.name.lower() or each.db.lower() for each in statement.find_all(exp.Table)]
        known = [name for name in names if name in self._external]
        if not known:
            return False
        if len(names) > 1:
            raise StatementError("DROP SCHEMA of an external schema is served for one schema at a time")
        self._connection.execute(f"DELETE FROM {OWN_SCHEMA}.external_schemas WHERE name = ?", known)
        return True


def _target(statement: exp.Expr) -> exp.Table | None:
    """The table that a statement changes."""
    if isinstance(statement, exp.Query):
        return None
    target = statement.this
    if isinstance(target, exp.Schema):
        target = target.this
    return target if isinstance(target, exp.Table) else None


def _only_counts(query: exp.Expr) -> bool:
    return all(isinstance(star.parent, exp.Count) for star in query.find_all(exp.Star))


def _no_constants(constant: exp.Expr) -> Any:
    raise StatementError(f"{constant.sql()} is not evaluated")
