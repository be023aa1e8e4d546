"""Which days of a mart are to be built: those whose source days are not as they were when the day was built.

A source day's state is the number of its records and deletes, which Iceberg keeps in its manifests: no data is read.
Readings are only ever added, so a day that gained a late one differs, and a day that compaction rewrote, or whose old
snapshots were expired, does not. (Rows replaced by as many others, which nothing here does, go unseen: `--all`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import SparkSession

from smartcity.contracts.tables import DATABASE

from ..errors import TerminalError, TransientError
from ..session import CATALOG
from .recipe import Recipe

Days = Mapping[date, tuple[int, int]]
"""Records and deletes by day of one table."""

Fingerprint = dict[str, list[int]]
"""Records and deletes by `<table>/<day>`: what one day of a mart was computed from. Empty: from nothing."""

DAY_FIELD = "timestamp_day"


def days_of(spark: SparkSession, table: str) -> Days:
    """The days of a table at its current snapshot.

    Raises:
        TransientError: the table does not exist yet.
        TerminalError: the table is not partitioned by day.
    """
    name = f"{CATALOG}.{DATABASE}.{table}"
    if not spark.catalog.tableExists(name):
        raise TransientError(f"there is no table {name} yet: `smartcity-lake run` makes it")
    partitions = spark.table(f"{name}.partitions")
    if "partition" not in partitions.columns or DAY_FIELD not in partitions.select("partition.*").columns:
        raise TerminalError(f"table {name} is not partitioned by days(timestamp), by which its marts find their days")
    counts = partitions.selectExpr(
        f"partition.{DAY_FIELD} AS day", "record_count AS records",
        "position_delete_record_count + equality_delete_record_count AS deletes",
    ).groupBy("day").sum("records", "deletes")  # fmt: skip
    return {day: (int(records), int(deletes)) for day, records, deletes in counts.collect()}


def fingerprint(recipe: Recipe, day: date, tables: Mapping[str, Days]) -> Fingerprint:
    """What a day of the mart would be computed from now. Rows come from readings of their own day: none, no rows."""
    if not any(day in tables[source.table] for source in recipe.sources):
        return {}
    return {
        f"{source.table}/{source_day.isoformat()}": list(tables[source.table][source_day])
        for source in recipe.sources
        for source_day in source.days(day)
        if source_day in tables[source.table]
    }


def known_days(recipe: Recipe, tables: Mapping[str, Days], built: Mapping[date, Fingerprint]) -> list[date]:
    """Every day that may have rows, or once had, ascending."""
    return sorted({day for source in recipe.sources for day in tables[source.table]} | set(built))


def touched_days(recipe: Recipe, tables: Mapping[str, Days], built: Mapping[date, Fingerprint]) -> list[date]:
    """Those of them that were computed from something else, or never."""
    return [day for day in known_days(recipe, tables, built) if built.get(day, {}) != fingerprint(recipe, day, tables)]
