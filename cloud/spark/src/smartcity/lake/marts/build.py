"""One day of one mart, computed by Spark."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as fn

from smartcity.contracts.tables import DATABASE

from ..session import CATALOG
from .files import as_contract
from .recipe import Recipe, Source


def build_day(spark: SparkSession, recipe: Recipe, day: date) -> Any:
    """The day's rows as an Arrow table in the mart's contract, read from the tables' current snapshots.

    The rows come to the driver whole: `spark.driver.maxResultSize` bounds them.

    Raises:
        TerminalError: what was computed breaks the mart's contract.
    """
    for source in recipe.sources:
        show_days(spark, source, day)
    bounds = {"day": _midnight(day), "next_day": _midnight(day + timedelta(days=1))}
    return as_contract(recipe.mart, spark.sql(recipe.sql, bounds).toArrow())


def show_days(spark: SparkSession, source: Source, day: date) -> None:
    """A view of the source's days under the table's name. Iceberg prunes everything else by its partitions."""
    days = sorted(source.days(day))
    first, end = _midnight(days[0]), _midnight(days[-1] + timedelta(days=1))
    rows = spark.table(f"{CATALOG}.{DATABASE}.{source.table}")
    within = (fn.col("timestamp") >= fn.lit(first)) & (fn.col("timestamp") < fn.lit(end))
    rows.where(within).createOrReplaceTempView(source.table)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
