"""The six Iceberg tables, rendered from the contract: created where missing, and grown by nullable columns."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from smartcity.contracts.fields import Column
from smartcity.contracts.render.spark import SQL_TYPES, iceberg_ddl
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DATABASE, DEAD_LETTERS_TABLE, dead_letter_columns, lake_columns

from .errors import TerminalError
from .session import CATALOG

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: its columns, the time that partitions it, and what makes a row unique."""

    name: str
    columns: tuple[Column, ...]
    time_column: str
    key: tuple[str, ...]
    """Rows with equal keys are one and the same reading, or the same record of Kafka."""
    sort_by: tuple[str, ...]
    """Order of the rows within the files that compaction writes: columns, or transforms of them as Iceberg's SQL writes
    them (`hours(timestamp)`). Changing it needs no more than the next compaction."""

    @property
    def qualified_name(self) -> str:
        return f"{CATALOG}.{DATABASE}.{self.name}"

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]


STREAM_TABLES = tuple(
    Table(
        name=stream.table,
        columns=lake_columns(stream),
        time_column="timestamp",
        key=("device_id", "id"),
        sort_by=("hours(timestamp)", "device_id", "timestamp"),
    )
    for stream in STREAMS
)
DEAD_LETTERS = Table(
    name=DEAD_LETTERS_TABLE,
    columns=dead_letter_columns(),
    time_column="received_at",
    # A topic that was deleted and made again counts its offsets from zero: the time tells the two apart.
    key=("kafka_topic", "kafka_partition", "kafka_offset", "received_at"),
    sort_by=("received_at",),
)
TABLES = (*STREAM_TABLES, DEAD_LETTERS)

ROW_GROUP_BYTES = 8 * 1024 * 1024
"""As Parquet's writer in Java counts, before compression. A question about one hour or one vehicle reads row
groups, not files, so they are smaller than usual."""

_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.row-group-size-bytes": str(ROW_GROUP_BYTES),
    # The writer brings one file per day and batch by itself, so Iceberg need not shuffle or sort first.
    "write.distribution-mode": "none",
    "write.spark.fanout.enabled": "true",
    # Every commit writes a metadata file: keep the newest ones only.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    # Stream and maintenance commit to one table: whoever loses the race commits again on what the other made.
    "commit.retry.num-retries": "10",
}


def ensure_tables(spark: SparkSession, tables: tuple[Table, ...] = TABLES) -> None:
    """The Glue database and every table exist and have all columns of the contract.

    Raises:
        TerminalError: a table's column differs from the contract in a way that growing cannot mend.
    """
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{DATABASE}")
    for table in tables:
        if spark.catalog.tableExists(table.qualified_name):
            _grow(spark, table)
            _set_properties(spark, table)
        else:
            spark.sql(create_statement(table))
            _log.info("created table %s", table.qualified_name)


def create_statement(table: Table) -> str:
    """`CREATE TABLE` with the contract's columns and comments, partitioned by day."""
    return (
        f"CREATE TABLE IF NOT EXISTS {table.qualified_name} (\n{iceberg_ddl(table.columns)})\n"
        f"USING iceberg PARTITIONED BY (days({table.time_column})) TBLPROPERTIES ({_pairs(_PROPERTIES)})"
    )


def load(spark: SparkSession, table: Table) -> Any:
    """The `org.apache.iceberg.Table`, fresh from the catalog."""
    jvm: Any = spark.sparkContext._jvm
    return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, table.qualified_name)


def _grow(spark: SparkSession, table: Table) -> None:
    there = {field.name: field.dataType.simpleString() for field in spark.table(table.qualified_name).schema}
    missing = missing_columns(table, there)
    if missing:
        spark.sql(f"ALTER TABLE {table.qualified_name} ADD COLUMNS ({iceberg_ddl(missing)})")
        _log.info("table %s grew by %s", table.qualified_name, ", ".join(column.name for column in missing))


def _set_properties(spark: SparkSession, table: Table) -> None:
    """Tables of an earlier version get today's properties; files that are there stay as they are."""
    there = load(spark, table).properties()
    # Iceberg keeps the format's version outside the properties, and upgrading it is a decision of its own.
    changed = {
        name: value for name, value in _PROPERTIES.items() if name != "format-version" and there.get(name) != value
    }
    if changed:
        spark.sql(f"ALTER TABLE {table.qualified_name} SET TBLPROPERTIES ({_pairs(changed)})")
        _log.info("table %s: set %s", table.qualified_name, ", ".join(changed))


def _pairs(properties: dict[str, str]) -> str:
    return ", ".join(f"'{name}'='{value}'" for name, value in properties.items())


def missing_columns(table: Table, there: dict[str, str]) -> list[Column]:
    """The contract's columns that a table lacks; `there` maps its columns to Spark's simple type names.

    Raises:
        TerminalError: a column has another type, or a missing one is required.
    """
    missing = []
    for column in table.columns:
        if column.name not in there:
            if not column.nullable:
                raise TerminalError(
                    f"table {table.qualified_name} lacks the required column {column.name}: within a major version "
                    "a contract grows by nullable fields only"
                )
            missing.append(column)
        elif there[column.name] != SQL_TYPES[column.kind].lower():
            raise TerminalError(
                f"table {table.qualified_name}, column {column.name}: type is {there[column.name]}, the contract "
                f"says {SQL_TYPES[column.kind].lower()}. Start over with `smartcity down --wipe`, or migrate the table."
            )
    return missing
