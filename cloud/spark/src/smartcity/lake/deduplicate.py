"""Each reading once: within the batch, and against what the table already holds.

There is no watermark and no horizon. A duplicate carries the same event time, so it can only be where the batch's own
event times point: the table's id columns are read over those spans alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as fn

from .tables import Table

SPANS_MAX = 64
"""The most spans that one look-up names; the oldest beyond it are merged into one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A closed interval of event times, in microseconds since 1970 UTC."""

    first_us: int
    last_us: int


def merge_spans(spans: Sequence[Span], spans_max: int = SPANS_MAX) -> list[Span]:
    """At most `spans_max` spans that cover all of them, ascending; the oldest are merged."""
    ordered = sorted(spans, key=lambda span: span.first_us)
    excess = len(ordered) - spans_max
    if excess <= 0:
        return ordered
    old = ordered[: excess + 1]
    return [Span(first_us=old[0].first_us, last_us=max(span.last_us for span in old)), *ordered[excess + 1 :]]


def fresh_rows(spark: SparkSession, rows: DataFrame, table: Table, spans: Sequence[Span]) -> DataFrame:
    """Those rows that are neither repeated in the batch nor in the table.

    `rows` has the table's columns and `partition` and `offset`, by which the first of equal rows is kept.
    `spans` must cover every value of the table's time column in `rows`.
    """
    order = Window.partitionBy(*table.key).orderBy("partition", "offset")
    first = rows.withColumn("_nth", fn.row_number().over(order)).where("_nth = 1").drop("_nth", "partition", "offset")
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
