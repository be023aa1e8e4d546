"""Maintenance of the tables while the stream appends to them: compact, tag, expire, remove orphans.

Why it cannot harm the stream: compaction and the rewriting of manifests commit snapshots that replace files by equal
ones, which an append does not conflict with; Glue compares versions, so whoever loses a race commits again on top.
Why it cannot undo the stream's skip (`commit.py`): the newest snapshot of every query is tagged before any is expired,
and the age from which snapshots are expired is reckoned before that. What would break it is a second maintenance that
stands still between its reading and its tagging for longer than snapshots are kept: run one at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from smartcity.contracts.topics import KAFKA_TOPICS

from .commit import drop_tags, tag_newest
from .describe import Description, describe
from .drive import classify
from .errors import TerminalError, TransientError
from .session import CATALOG
from .settings import Limits, Storage
from .tables import TABLES, Table, load

_log = logging.getLogger(__name__)

FILE_BYTES_TARGET = 128 * 1024 * 1024
FILES_MIN = 5
"""A day's files below the target size are compacted from this many on: fewer are not worth the rewriting."""

STEP_ATTEMPTS_MAX = 3
STEP_PAUSE_S = 2.0
QUERY_FORGOTTEN_AFTER = timedelta(milliseconds=max(topic.retention_ms for topic in KAFKA_TOPICS))
"""Whatever an older query could repeat, Kafka no longer holds: its tag is dropped, or it would keep files for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What maintenance made of one table. `given_up` names the steps that failed, with the reason."""

    table: str
    before: Description
    after: Description
    compacted_files: int = 0
    expired_snapshots: int = 0
    orphans: int = 0
    given_up: tuple[str, ...] = ()


Step = Callable[[SparkSession, Table, Limits], int]
"""One kind of upkeep of one table. Repeatable; returns how many files or snapshots it dealt with."""


def maintain(
    spark: SparkSession, storage: Storage, limits: Limits, *, tables: Sequence[Table] = TABLES
) -> list[Upkeep]:
    """All steps on every table that exists. A step that fails is tried again, then given up with a message, and the
    next one begins: none needs another (expiry and the tag that it needs are one step). A table that was empty at the
    start is left for the next time.

    Raises:
        TransientError: AWS does not answer.
        TerminalError: a failure that no repetition mends, such as refused credentials.
    """
    before = {one.table: one for one in describe(storage)}
    done: dict[str, dict[str, int]] = {}
    failed: dict[str, list[str]] = {}
    existing = [table for table in tables if before[table.name].exists]
    for table in existing:
        done[table.name], failed[table.name] = {}, []
        for name, step in STEPS.items() if before[table.name].snapshots else ():
            started = time.monotonic()
            try:
                done[table.name][name] = count = attempt(partial(step, spark, table, limits))
            except TransientError as error:
                _log.error("%s: %s given up after %d attempts: %s", table.name, name, STEP_ATTEMPTS_MAX, error)
                failed[table.name].append(f"{name}: {error}")
            else:
                _log.info("%s: %s %d in %.1f s", table.name, name, count, time.monotonic() - started)
    after = {one.table: one for one in describe(storage)}
    return [
        Upkeep(
            table=table.name,
            before=before[table.name],
            after=after[table.name],
            compacted_files=done[table.name].get("files compacted", 0),
            expired_snapshots=done[table.name].get("snapshots expired", 0),
            orphans=done[table.name].get("orphan files removed", 0),
            given_up=tuple(failed[table.name]),
        )
        for table in existing
    ]


def attempt(step: Callable[[], int]) -> int:
    """A step's result, at the latest by its last attempt: a commit that lost its races may win the next one.

    Raises:
        TransientError: it failed every time.
        TerminalError: no repetition mends it.
    """
    for number in range(1, STEP_ATTEMPTS_MAX + 1):
        try:
            return step()
        except (TransientError, PySparkException, Py4JJavaError, BotoCoreError, ClientError) as error:
            failure = classify(error, error)
            if isinstance(failure, TerminalError) or number == STEP_ATTEMPTS_MAX:
                raise failure from error
            _log.warning("attempt %d failed, trying again in %g s: %s", number, STEP_PAUSE_S, failure)
        time.sleep(STEP_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


def compact(spark: SparkSession, table: Table, _limits: Limits) -> int:
    """Rewrite each day's small files as few large ones, sorted by `Table.sort_by` and marked so; how many there were.

    Every group of files is a commit of its own, so what was done stays done when a later one fails.
    """
    declare_order(spark, table)
    order = _order(table)
    row = _call(
        spark,
        table,
        "rewrite_data_files",
        f"strategy => 'sort', sort_order => '{order}', options => map("
        f"'target-file-size-bytes', '{FILE_BYTES_TARGET}', 'min-input-files', '{FILES_MIN}', "
        "'max-concurrent-file-group-rewrites', '1', 'partial-progress.enabled', 'true')",
    )
    if row.failed_data_files_count:
        raise TransientError(f"{row.failed_data_files_count} files were not replaced: another commit was quicker")
    return int(row.rewritten_data_files_count)


def declare_order(spark: SparkSession, table: Table) -> None:
    """The table knows `Table.sort_by` as one of its orders, so Iceberg marks the files that compaction sorts by it.

    It is not the order in which the table is written: the stream's appends stay unsorted, as cheap as they were.
    """
    iceberg_table = load(spark, table)
    schema = iceberg_table.schema()
    known = [
        tuple(_term(schema.findColumnName(field.sourceId()), field.transform().toString()) for field in order.fields())
        for order in iceberg_table.sortOrders().values()
    ]
    if table.sort_by not in known:
        spark.sql(f"ALTER TABLE {table.qualified_name} WRITE LOCALLY ORDERED BY {_order(table)}")
    if iceberg_table.sortOrder().isSorted() or table.sort_by not in known:
        spark.sql(f"ALTER TABLE {table.qualified_name} WRITE UNORDERED")


def _order(table: Table) -> str:
    return ", ".join(f"{term} ASC NULLS FIRST" for term in table.sort_by)


def _term(column: str, transform: str) -> str:
    return column if transform == "identity" else f"{transform}s({column})"


def rewrite_manifests(spark: SparkSession, table: Table, _limits: Limits) -> int:
    """Rewrite the manifests by day, so that a question about one day reads few; how many were rewritten."""
    return int(_call(spark, table, "rewrite_manifests").rewritten_manifests_count)


def expire(spark: SparkSession, table: Table, limits: Limits) -> int:
    """Tag the newest snapshot of each query, then expire old snapshots and delete the files that only they name."""
    expire_before = datetime.now(UTC) - limits.snapshots_keep
    iceberg_table = load(spark, table)
    count = sum(1 for _ in iceberg_table.snapshots())
    newest = tag_newest(iceberg_table)
    if newest:
        drop_tags(load(spark, table), but=next(iter(newest)), older_than=datetime.now(UTC) - QUERY_FORGOTTEN_AFTER)
    moment = f"{expire_before:%Y-%m-%d %H:%M:%S.%f}"
    _call(spark, table, "expire_snapshots", f"older_than => TIMESTAMP '{moment}', retain_last => 1")
    return max(0, count - sum(1 for _ in load(spark, table).snapshots()))


def remove_orphans(spark: SparkSession, table: Table, limits: Limits) -> int:
    """Delete files under the table's location that no snapshot names and that are old; how many there were.

    The action and not the procedure, which refuses ages under a day: how short is too short, the settings say.
    """
    jvm: Any = spark.sparkContext._jvm
    removed = (
        jvm.org.apache.iceberg.spark.actions.SparkActions.get(spark._jsparkSession)
        .deleteOrphanFiles(load(spark, table))
        .usePrefixListing(True)
        .olderThan(int((datetime.now(UTC) - limits.orphans_after).timestamp() * 1000))
        .execute()
    )
    return sum(1 for _ in removed.orphanFileLocations())


STEPS: dict[str, Step] = {
    "files compacted": compact,
    "manifests rewritten": rewrite_manifests,
    "snapshots expired": expire,
    "orphan files removed": remove_orphans,
}


def _call(spark: SparkSession, table: Table, procedure: str, arguments: str = "") -> Any:
    given = f", {arguments}" if arguments else ""
    return spark.sql(f"CALL {CATALOG}.system.{procedure}(table => '{table.qualified_name}'{given})").first()
