"""Where the local AWS keeps its state: one SQLite file, synced before an action is answered."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tables (
    database TEXT NOT NULL REFERENCES databases (name) ON DELETE CASCADE,
    name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (database, name));
CREATE TABLE IF NOT EXISTS table_versions (
    database TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (database, name, version),
    FOREIGN KEY (database, name) REFERENCES tables (database, name) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS partitions (
    database TEXT NOT NULL, name TEXT NOT NULL, partition_values TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (database, name, partition_values),
    FOREIGN KEY (database, name) REFERENCES tables (database, name) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS workgroups (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS queries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, token TEXT UNIQUE,
    workgroup TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS crawlers (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS redshift_namespaces (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS redshift_workgroups (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS redshift_statements (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, token TEXT UNIQUE, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS redshift_results (
    id TEXT PRIMARY KEY, statement TEXT NOT NULL REFERENCES redshift_statements (id) ON DELETE CASCADE,
    document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS named_queries (
    id TEXT PRIMARY KEY, token TEXT UNIQUE, workgroup TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS redshift_usage_limits (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS emr_applications (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quicksight (
    kind TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS stacks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stack_resources (
    number INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT NOT NULL REFERENCES stacks (id) ON DELETE CASCADE,
    logical_id TEXT NOT NULL, document TEXT NOT NULL, UNIQUE (stack, logical_id));
CREATE TABLE IF NOT EXISTS stack_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT NOT NULL REFERENCES stacks (id) ON DELETE CASCADE,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS stack_events_by_stack ON stack_events (stack, number);
CREATE TABLE IF NOT EXISTS change_sets (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    stack TEXT NOT NULL REFERENCES stacks (id) ON DELETE CASCADE, name TEXT NOT NULL, document TEXT NOT NULL);
"""


class Store:
    """One connection behind one lock: every action is one transaction, and transactions follow one another.

    `synchronous=FULL` in WAL mode syncs the log at each commit, so that a committed action survives a kill of the
    process and a loss of power.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA foreign_keys=ON")
        self._connection.executescript(_SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock; commit on leaving, roll back on an error.

        Inside another transaction of the same thread it is a savepoint: what several actions change together is
        committed by the outermost one.
        """
        with self._lock:
            is_outer = not self._connection.in_transaction
            self._connection.execute("BEGIN IMMEDIATE" if is_outer else "SAVEPOINT inner_one")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK" if is_outer else "ROLLBACK TO inner_one")
                if not is_outer:
                    self._connection.execute("RELEASE inner_one")
                raise
            self._connection.execute("COMMIT" if is_outer else "RELEASE inner_one")

    def documents(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """First column of each row of a query, decoded from JSON."""
        with self._lock:
            return [json.loads(row[0]) for row in self._connection.execute(sql, arguments)]

    def close(self) -> None:
        """Close the file; for tests and an orderly end."""
        with self._lock:
            self._connection.close()
