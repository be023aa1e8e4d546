"""One micro-batch: parse once, then per table deduplicate, store frames, commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from smartcity.contracts.streams import CAMERA, STREAM_BY_NAME

from .commit import BatchIdentity, Commit, append, is_committed
from .deduplicate import find_repeats, fresh_rows, spans_of, without
from .delays import Delays, delays_of
from .frames import store_frames
from .keys import collect_keys
from .parse import dead_letter_rows, stream_rows, with_lake_time
from .seen import Seen
from .settings import Storage
from .tables import DEAD_LETTERS, TABLES, Table, load

ROWS_PER_FILE = 200_000
"""One file per day and batch up to this many rows."""

TABLES_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch came to, per table. `skipped` tables held the batch already."""

    batch_id: int
    records: int
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    delays: dict[str, Delays] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def process_batch(parsed: DataFrame, identity: BatchIdentity, storage: Storage, seen: Seen) -> Outcome:
    """Bring a batch of `parse.parse`'s rows into the tables. Running it again, wholly or in part, changes nothing.

    `seen` is of this query and goes with it from batch to batch; an empty one is as right, but slower.
    """
    started, began_at = time.monotonic(), datetime.now(UTC)
    spark = parsed.sparkSession
    parsed = parsed.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        keys = collect_keys(parsed)
        counts = keys.counts()
        held = {table: load(spark, table) for table in TABLES if table.name in counts}
        skipped = [table for table in held if is_committed(held[table], identity)]
        todo = {table: held[table] for table in held if table not in skipped}
        readings = keys.readings()
        ids = readings.ids()
        repeats = find_repeats(spark, readings, ids, todo, seen)
        rows = with_lake_time(parsed, began_at)
        delays: dict[str, Delays] = {}

        def bring(table: Table) -> Commit:
            if table is DEAD_LETTERS:
                spans = spans_of(keys.of_table(table.name).microseconds())
                fresh = fresh_rows(spark, dead_letter_rows(rows), table, spans)
            else:
                fresh = without(stream_rows(rows, STREAM_BY_NAME[table.name], table), repeats[table.name])
            files = 1 + counts[table.name] // ROWS_PER_FILE
            commit = _bring(fresh.drop("partition", "offset").coalesce(files), table, identity, storage)
            delays[table.name] = delays_of(keys.of_table(table.name).kafka_microseconds(), time.time())
            return commit

        with ThreadPoolExecutor(max_workers=TABLES_AT_ONCE, thread_name_prefix="table") as pool:
            commits = dict(zip(todo, pool.map(bring, todo), strict=True))
        seen.add(ids)
        seen.snapshots |= {table.name: commit.snapshot_id for table, commit in commits.items()}
    except BaseException:
        seen.forget()
        raise
    finally:
        parsed.unpersist()
    return Outcome(
        batch_id=identity.batch_id,
        records=sum(counts.values()),
        seconds=time.monotonic() - started,
        rows={table.name: commit.rows for table, commit in commits.items()},
        duplicates={table.name: counts[table.name] - commit.rows for table, commit in commits.items()},
        delays=delays,
        skipped=tuple(table.name for table in skipped),
    )


def _bring(fresh: DataFrame, table: Table, identity: BatchIdentity, storage: Storage) -> Commit:
    """Add rows to one table; a camera's frames before them."""
    if table.name != CAMERA.table:
        return append(fresh, table, identity)
    fresh = fresh.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        store_frames(fresh, storage)
        return append(fresh.drop("bytes"), table, identity)
    finally:
        fresh.unpersist()


def describe_outcome(outcome: Outcome, tables: Sequence[Table] = TABLES) -> str:
    """One line for the log."""
    rows = " ".join(f"{table.name}={outcome.rows[table.name]}" for table in tables if table.name in outcome.rows)
    duplicates = sum(outcome.duplicates.values())
    skipped = f" already there: {', '.join(outcome.skipped)}" if outcome.skipped else ""
    return (
        f"batch {outcome.batch_id}: {outcome.records} records in {outcome.seconds:.2f} s, new rows {rows or 'none'}, "
        f"duplicates {duplicates}{skipped}"
    )
