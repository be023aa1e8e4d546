"""Redshift's Data API: statements are recorded, run one transaction at a time for each namespace, followed by id.

An id that was answered is on disk. A transaction is committed in the namespace's file before it is FINISHED here; one
that a kill separated from that answer is FINISHED after the restart if it was committed (without rows), else FAILED.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..cancellation import Cancellation
from ..errors import AwsError, StatementError
from ..protocol import Action, actions_of, page
from ..store import Store
from .documents import answer, fail, finish, new_document, summary
from .engine import Warehouse
from .serverless import RedshiftServerless
from .statement import Outcome

log = logging.getLogger(__name__)

WORKERS = 2
WAITING_MAX = 200
STATEMENTS_KEPT_MAX = 5_000
RESULTS_KEPT_S = 24 * 3600
SQL_BYTES_MAX = 100_000
STATEMENTS_IN_BATCH_MAX = 40
_ENDED = ("FINISHED", "FAILED", "ABORTED")
_REFUSED = (
    "ClusterIdentifier", "SecretArn", "WithEvent", "SessionId", "SessionKeepAliveSeconds", "WaitTimeSeconds",
)  # fmt: skip
_ACTIONS = (
    "ExecuteStatement",
    "BatchExecuteStatement",
    "DescribeStatement",
    "GetStatementResult",
    "ListStatements",
    "CancelStatement",
)


class RedshiftData:
    """Statements over the store. Every action takes a request and gives the response of its action."""

    def __init__(
        self,
        *,
        store: Store,
        folder: Path,
        serverless: RedshiftServerless,
        open_warehouse: Callable[[Path], Warehouse],
        create_database: Callable[[str], None],
    ) -> None:
        self._store = store
        self._folder = folder
        self._serverless = serverless
        self._open = open_warehouse
        self._create_database = create_database
        self._warehouses: dict[str, Warehouse] = {}
        self._running: dict[str, Cancellation] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="redshift")
        self._end_interrupted()

    def actions(self) -> dict[str, Action]:
        """The Data API's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def close(self) -> None:
        """Cancel what runs, and close the files."""
        with self._lock:
            for cancellation in self._running.values():
                cancellation.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for warehouse in self._warehouses.values():
            warehouse.close()

    def drop(self, namespace_id: str) -> None:
        """Remove a deleted namespace's file."""
        with self._lock:
            warehouse = self._warehouses.pop(namespace_id, None)
        if warehouse is not None:
            warehouse.close()
        for name in (f"{namespace_id}.duckdb", f"{namespace_id}.duckdb.wal"):
            (self._folder / name).unlink(missing_ok=True)

    def execute_statement(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._submit(request, [request["Sql"]], is_batch=False)

    def batch_execute_statement(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(request["Sqls"]) > STATEMENTS_IN_BATCH_MAX:
            raise _invalid(f"A batch has at most {STATEMENTS_IN_BATCH_MAX} statements, this one {len(request['Sqls'])}")
        return self._submit(request, request["Sqls"], is_batch=True)

    def describe_statement(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "WaitTimeSeconds")
        identity = request["Id"]
        statement = self._statement(identity.split(":")[0])
        for each in statement.get("SubStatements", []):
            if each["Id"] == identity:
                shown = {key: statement[key] for key in ("Database", "WorkgroupName", "DbUser")}
                return {**each, **shown}
        return {key: value for key, value in statement.items() if not key.startswith("_")}

    def get_statement_result(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "WaitTimeSeconds")
        described = self.describe_statement(request)
        if described["Status"] != "FINISHED":
            raise AwsError("ResourceNotFoundException", f"Query {described['Id']} is {described['Status']}")
        found = self._store.documents("SELECT document FROM redshift_results WHERE id = ?", request["Id"])
        if not found:
            raise AwsError("ResourceNotFoundException", f"Query {described['Id']} has no result set")
        records, token = page(found[0]["records"], request, at_most=1000)
        return {
            "Records": records,
            "ColumnMetadata": found[0]["columns"],
            "TotalNumRows": len(found[0]["records"]),
            **({"NextToken": token} if token else {}),
        }

    def list_statements(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "ClusterIdentifier")
        wanted = request.get("Status", "ALL")
        listed = []
        for each in self._store.documents("SELECT document FROM redshift_statements ORDER BY number DESC"):
            chosen = wanted in ("ALL", each["Status"]) and each["_name"].startswith(request.get("StatementName", ""))
            if chosen and request.get("WorkgroupName", each["WorkgroupName"]) == each["WorkgroupName"]:
                listed.append(summary(each))
        found, token = page(listed, request, at_most=100)
        return {"Statements": found, **({"NextToken": token} if token else {})}

    def cancel_statement(self, request: dict[str, Any]) -> dict[str, Any]:
        identity = request["Id"]
        statement = self._statement(identity)
        with self._lock:
            cancellation = self._running.get(identity)
        if cancellation is None:
            raise _invalid(
                f"Could not cancel a query that is already in {statement['Status']} state with ID: {identity}"
            )
        cancellation.cancel()
        return {"Status": True}

    def _submit(self, request: dict[str, Any], statements: Sequence[str], *, is_batch: bool) -> dict[str, Any]:
        _refuse(request, *_REFUSED)
        for option, served in (("ResultFormat", "JSON"), ("ExecutionMode", "TRANSACTION")):
            if request.get(option, served) != served:
                raise _invalid(f"{option} {request[option]} is not served by the local AWS endpoint.")
        if sum(len(sql.encode()) for sql in statements) > SQL_BYTES_MAX:
            raise _invalid(f"The SQL is longer than {SQL_BYTES_MAX} bytes.")
        if "WorkgroupName" not in request:
            raise _invalid("WorkgroupName is missing: the local Redshift is Serverless")
        workgroup = self._serverless.workgroup(request["WorkgroupName"])
        namespace = self._serverless.namespace(workgroup["namespaceName"])
        database = request.get("Database", namespace["dbName"])
        if database != namespace["dbName"]:
            raise _invalid(f'database "{database}" does not exist: the namespace has "{namespace["dbName"]}"')
        token = request.get("ClientToken")
        known = (
            self._store.documents("SELECT document FROM redshift_statements WHERE token = ?", token) if token else []
        )
        if known:
            if known[0]["_sqls"] != list(statements):
                raise _invalid("ClientToken was used with other SQL")
            return answer(known[0])
        with self._lock:
            if len(self._running) >= WAITING_MAX:
                raise AwsError("ActiveStatementsExceededException", f"{WAITING_MAX} statements run or wait")
        document = new_document(
            request, statements, database=database, namespace=namespace["namespaceId"], is_batch=is_batch
        )
        identity = document["Id"]
        try:
            with self._store.transaction() as connection:
                row = (identity, token, json.dumps(document))
                connection.execute("INSERT INTO redshift_statements (id, token, document) VALUES (?, ?, ?)", row)
                oldest = (
                    "DELETE FROM redshift_statements WHERE number <= (SELECT max(number) FROM redshift_statements) - ?"
                )
                connection.execute(oldest, (STATEMENTS_KEPT_MAX,))
        except sqlite3.IntegrityError:  # The same token, at the same moment.
            return self._submit(request, statements, is_batch=is_batch)
        with self._lock:
            self._running[identity] = Cancellation(refusal=_cancelled)
        self._pool.submit(self._run, document)
        return answer(document)

    def _statement(self, identity: str) -> dict[str, Any]:
        found = self._store.documents("SELECT document FROM redshift_statements WHERE id = ?", identity)
        if not found:
            raise AwsError("ResourceNotFoundException", f"Query {identity} does not exist")
        return found[0]

    def _save(self, document: dict[str, Any], outcomes: Sequence[Outcome] = ()) -> None:
        """Keep a statement's state, and its results, in one transaction."""
        document["UpdatedAt"] = time.time()
        with self._store.transaction() as connection:
            row = (json.dumps(document), document["Id"])
            connection.execute("UPDATE redshift_statements SET document = ? WHERE id = ?", row)
            for number, outcome in enumerate(outcomes, start=1):
                if outcome.columns is not None:
                    result = json.dumps({"columns": outcome.columns, "records": outcome.records})
                    identity = f"{document['Id']}:{number}" if document["_is_batch"] else document["Id"]
                    connection.execute(
                        "INSERT INTO redshift_results VALUES (?, ?, ?)", (identity, document["Id"], result)
                    )
            old = (
                "DELETE FROM redshift_results WHERE statement IN (SELECT id FROM redshift_statements "
                "WHERE json_extract(document, '$.CreatedAt') < ?)"
            )
            connection.execute(old, (time.time() - RESULTS_KEPT_S,))

    def _warehouse(self, namespace_id: str) -> Warehouse:
        with self._lock:
            if namespace_id not in self._warehouses:
                self._warehouses[namespace_id] = self._open(self._folder / f"{namespace_id}.duckdb")
            return self._warehouses[namespace_id]

    def _run(self, document: dict[str, Any]) -> None:
        """One transaction from SUBMITTED to its end. Runs in the pool; nothing escapes."""
        identity, cancellation = document["Id"], self._running[document["Id"]]
        started = time.monotonic_ns()
        outcomes: list[Outcome] = []
        parameters = {each["name"]: each["value"] for each in document.get("QueryParameters", [])}
        try:
            cancellation.check()
            document["Status"] = "STARTED"
            self._save(document)
            self._warehouse(document["_namespace"]).run(
                identity,
                document["_sqls"],
                parameters,
                outcomes=outcomes,
                cancellation=cancellation,
                create_database=self._create_database,
            )
            document["Duration"] = time.monotonic_ns() - started
            finish(document, outcomes)
            self._save(document, outcomes)
        except Exception as error:
            if not isinstance(error, StatementError):
                log.exception("Redshift statement %s", identity)
            message = str(error) if isinstance(error, StatementError) else f"{type(error).__name__}: {error}"
            document["Duration"] = time.monotonic_ns() - started
            fail(document, message, ran=len(outcomes), is_cancelled=cancellation.is_cancelled)
            self._save(document)
        finally:
            with self._lock:
                del self._running[identity]

    def _end_interrupted(self) -> None:
        for document in self._store.documents("SELECT document FROM redshift_statements"):
            if document["Status"] in _ENDED:
                continue
            is_there = (self._folder / f"{document['_namespace']}.duckdb").exists()
            if is_there and self._warehouse(document["_namespace"]).has_committed(document["Id"]):
                finish(document, [Outcome(columns=None, records=(), rows=-1)] * len(document["_sqls"]))
            else:
                reason = "the local Redshift ended while this was running; it was rolled back: start it again"
                fail(document, reason, ran=0, is_cancelled=False)
            self._save(document)


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def _refuse(request: dict[str, Any], *options: str) -> None:
    for option in options:
        if request.get(option):
            raise _invalid(f"{option} is not served by the local AWS endpoint.")


def _cancelled() -> StatementError:
    return StatementError("Query cancelled on user's request")
