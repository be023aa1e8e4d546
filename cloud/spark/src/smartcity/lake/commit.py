"""Appends that are made once per batch, however often the batch is run.

Each snapshot records the query and the batch that wrote it. Before appending, the newest snapshot of this query is
looked up: snapshots of others (compaction, another query) are walked over. Expiring snapshots cuts that walk short, so
maintenance tags the snapshot first (`tag_newest`): a tag keeps it, and the look-up goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame

from .errors import TransientError
from .tables import Table, load

QUERY_ID = "stream.query-id"
BATCH_ID = "stream.batch-id"
_REPLACE = "replace"
"""Operation of a snapshot that holds the rows of the one before it in other files."""
TAG_PREFIX = "stream-"
"""`stream-<query id>` is the tag on that query's newest snapshot as maintenance saw it last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIdentity:
    """The query's id lives in its checkpoint: it survives restarts, and a new checkpoint is a new query."""

    query_id: str
    batch_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What an append left behind."""

    rows: int
    snapshot_id: int


def is_committed(iceberg_table: Any, batch: BatchIdentity) -> bool:
    """Whether an `org.apache.iceberg.Table` holds this batch of this query already, or a later one."""
    newest = newest_batch(iceberg_table, batch.query_id)
    return newest is not None and newest >= batch.batch_id


def snapshot_id(iceberg_table: Any) -> int | None:
    """Id of the current snapshot; None for an empty table."""
    current = iceberg_table.currentSnapshot()
    return None if current is None else int(current.snapshotId())


def changed_since(iceberg_table: Any, snapshot: int | None) -> bool:
    """Whether the table may hold other rows than in that snapshot (None: than none at all). Compaction changes none."""
    for one in _ancestors(iceberg_table):
        if one.snapshotId() == snapshot:
            return False
        if one.operation() != _REPLACE:
            return True
    return snapshot_id(iceberg_table) != snapshot


def newest_batch(iceberg_table: Any, query_id: str) -> int | None:
    """Id of the newest batch that the query committed to an `org.apache.iceberg.Table`; None for none."""
    snapshot = _newest_snapshot(iceberg_table, query_id)
    return None if snapshot is None else int(snapshot.summary().get(BATCH_ID))


def tag_newest(iceberg_table: Any) -> dict[str, int]:
    """Tag the newest snapshot of every query; batch ids by query id, the newest query first.

    A snapshot that is committed meanwhile is younger than whatever is expired after this, so it needs no tag yet. Call
    it before every expiry, and only then.
    """
    newest: dict[str, Any] = {}
    for snapshot in _ancestors(iceberg_table):
        query_id = snapshot.summary().get(QUERY_ID)
        if query_id is not None:
            newest.setdefault(query_id, snapshot)
    for query_id, snapshot in newest.items():
        tag, id_ = TAG_PREFIX + query_id, snapshot.snapshotId()
        tagged = iceberg_table.snapshot(tag)
        if tagged is None:
            iceberg_table.manageSnapshots().createTag(tag, id_).commit()
        elif tagged.snapshotId() != id_:
            iceberg_table.manageSnapshots().replaceTag(tag, id_).commit()
    return {query_id: int(snapshot.summary().get(BATCH_ID)) for query_id, snapshot in newest.items()}


def drop_tags(iceberg_table: Any, *, but: str, older_than: datetime) -> list[str]:
    """Drop the tags of queries but one, where their snapshots are older; the tags' names."""
    dropped = [
        tag
        for tag in iceberg_table.refs()
        if tag.startswith(TAG_PREFIX)
        and tag != TAG_PREFIX + but
        and iceberg_table.snapshot(tag).timestampMillis() < older_than.timestamp() * 1000
    ]
    changes = iceberg_table.manageSnapshots()
    for tag in dropped:
        changes.removeTag(tag)
    if dropped:
        changes.commit()
    return dropped


def _newest_snapshot(iceberg_table: Any, query_id: str) -> Any:
    oldest = None
    for snapshot in _ancestors(iceberg_table):
        if snapshot.summary().get(QUERY_ID) == query_id:
            return snapshot
        oldest = snapshot
    if oldest is None or oldest.parentId() is None:
        return None
    # The rest of the history was expired, and the query's newest snapshot, if it was there, tagged before.
    return iceberg_table.snapshot(TAG_PREFIX + query_id)


def _ancestors(iceberg_table: Any) -> Iterator[Any]:
    """The current snapshot and those before it, down to the first of all or to the last that was not expired."""
    snapshot = iceberg_table.currentSnapshot()
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parentId()
        snapshot = None if parent is None else iceberg_table.snapshot(parent)


def append(rows: DataFrame, table: Table, batch: BatchIdentity) -> Commit:
    """Append the rows as one snapshot that names the batch, empty or not."""
    (
        rows.writeTo(table.qualified_name)
        .option(f"snapshot-property.{QUERY_ID}", batch.query_id)
        .option(f"snapshot-property.{BATCH_ID}", str(batch.batch_id))
        .append()
    )
    snapshot = _newest_snapshot(load(rows.sparkSession, table), batch.query_id)
    if snapshot is None or int(snapshot.summary().get(BATCH_ID)) != batch.batch_id:
        raise TransientError(f"{table.qualified_name} does not show batch {batch.batch_id}, which was just appended")
    return Commit(rows=int(snapshot.summary().get("added-records") or 0), snapshot_id=int(snapshot.snapshotId()))
