"""Appends that are made once per batch, however often the batch is run.

Each snapshot records the query and the batch that wrote it. Before appending, the newest snapshot of this query is
looked up: snapshots of others (compaction, another query) are walked over. Expiring snapshots must keep that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from .errors import TransientError
from .tables import Table

QUERY_ID = "stream.query-id"
BATCH_ID = "stream.batch-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIdentity:
    """The query's id lives in its checkpoint: it survives restarts, and a new checkpoint is a new query."""

    query_id: str
    batch_id: int


def is_committed(spark: SparkSession, table: Table, batch: BatchIdentity) -> bool:
    """Whether the table holds this batch of this query already, or a later one."""
    newest = newest_batch(load(spark, table), batch.query_id)
    return newest is not None and newest >= batch.batch_id


def newest_batch(iceberg_table: Any, query_id: str) -> int | None:
    """Id of the newest batch that the query committed to an `org.apache.iceberg.Table`; None for none."""
    snapshot = _newest_snapshot(iceberg_table, query_id)
    return None if snapshot is None else int(snapshot.summary().get(BATCH_ID))


def _newest_snapshot(iceberg_table: Any, query_id: str) -> Any:
    snapshot = iceberg_table.currentSnapshot()
    while snapshot is not None and snapshot.summary().get(QUERY_ID) != query_id:
        parent = snapshot.parentId()
        snapshot = None if parent is None else iceberg_table.snapshot(parent)
    return snapshot


def append(rows: DataFrame, table: Table, batch: BatchIdentity) -> int:
    """Append the rows as one snapshot that names the batch, empty or not; how many there were."""
    (
        rows.writeTo(table.qualified_name)
        .option(f"snapshot-property.{QUERY_ID}", batch.query_id)
        .option(f"snapshot-property.{BATCH_ID}", str(batch.batch_id))
        .append()
    )
    snapshot = _newest_snapshot(load(rows.sparkSession, table), batch.query_id)
    if snapshot is None or int(snapshot.summary().get(BATCH_ID)) != batch.batch_id:
        raise TransientError(f"{table.qualified_name} does not show batch {batch.batch_id}, which was just appended")
    return int(snapshot.summary().get("added-records") or 0)


def load(spark: SparkSession, table: Table) -> Any:
    """The `org.apache.iceberg.Table`, fresh from the catalog."""
    jvm: Any = spark.sparkContext._jvm
    return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, table.qualified_name)
