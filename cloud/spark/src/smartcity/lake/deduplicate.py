"""Each reading once: within the batch, and against what the table already holds.

There is no watermark and no horizon. A duplicate carries the same event time, so it can only be where the batch's own
event times point: the table's id columns are read over those spans alone. `seen.Seen` says for which records that is
needed at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as fn

from smartcity.contracts.envelope import BOOT_CHARACTERS, BOOT_ID_PATTERN

from .commit import changed_since, snapshot_id
from .keys import DAY_US, Keys
from .seen import Ids, Integers, Seen
from .tables import STREAM_TABLES, Table, load

SPANS_MAX = 64
"""The most spans that one look-up names; the oldest beyond it are merged into one."""

Repeats = list[tuple[int, int]]
"""Kafka partition and offset of records of one topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A closed interval of event times, in microseconds since 1970 UTC."""

    first_us: int
    last_us: int


def spans_of(microseconds: Integers) -> list[Span]:
    """One span for each day among the times, so that one late reading widens only its own day."""
    ordered = np.sort(microseconds)
    edges = np.flatnonzero(np.diff(ordered // DAY_US)) + 1
    return [Span(first_us=int(part[0]), last_us=int(part[-1])) for part in np.split(ordered, edges) if len(part)]


def merge_spans(spans: Sequence[Span], spans_max: int = SPANS_MAX) -> list[Span]:
    """At most `spans_max` spans that cover all of them, ascending; the oldest are merged."""
    ordered = sorted(spans, key=lambda span: span.first_us)
    excess = len(ordered) - spans_max
    if excess <= 0:
        return ordered
    old = ordered[: excess + 1]
    return [Span(first_us=old[0].first_us, last_us=max(span.last_us for span in old)), *ordered[excess + 1 :]]


def find_repeats(
    spark: SparkSession, readings: Keys, ids: Ids, held: Mapping[Table, Any], seen: Seen
) -> dict[str, Repeats]:
    """By table: partition and offset in Kafka of the readings that it holds, or that repeat an earlier one.

    `ids` are those of `readings`; `held` has the tables that will be written, as `org.apache.iceberg.Table`s. `seen`
    learns the days that the batch touches; what the batch holds it learns when that is committed.
    """
    if any(table.name in seen.snapshots and changed_since(held[table], seen.snapshots[table.name]) for table in held):
        seen.forget()
    _cover(spark, seen, seen.missing_days(np.unique(ids.days).tolist()))
    suspects = readings.where(seen.suspects(ids))
    return {table.name: repeated(spark, table, suspects.of_table(table.name)) for table in held}


def _cover(spark: SparkSession, seen: Seen, days: Sequence[int]) -> None:
    """Read days from the tables. What is committed there meanwhile differs from `snapshots`, and is noticed later."""
    if not days:
        return
    tables = {table: load(spark, table) for table in STREAM_TABLES}
    for table, iceberg_table in tables.items():
        seen.snapshots.setdefault(table.name, snapshot_id(iceberg_table))
    held = [day for day in days if any(has_rows(found, table, _whole(day)) for table, found in tables.items())]
    seen.cover(days, intervals_of(spark, held) if held else {})


def has_rows(iceberg_table: Any, table: Table, span: Span) -> bool:
    """Whether a file of an `org.apache.iceberg.Table` may hold rows of a time; read from its manifests alone."""
    jvm: Any = SparkSession.active().sparkContext._jvm
    expressions = jvm.org.apache.iceberg.expressions.Expressions
    bounds = (
        expressions.greaterThanOrEqual(table.time_column, span.first_us),
        expressions.lessThanOrEqual(table.time_column, span.last_us),
    )
    files = iceberg_table.newScan().filter(getattr(expressions, "and")(*bounds)).planFiles()
    try:
        return bool(files.iterator().hasNext())
    finally:
        files.close()


def _whole(day: int) -> Span:
    return Span(first_us=day * DAY_US, last_us=(day + 1) * DAY_US - 1)


def repeated(spark: SparkSession, table: Table, suspects: Keys) -> Repeats:
    """Kafka partition and offset of those suspects, all of one stream's table, that the table holds, or that repeat an
    earlier one."""
    if not suspects.rows.num_rows:
        return []
    known = _known(spark, table, suspects)
    found: Repeats = []
    columns = ("partition", "offset", "device_id", "id")
    for partition, offset, *key in sorted(zip(*(suspects.rows[name].to_pylist() for name in columns), strict=True)):
        if tuple(key) in known:
            found.append((partition, offset))
        known.add(tuple(key))
    return found


def _known(spark: SparkSession, table: Table, suspects: Keys) -> set[tuple[Any, ...]]:
    wanted = spark.createDataFrame(suspects.rows.select(["device_id", "id"]))
    held = spark.table(table.qualified_name).where(within(table.time_column, spans_of(suspects.microseconds())))
    found = held.join(fn.broadcast(wanted), ["device_id", "id"], "left_semi").select("device_id", "id").toArrow()
    return set(zip(found["device_id"].to_pylist(), found["id"].to_pylist(), strict=True))


def without(rows: DataFrame, repeats: Repeats) -> DataFrame:
    """The rows but those at these partitions and offsets of their topic."""
    if not repeats:
        return rows
    places = rows.sparkSession.createDataFrame(repeats, "partition int, offset long")
    return rows.join(fn.broadcast(places), ["partition", "offset"], "left_anti")


def intervals_of(spark: SparkSession, days: Sequence[int]) -> dict[str, tuple[Integers, int]]:
    """What all streams' tables hold of some days (counted from 1970-01-01 UTC).

    By boot: intervals of its sequences, shape (n, 2), and the newest day of them.
    """
    spans = [_whole(day) for day in days]

    def numbers(table: Table) -> DataFrame:
        rows = spark.table(table.qualified_name).where(within(table.time_column, spans))
        return rows.where(fn.col("id").rlike(f"^{BOOT_ID_PATTERN}$")).select(
            fn.left("id", fn.lit(BOOT_CHARACTERS)).alias("boot"),
            fn.substring("id", BOOT_CHARACTERS + 2, 18).cast("long").alias("n"),
            fn.unix_date(fn.to_date(table.time_column)).alias("day"),
        )

    order = Window.partitionBy("boot").orderBy("n")
    ids = reduce(DataFrame.unionAll, map(numbers, STREAM_TABLES))
    runs = ids.withColumn("run", fn.col("n") - fn.dense_rank().over(order)).groupBy("boot", "run")
    bounds = runs.agg(fn.min("n").alias("first"), fn.max("n").alias("last"), fn.max("day").alias("day"))
    return dict(_by_boot(bounds.orderBy("boot", "first").toArrow()))


def _by_boot(bounds: pa.Table) -> Iterable[tuple[str, tuple[Integers, int]]]:
    rows = zip(*(bounds[name].to_pylist() for name in ("boot", "first", "last", "day")), strict=True)
    for boot, of_boot in itertools.groupby(rows, key=lambda row: row[0]):
        found = np.array([row[1:] for row in of_boot], dtype=np.int64)
        yield boot, (found[:, :2], int(found[:, 2].max()))


def fresh_rows(spark: SparkSession, rows: DataFrame, table: Table, spans: Sequence[Span]) -> DataFrame:
    """Those rows that are neither repeated in the batch nor in the table; for dead letters, which are few.

    `rows` has the table's columns and `partition` and `offset`, by which the first of equal rows is kept.
    `spans` must cover every value of the table's time column in `rows`.
    """
    order = Window.partitionBy(*table.key).orderBy("partition", "offset")
    first = rows.withColumn("_nth", fn.row_number().over(order)).where("_nth = 1").drop("_nth")
    known = spark.table(table.qualified_name).where(within(table.time_column, spans)).select(*table.key)
    return first.join(known, [*table.key], "left_anti")


def within(time_column: str, spans: Sequence[Span]) -> Column:
    """The predicate that Iceberg prunes partitions and files by."""
    ranges = [
        fn.col(time_column).between(_instant(span.first_us), _instant(span.last_us)) for span in merge_spans(spans)
    ]
    return reduce(lambda left, right: left | right, ranges, fn.lit(False))


def _instant(microseconds: int) -> Column:
    return fn.timestamp_micros(fn.lit(microseconds))
