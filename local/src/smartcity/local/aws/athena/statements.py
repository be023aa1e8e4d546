"""Athena's statements that are no SELECT: a few run on the Glue catalog, the others are refused by name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import AwsError, QueryFailedError
from ..glue.partitions import GluePartitions
from ..glue.service import GlueCatalog
from .tables import TableReader
from .values import column_info

_NAME = r"[`\"]?(?P<{0}>[A-Za-z0-9_$-]+)[`\"]?"
_DATABASE = _NAME.format("database")
_TABLE = rf"(?:{_DATABASE}\s*\.\s*)?{_NAME.format('table')}"
_LIKE = r"(?:\s+(?:LIKE\s+)?'(?P<like>[^']*)')?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a statement prints. `statement_type` is Athena's: DDL or UTILITY."""

    columns: list[dict[str, Any]]
    rows: Sequence[tuple[str | None, ...]]
    statement_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogs:
    """What the statements work on."""

    catalog: GlueCatalog
    partitions: GluePartitions
    reader: TableReader


def is_select(sql: str) -> bool:
    """Whether a statement is a query, which the engine runs."""
    return bool(re.match(r"(?is)^\s*(--[^\n]*\n\s*|/\*.*?\*/\s*)*[\s(]*(select|with|values|table)\b", sql))


def run_statement(sql: str, *, database: str, catalogs: Catalogs) -> Listing:
    """Run a statement that is no SELECT, or raise QueryFailedError naming it."""
    text = re.sub(r"--[^\n]*", " ", sql).strip().rstrip(";").strip()
    for pattern, run in _STATEMENTS:
        match = re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL)
        if match:
            given = {"database": database, **{key: value for key, value in match.groupdict().items() if value}}
            try:
                return run(given, catalogs)
            except QueryFailedError:
                raise
            except AwsError as error:
                raise QueryFailedError("GENERIC_USER_ERROR", f"{error.code}: {error.message}") from None
    kind = " ".join(text.split()[:2]).upper() or "an empty statement"
    raise QueryFailedError(
        "NOT_SUPPORTED",
        f"{kind} is not served by the local Athena. It runs SELECT, SHOW DATABASES, SHOW TABLES, SHOW COLUMNS, "
        "SHOW PARTITIONS, DESCRIBE, CREATE DATABASE and DROP DATABASE; create tables through Glue or Iceberg",
    )


def _listing(name: str, values: Sequence[str]) -> Listing:
    return Listing(
        columns=[column_info(name, "VARCHAR", "string")],
        rows=[(value,) for value in values],
        statement_type="UTILITY",
    )


def _liked(names: Sequence[str], pattern: str | None) -> list[str]:
    """Hive's pattern: `*` stands for anything, `|` between alternatives."""
    if pattern is None:
        return list(names)
    choices = pattern.replace("%", "*").split("|")
    return [name for name in names if any(fnmatch.fnmatchcase(name, choice.lower()) for choice in choices)]


def _show_databases(given: dict[str, str], catalogs: Catalogs) -> Listing:
    names = [each["Name"] for each in catalogs.catalog.databases()]
    return _listing("database_name", _liked(names, given.get("like")))


def _show_tables(given: dict[str, str], catalogs: Catalogs) -> Listing:
    catalogs.catalog.database(given["database"])
    names = [each["Name"] for each in catalogs.catalog.tables(given["database"])]
    return _listing("tab_name", _liked(names, given.get("like")))


def _show_columns(given: dict[str, str], catalogs: Catalogs) -> Listing:
    return _listing("field", list(catalogs.reader.columns(given["database"].lower(), given["table"].lower())))


def _show_partitions(given: dict[str, str], catalogs: Catalogs) -> Listing:
    table = catalogs.reader.table(given["database"].lower(), given["table"].lower())
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    if not keys:
        raise QueryFailedError("NOT_SUPPORTED", f"{table['Name']} has no registered partitions to show")
    rows = [
        "/".join(f"{key}={value}" for key, value in zip(keys, each["Values"], strict=True))
        for each in catalogs.partitions.selected(table)
    ]
    return _listing("partition", rows)


def _describe(given: dict[str, str], catalogs: Catalogs) -> Listing:
    columns = catalogs.reader.columns(given["database"].lower(), given["table"].lower())
    names = ("col_name", "data_type", "comment")
    return Listing(
        columns=[column_info(name, "VARCHAR", "string") for name in names],
        rows=[(name, kind, "") for name, kind in columns.items()],
        statement_type="UTILITY",
    )


def _create_database(given: dict[str, str], catalogs: Catalogs) -> Listing:
    document = {"Name": given["name"], "Description": given.get("comment"), "LocationUri": given.get("location")}
    try:
        catalogs.catalog.create_database({"DatabaseInput": {k: v for k, v in document.items() if v}})
    except AwsError as error:
        if error.code != "AlreadyExistsException" or "lenient" not in given:
            raise
    return Listing(columns=[], rows=[], statement_type="DDL")


def _drop_database(given: dict[str, str], catalogs: Catalogs) -> Listing:
    try:
        catalogs.catalog.database(given["name"])
    except AwsError:
        if "lenient" in given:
            return Listing(columns=[], rows=[], statement_type="DDL")
        raise
    if "cascade" not in given and catalogs.catalog.tables(given["name"]):
        raise QueryFailedError("GENERIC_USER_ERROR", f"Database {given['name']} is not empty: use CASCADE")
    catalogs.catalog.delete_database({"Name": given["name"]})
    return Listing(columns=[], rows=[], statement_type="DDL")


_STATEMENTS: tuple[tuple[str, Callable[[dict[str, str], Catalogs], Listing]], ...] = (
    (rf"SHOW\s+(?:DATABASES|SCHEMAS){_LIKE}", _show_databases),
    (rf"SHOW\s+TABLES(?:\s+(?:IN|FROM)\s+{_DATABASE})?{_LIKE}", _show_tables),
    (rf"SHOW\s+COLUMNS\s+(?:IN|FROM)\s+{_TABLE}", _show_columns),
    (rf"SHOW\s+PARTITIONS\s+{_TABLE}", _show_partitions),
    (rf"(?:DESCRIBE|DESC)\s+(?:EXTENDED\s+|FORMATTED\s+)?{_TABLE}", _describe),
    (
        rf"CREATE\s+(?:DATABASE|SCHEMA)\s+(?P<lenient>IF\s+NOT\s+EXISTS\s+)?{_NAME.format('name')}"
        r"(?:\s+COMMENT\s+'(?P<comment>[^']*)')?(?:\s+LOCATION\s+'(?P<location>[^']*)')?",
        _create_database,
    ),
    (
        rf"DROP\s+(?:DATABASE|SCHEMA)\s+(?P<lenient>IF\s+EXISTS\s+)?{_NAME.format('name')}"
        r"(?:\s+(?:(?P<cascade>CASCADE)|RESTRICT))?",
        _drop_database,
    ),
)
