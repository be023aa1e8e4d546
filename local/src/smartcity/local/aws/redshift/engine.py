"""A Redshift namespace's DuckDB file, and the transactions on it.

DuckDB has no access to files or the network and no configuration: SQL sees its own tables and what the external schemas
name in the Glue catalog. COPY reads S3 here, in Python. Transactions of a namespace follow one another.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from ..athena.tables import TableReader
from ..cancellation import Cancellation
from ..errors import AwsError, StatementError
from .sql import bind, parse
from .statement import OWN_SCHEMA, Outcome, Statement

MEMORY_LIMIT = "1GB"
THREADS = 2
COMMITS_KEPT_MAX = 100
"""More than can be on their way between the file and the store."""

_SETUP = (
    "CREATE SCHEMA IF NOT EXISTS public",
    f"CREATE SCHEMA IF NOT EXISTS {OWN_SCHEMA}",
    f"CREATE TABLE IF NOT EXISTS {OWN_SCHEMA}.committed (number BIGINT, id VARCHAR)",
    f"CREATE TABLE IF NOT EXISTS {OWN_SCHEMA}.external_schemas (name VARCHAR, source VARCHAR)",
    "SET GLOBAL TimeZone = 'UTC'",
    f"SET GLOBAL threads = {THREADS}",
    f"SET GLOBAL memory_limit = '{MEMORY_LIMIT}'",
    "SET GLOBAL autoinstall_known_extensions = false",
    "SET GLOBAL autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    "SET GLOBAL enable_external_access = false",
)


class Warehouse:
    """One namespace's database file."""

    def __init__(self, path: Path, *, s3: Any, new_system: Callable[[], Any], new_reader: Callable[[], TableReader]):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = duckdb.connect(str(path))
        for statement in _SETUP:
            self._database.execute(statement)
        self._database.execute("SET GLOBAL lock_configuration = true")
        self._lock = threading.Lock()
        self._s3 = s3
        self._new_system = new_system
        self._new_reader = new_reader

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def has_committed(self, identity: str) -> bool:
        """Whether this transaction changed something and was committed, among the last COMMITS_KEPT_MAX."""
        sql = f"SELECT id FROM {OWN_SCHEMA}.committed WHERE id = ?"
        return bool(self._database.execute(sql, [identity]).fetchall())

    def run(
        self,
        identity: str,
        statements: Sequence[str],
        parameters: Mapping[str, str],
        *,
        outcomes: list[Outcome],
        cancellation: Cancellation,
        create_database: Callable[[str], None],
    ) -> None:
        """Run statements as one transaction. `outcomes` gets one for each that ran; on return, all are committed.

        Raises:
            StatementError: the one after the last outcome failed; nothing of the transaction is kept.
        """
        with self._lock, self._database.cursor() as connection:
            connection.execute("USE public")
            connection.execute("BEGIN")
            try:
                with cancellation.reaching(connection):
                    is_read_only, unused = True, set(parameters)
                    for sql in statements:
                        cancellation.check()
                        parsed = parse(sql)
                        if isinstance(parsed, exp.Expr):
                            unused -= bind(parsed, parameters)
                        is_read_only &= isinstance(parsed, exp.Query)
                        one = Statement(connection, self._new_reader(), self._s3, self._new_system)
                        outcomes.append(one.run(parsed, create_database))
                    if unused:
                        raise StatementError(f"Parameters list contains unused parameters: {sorted(unused)}")
                    if not is_read_only:
                        _note(connection, identity)
                    cancellation.check()
                    connection.execute("COMMIT")
            except duckdb.Error as error:
                cancellation.check()
                raise StatementError(_reason(error)) from None
            except AwsError as error:
                raise StatementError(f"{error.code}: {error.message}") from None
            finally:
                with contextlib.suppress(duckdb.Error):
                    connection.execute("ROLLBACK")


def _note(connection: Any, identity: str) -> None:
    """Keep in the transaction itself that it was committed: other transactions may follow before it is FINISHED."""
    (last,) = connection.execute(f"SELECT coalesce(max(number), 0) FROM {OWN_SCHEMA}.committed").fetchone()
    connection.execute(f"DELETE FROM {OWN_SCHEMA}.committed WHERE number <= ?", [last - COMMITS_KEPT_MAX])
    connection.execute(f"INSERT INTO {OWN_SCHEMA}.committed VALUES (?, ?)", [last + 1, identity])


def _reason(error: duckdb.Error) -> str:
    text = str(error).split("\n\nLINE ")[0].strip()
    message = " ".join(text.split(": ", 1)[-1].split())
    if isinstance(error, duckdb.ConstraintException) and "strlen(" in message:
        return f"Value too long for character type: {message}"
    return message
