"""Bytes that a question reads of Parquet files, as Athena counts them: the compressed column chunks of the columns it
needs, in the row groups that its conditions leave.

A row group is left out where its footer's minimum and maximum, or its file's partition, say that no row of it fulfils a
condition; both layouts are pruned by the same rule. What Athena reads beside that (footers, manifests) is not counted:
it is more where files are many. Nor are its least of 10 MB per query, its page indexes and its dynamic filters.

The local Athena's own figure is not used: it prunes Iceberg tables by file and Hive tables by partition alone, which
would be unfair to a layout without partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow.parquet as pq
from sqlglot import exp

from smartcity.local.aws.athena.dialect import parse, translate
from smartcity.local.aws.athena.types import athena_type

Range = tuple[Any, Any]
"""Least and greatest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A row group as its footer describes it, by top-level column."""

    rows: int
    bytes: Mapping[str, int]
    ranges: Mapping[str, Range]
    """Of columns whose footer tells them. INT96 timestamps, Spark's default, have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A Parquet file; the values of its partition are ranges of one value."""

    path: str
    types: Mapping[str, str]
    """Athena's type of each column."""
    groups: tuple[Group, ...]
    partition: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A column's range must meet one of these, given as comparison and value."""

    column: str
    any_of: tuple[tuple[tuple[str, Any], ...], ...]

    def may_hold(self, least: Any, greatest: Any) -> bool:
        return any(all(_MEETS[name](least, greatest, value) for name, value in each) for each in self.any_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was read."""

    bytes: int
    files: int
    groups: int

    def __add__(self, other: Scan) -> Scan:
        return Scan(bytes=self.bytes + other.bytes, files=self.files + other.files, groups=self.groups + other.groups)


NOTHING = Scan(bytes=0, files=0, groups=0)
_MEETS: dict[str, Callable[[Any, Any, Any], bool]] = {
    "=": lambda least, greatest, value: least <= value <= greatest,
    ">": lambda _, greatest, value: greatest > value,
    ">=": lambda _, greatest, value: greatest >= value,
    "<": lambda least, _, value: least < value,
    "<=": lambda least, _, value: least <= value,
}
_NAMES: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}


def read_file(path: str, *, filesystem: Any = None, partition: Mapping[str, str] | None = None) -> File:
    """A file's footer."""
    with pq.ParquetFile(path, filesystem=filesystem) as file:
        metadata, schema = file.metadata, file.schema_arrow
    groups = tuple(_group(metadata.row_group(number)) for number in range(metadata.num_row_groups))
    values = {name: (value, value) for name, value in (partition or {}).items()}
    types = {each.name: athena_type(each.type) for each in schema} | dict.fromkeys(values, "varchar")
    return File(path=path, types=types, groups=groups, partition=values)


def _group(found: Any) -> Group:
    sizes: dict[str, int] = {}
    ranges: dict[str, Range] = {}
    for number in range(found.num_columns):
        chunk = found.column(number)
        name = chunk.path_in_schema.split(".")[0]
        sizes[name] = sizes.get(name, 0) + chunk.total_compressed_size
        if chunk.path_in_schema == name and chunk.is_stats_set and chunk.statistics.has_min_max:
            ranges[name] = (_plain(chunk.statistics.min), _plain(chunk.statistics.max))
    return Group(rows=found.num_rows, bytes=sizes, ranges=ranges)


def with_range(file: File, column: str, known: Range) -> File:
    """The file as if its footer told a column's range, for all of its row groups."""
    groups = tuple(replace(group, ranges={**group.ranges, column: known}) for group in file.groups)
    return replace(file, groups=groups)


def count(sql: str, tables: Mapping[str, Sequence[File]]) -> Scan:
    """What a SELECT in Athena's SQL reads of the tables.

    Raises:
        KeyError: it asks a table that is not among them.
    """
    types = {name: files[0].types if files else {} for name, files in tables.items()}
    query = translate(parse(sql), database="bench", columns_of=lambda _database, name: types[name])
    total = NOTHING
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for use in query.uses:
            conditions = tuple(_condition(each, connection) for each in use.conditions)
            total += count_columns(tables[use.name], use.columns, conditions)
    return total


def count_columns(files: Iterable[File], columns: Sequence[str] | None, conditions: Sequence[Condition]) -> Scan:
    """What is read of some columns (None: of all) where conditions hold."""
    total = NOTHING
    for file in files:
        left = [group for group in file.groups if _may_hold(conditions, {**group.ranges, **file.partition})]
        size = sum(size for group in left for name, size in group.bytes.items() if columns is None or name in columns)
        total += Scan(bytes=size, files=bool(left), groups=len(left))
    return total


def _may_hold(conditions: Sequence[Condition], ranges: Mapping[str, Range]) -> bool:
    return all(each.column not in ranges or each.may_hold(*ranges[each.column]) for each in conditions)


def _condition(found: exp.Expr, connection: duckdb.DuckDBPyConnection) -> Condition:
    def value(constant: exp.Expr) -> Any:
        sql = f"SELECT {constant.sql(dialect='duckdb')}"
        return _plain(connection.sql(sql).to_arrow_table().column(0)[0].as_py())

    column = found.this.name.lower()
    if isinstance(found, exp.Between):
        return Condition(column=column, any_of=(((">=", value(found.args["low"])), ("<=", value(found.args["high"]))),))
    if isinstance(found, exp.In):
        return Condition(column=column, any_of=tuple((("=", value(each)),) for each in found.expressions))
    return Condition(column=column, any_of=(((_NAMES[type(found)], value(found.expression)),),))


def _plain(value: Any) -> Any:
    """Times in UTC, whether or not the file says so."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value
