"""Whether QuickSight's data sets ask for what the contract has, and get the types that they say. sqlglot resolves each
query as an engine would; it comes with the extra `check`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from smartcity.contracts.marts import MARTS, Mart
from smartcity.contracts.render.files import lake_tables

from .columns import tables

_DATABASE = '"${Database}".'
_FITS = {
    "STRING": exp.DataType.TEXT_TYPES,
    "INTEGER": exp.DataType.INTEGER_TYPES,
    "DECIMAL": {*exp.DataType.REAL_TYPES, *exp.DataType.INTEGER_TYPES},
    "DATETIME": {exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.DATE},
    "BOOLEAN": {exp.DataType.Type.BOOLEAN},
}
"""QuickSight's `InputColumnDataType`, and the types of a query's columns that it reads as such. It does not read times
with a zone, which the streams' tables hold."""


def data_set_findings(template: Mapping[str, Any], marts: Sequence[Mart] = MARTS) -> list[str]:
    """A sentence for each thing that is wrong with a data set's query, columns, or what is made of them; and for each
    table that the role behind them may not read.
    """
    found: list[str] = []
    read: set[str] = set()
    for name, properties in _of_type(template, "AWS::QuickSight::DataSet"):
        for source in properties["PhysicalTableMap"].values():
            query, columns = source["CustomSql"]["SqlQuery"], source["CustomSql"]["Columns"]
            sql = query["Fn::Sub"] if isinstance(query, dict) else query
            declared = tuple((each["Name"], each["Type"]) for each in columns)
            found += [f"{name}: {sentence}" for sentence in _query(sql, declared, tuple(marts))]
            read |= _tables(sql)
        found += [f"{name}: {sentence}" for sentence in _logical(properties)]
    for name, _ in _of_type(template, "AWS::QuickSight::DataSource"):
        found += [f"{name}: {sentence}" for sentence in _unreadable(template, read)]
    return found


def columns_of(properties: Mapping[str, Any]) -> dict[str, str]:
    """A data set's columns with QuickSight's types, by name."""
    return {
        each["Name"]: each["Type"]
        for source in properties["PhysicalTableMap"].values()
        for each in source["CustomSql"]["Columns"]
    }


@cache
def _schema(marts: tuple[Mart, ...]) -> dict[str, dict[str, str]]:
    zoned = {"timestamp": "timestamp with time zone"}
    return {
        table: {column: zoned.get(kind, kind) if table in lake_tables() else kind for column, kind in columns.items()}
        for table, columns in tables(marts).items()
    }


@cache
def _query(sql: str, columns: tuple[tuple[str, str], ...], marts: tuple[Mart, ...]) -> list[str]:
    schema, read, names = _schema(marts), _tables(sql), [name for name, _ in columns]
    found = [f"two columns are called {name}" for name, count in Counter(names).items() if count > 1]
    found += [f"there is no table {each}" for each in sorted(read - schema.keys())]
    if not read <= schema.keys():
        return found
    try:
        tree = sqlglot.parse_one(sql.replace(_DATABASE, ""), dialect="athena")
        known: dict[str, object] = {each: dict(schema[each]) for each in read}
        qualified = annotate_types(qualify(tree, schema=known, dialect="athena"), schema=known, dialect="athena")
    except SqlglotError as error:
        return [*found, str(error).splitlines()[0]]
    answers = {each.alias_or_name: each.type for each in qualified.selects} if isinstance(qualified, exp.Query) else {}
    found += [f"the query has no column {each}" for each in names if each not in answers]
    found += [f"the query's column {each} is not declared" for each in answers if each not in names]
    for name, kind in columns:
        answer = answers.get(name)
        if answer is not None and answer.this not in _FITS.get(kind, set()):
            found.append(f"{name} is {answer.sql('athena')} in the query, and declared {kind}")
    return found


@cache
def _tables(sql: str) -> frozenset[str]:
    """Tables that a query reads; none where it is no SQL."""
    try:
        tree = sqlglot.parse_one(sql.replace(_DATABASE, ""), dialect="athena")
    except SqlglotError:
        return frozenset()
    own = {each.alias for each in tree.find_all(exp.CTE)}
    return frozenset(each.name for each in tree.find_all(exp.Table)) - own


def _logical(properties: Mapping[str, Any]) -> Iterator[str]:
    columns, physical = columns_of(properties), properties["PhysicalTableMap"]
    for logical in properties.get("LogicalTableMap", {}).values():
        table = logical["Source"].get("PhysicalTableId")
        if table not in physical:
            yield f"there is no physical table {table}"
        for transform in logical.get("DataTransforms", []):
            tagged = transform["TagColumnOperation"]["ColumnName"]
            if tagged not in columns:
                yield f"there is no column {tagged} to tag"
            elif columns[tagged] != "DECIMAL":
                yield f"{tagged} is {columns[tagged]}, and tagged as a position"


def _unreadable(template: Mapping[str, Any], read: set[str]) -> Iterator[str]:
    """Tables that the data source's role may not look up in the catalog, or whose files it may not read or list."""
    streams = set(lake_tables())
    statements = [
        statement
        for policy in template["Resources"]["DashboardRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    tables_allowed = _resources(statements, "glue:GetTable") & _resources(statements, "glue:GetPartitions")
    objects_allowed = _resources(statements, "s3:GetObject")
    listed = {
        _text(prefix)
        for statement in statements
        if "s3:ListBucket" in _listed(statement["Action"])
        for prefix in _listed(statement["Condition"]["StringLike"]["s3:prefix"])
    }
    for table in sorted(read):
        prefix = f"warehouse/${{Database}}.db/{table}/*" if table in streams else "marts/*"
        if not any(each.endswith(f":table/${{Database}}/{table}") for each in tables_allowed):
            yield f"its role may not look up the table {table}, which the data sets read"
        if f"${{LakeBucket.Arn}}/{prefix}" not in objects_allowed:
            yield f"its role may not read the files of {table}, which the data sets read"
        if prefix not in listed:
            yield f"its role may not list the files of {table}, which the data sets read"


def _resources(statements: list[dict[str, Any]], action: str) -> set[str]:
    return {
        _text(each)
        for statement in statements
        if statement["Effect"] == "Allow" and action in _listed(statement["Action"])
        for each in _listed(statement["Resource"])
    }


def _text(value: Any) -> str:
    return str(value.get("Fn::Sub", "")) if isinstance(value, dict) else str(value)


def _of_type(template: Mapping[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource["Properties"]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
