"""One micro-batch: parse once, then per table deduplicate, store frames, commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn

from smartcity.contracts.streams import CAMERA, STREAM_BY_NAME

from .commit import BatchIdentity, append, is_committed
from .deduplicate import Span, fresh_rows
from .frames import store_frames
from .parse import dead_letter_rows, stream_rows
from .settings import Storage
from .tables import DEAD_LETTERS, TABLES, Table

SPAN_S = 86_400
"""Event times are looked up per span of this length, so that one late reading widens only its own day."""

ROWS_PER_FILE = 200_000
"""One file per day and batch up to this many rows."""

TABLES_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a batch holds for one table."""

    rows: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch came to, per table. `skipped` tables held the batch already."""

    batch_id: int
    records: int
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def process_batch(parsed: DataFrame, identity: BatchIdentity, storage: Storage) -> Outcome:
    """Bring a batch of `parse.parse`'s rows into the tables. Running it again, wholly or in part, changes nothing."""
    started = time.monotonic()
    spark = parsed.sparkSession
    parsed = parsed.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        shares = survey(parsed)
        todo = [table for table in TABLES if table.name in shares]
        skipped = tuple(table.name for table in todo if is_committed(spark, table, identity))
        todo = [table for table in todo if table.name not in skipped]
        with ThreadPoolExecutor(max_workers=TABLES_AT_ONCE, thread_name_prefix="table") as pool:
            bring = partial(_bring, parsed, identity, storage)
            added = list(pool.map(lambda table: bring(table, shares[table.name]), todo))
    finally:
        parsed.unpersist()
    rows = {table.name: count for table, count in zip(todo, added, strict=True)}
    return Outcome(
        batch_id=identity.batch_id,
        records=sum(share.rows for share in shares.values()),
        seconds=time.monotonic() - started,
        rows=rows,
        duplicates={name: shares[name].rows - count for name, count in rows.items()},
        skipped=skipped,
    )


def survey(parsed: DataFrame) -> dict[str, Share]:
    """Rows and time spans per table. One small job, which also fills the cache."""
    dead = fn.col("table") == DEAD_LETTERS.name
    received = fn.coalesce(fn.when(fn.col("refusal").isNull(), fn.col("bridged_at")), fn.col("kafka_at"))
    microseconds = fn.unix_micros(fn.when(dead, received).otherwise(fn.col("event_time")))
    found = (
        parsed.select("table", microseconds.alias("us"))
        .groupBy("table", fn.floor(fn.col("us") / (SPAN_S * 1_000_000)).alias("span"))
        .agg(fn.count("*").alias("rows"), fn.min("us").alias("first_us"), fn.max("us").alias("last_us"))
        .collect()
    )
    shares: dict[str, Share] = {}
    for name in {row["table"] for row in found}:
        of_table = [row for row in found if row["table"] == name]
        spans = tuple(Span(first_us=row["first_us"], last_us=row["last_us"]) for row in of_table)
        shares[name] = Share(rows=sum(row["rows"] for row in of_table), spans=spans)
    return shares


def _bring(parsed: DataFrame, identity: BatchIdentity, storage: Storage, table: Table, share: Share) -> int:
    """Rows added to one table."""
    stream = STREAM_BY_NAME.get(table.name)
    rows = dead_letter_rows(parsed) if stream is None else stream_rows(parsed, stream, table)
    fresh = fresh_rows(parsed.sparkSession, rows, table, share.spans).coalesce(_files(share.rows))
    if stream is not CAMERA:
        return append(fresh, table, identity)
    fresh = fresh.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        store_frames(fresh, storage)
        return append(fresh.drop("bytes"), table, identity)
    finally:
        fresh.unpersist()


def _files(rows: int) -> int:
    return 1 + rows // ROWS_PER_FILE


def describe_outcome(outcome: Outcome, tables: Sequence[Table] = TABLES) -> str:
    """One line for the log."""
    rows = " ".join(f"{table.name}={outcome.rows[table.name]}" for table in tables if table.name in outcome.rows)
    duplicates = sum(outcome.duplicates.values())
    skipped = f" already there: {', '.join(outcome.skipped)}" if outcome.skipped else ""
    return (
        f"batch {outcome.batch_id}: {outcome.records} records in {outcome.seconds:.2f} s, new rows {rows or 'none'}, "
        f"duplicates {duplicates}{skipped}"
    )
