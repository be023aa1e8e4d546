"""Athena's API: queries are recorded, run by a pool of threads, and followed by id; workgroups; catalogs' metadata.

A query id that was answered is on disk. After a restart, queries that were running are FAILED and say so.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..cancellation import Cancellation
from ..errors import AwsError, QueryFailedError
from ..protocol import Action, actions_of, page
from ..store import Store
from .engine import run_select
from .results import Results, split_location
from .statements import Catalogs, is_select, run_statement

log = logging.getLogger(__name__)

WORKERS = 2
WAITING_MAX = 200
QUERIES_KEPT_MAX = 10_000
SQL_BYTES_MAX = 262_144
_ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
_ACTIONS = (
    "StartQueryExecution",
    "GetQueryExecution",
    "BatchGetQueryExecution",
    "ListQueryExecutions",
    "StopQueryExecution",
    "GetQueryResults",
)


class AthenaQueries:
    """Query executions over the store. Every action takes a request and gives the response of its Athena action."""

    def __init__(
        self,
        *,
        store: Store,
        workgroup: Callable[[str], dict[str, Any]],
        new_catalogs: Callable[[], Catalogs],
        results: Results,
    ) -> None:
        self._store = store
        self._workgroup = workgroup
        self._new_catalogs = new_catalogs
        self._results = results
        self._running: dict[str, Cancellation] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="athena")
        self._fail_interrupted()

    def actions(self) -> dict[str, Action]:
        """Athena's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def close(self) -> None:
        """Stop what runs, and the pool."""
        with self._lock:
            for cancellation in self._running.values():
                cancellation.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def start_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        sql = request["QueryString"]
        if len(sql.encode()) > SQL_BYTES_MAX:
            raise _invalid(f"The query is longer than {SQL_BYTES_MAX} bytes.")
        with self._lock:
            waiting = len(self._running)
        if waiting >= WAITING_MAX:
            raise AwsError("TooManyRequestsException", f"{waiting} queries are running or waiting.")
        token = request.get("ClientRequestToken")
        known = self._store.documents("SELECT document FROM queries WHERE token = ?", token) if token else []
        if known:
            if known[0]["Query"] != sql:
                raise _invalid("Idempotent parameters do not match")
            return {"QueryExecutionId": known[0]["QueryExecutionId"]}
        execution = self._new_execution(request)
        identity = execution["QueryExecutionId"]
        row = (identity, token, execution["WorkGroup"], json.dumps(execution))
        try:
            with self._store.transaction() as connection:
                connection.execute("INSERT INTO queries (id, token, workgroup, document) VALUES (?, ?, ?, ?)", row)
                oldest = "DELETE FROM queries WHERE number <= (SELECT max(number) FROM queries) - ?"
                connection.execute(oldest, (QUERIES_KEPT_MAX,))
        except sqlite3.IntegrityError:  # The same token, at the same moment.
            return self.start_query_execution(request)
        with self._lock:
            self._running[identity] = Cancellation(refusal=_cancelled)
        self._pool.submit(self._run, identity)
        return {"QueryExecutionId": identity}

    def get_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"QueryExecution": _shown(self._execution(request["QueryExecutionId"]))}

    def batch_get_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        found, unknown = [], []
        for identity in request["QueryExecutionIds"]:
            try:
                found.append(_shown(self._execution(identity)))
            except AwsError as error:
                unknown.append({"QueryExecutionId": identity, "ErrorCode": error.code, "ErrorMessage": error.message})
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": unknown}

    def list_query_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request.get("WorkGroup", "primary")
        self._workgroup(name)
        sql = "SELECT json_quote(id) FROM queries WHERE workgroup = ? ORDER BY number DESC"
        identities: list[Any] = self._store.documents(sql, name)
        found, token = page(identities, request, at_most=50)
        return {"QueryExecutionIds": found, **({"NextToken": token} if token else {})}

    def stop_query_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        identity = request["QueryExecutionId"]
        self._execution(identity)
        with self._lock:
            cancellation = self._running.get(identity)
        if cancellation is not None:
            cancellation.cancel()
        return {}

    def get_query_results(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request["QueryExecutionId"])
        state = execution["Status"]["State"]
        if state != "SUCCEEDED":
            why = f": {execution['Status'].get('StateChangeReason', '')}" if state in _ENDED else ""
            raise _invalid(f"Query did not finish successfully. Final query state: {state}{why}")
        columns = execution.pop("_columns")
        rows = self._results.read(
            execution["ResultConfiguration"]["OutputLocation"], is_csv=execution["StatementType"] == "DML"
        )
        found, token = page(rows, request, at_most=1000)
        data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in found]
        return {
            "UpdateCount": 0,
            "ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}},
            **({"NextToken": token} if token else {}),
        }

    def _new_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        context = request.get("QueryExecutionContext", {})
        if context.get("Catalog", "AwsDataCatalog").lower() != "awsdatacatalog":
            raise _invalid(f"Catalog {context['Catalog']} is not served by the local AWS endpoint.")
        group = self._workgroup(request.get("WorkGroup", "primary"))
        if group["State"] != "ENABLED":
            raise _invalid(f"WorkGroup {group['Name']} is disabled.")
        configuration = group["Configuration"]
        location = request.get("ResultConfiguration", {}).get("OutputLocation")
        by_group = configuration.get("ResultConfiguration", {}).get("OutputLocation")
        if by_group and (configuration.get("EnforceWorkGroupConfiguration") or not location):
            location = by_group
        if not location:
            raise _invalid(
                "No output location provided. An output location is required either through the Workgroup result "
                "configuration setting or as an API input."
            )
        split_location(location)
        identity = str(uuid.uuid4())
        selects = is_select(request["QueryString"])
        return {
            "QueryExecutionId": identity,
            "Query": request["QueryString"],
            "StatementType": "DML" if selects else "UTILITY",
            "ResultConfiguration": {
                "OutputLocation": f"{location.rstrip('/')}/{identity}.{'csv' if selects else 'txt'}"
            },
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": {"Database": context.get("Database", "default"), "Catalog": "awsdatacatalog"},
            "Status": {"State": "QUEUED", "SubmissionDateTime": time.time()},
            "Statistics": {"ResultReuseInformation": {"ReusedPreviousResult": False}},
            "WorkGroup": group["Name"],
            "EngineVersion": _ENGINE,
            "ExecutionParameters": request.get("ExecutionParameters") or None,
        }

    def _execution(self, identity: str) -> dict[str, Any]:
        found = self._store.documents("SELECT document FROM queries WHERE id = ?", identity)
        if not found:
            raise _invalid(f"QueryExecution {identity} was not found")
        return {key: value for key, value in found[0].items() if value is not None}

    def _save(self, execution: dict[str, Any]) -> None:
        with self._store.transaction() as connection:
            row = (json.dumps(execution), execution["QueryExecutionId"])
            connection.execute("UPDATE queries SET document = ? WHERE id = ?", row)

    def _run(self, identity: str) -> None:
        """One query from QUEUED to its end. Runs in the pool; nothing escapes."""
        cancellation = self._running[identity]
        started = time.time()
        execution: dict[str, Any] = {}
        try:
            execution = self._execution(identity)
            cancellation.check()
            execution["Status"]["State"] = "RUNNING"
            self._save(execution)
            self._execute(execution, cancellation, started)
            execution["Status"]["State"] = "SUCCEEDED"
        except QueryFailedError as error:
            _fail(execution, error, cancelled=cancellation.is_cancelled)
        except AwsError as error:  # As Glue would answer it: of the query's own making.
            reason = f"{error.code}: {error.message}"
            _fail(execution, QueryFailedError("GENERIC_USER_ERROR", reason), cancelled=False)
        except Exception as error:
            log.exception("Athena query %s", identity)
            _fail(execution, QueryFailedError("INTERNAL_ERROR", f"{type(error).__name__}: {error}"), cancelled=False)
        finally:
            execution["Status"]["CompletionDateTime"] = time.time()
            execution["Statistics"]["TotalExecutionTimeInMillis"] = round((time.time() - started) * 1000)
            execution["Statistics"]["QueryQueueTimeInMillis"] = round(
                (started - execution["Status"]["SubmissionDateTime"]) * 1000
            )
            try:
                self._save(execution)
            finally:
                with self._lock:
                    del self._running[identity]

    def _execute(self, execution: dict[str, Any], cancellation: Cancellation, started: float) -> None:
        catalogs = self._new_catalogs()
        location = execution["ResultConfiguration"]["OutputLocation"]
        database = execution["QueryExecutionContext"]["Database"]
        statistics = execution["Statistics"]
        if execution["StatementType"] != "DML":
            listing = run_statement(execution["Query"], database=database, catalogs=catalogs)
            execution["StatementType"] = listing.statement_type
            execution["_columns"] = listing.columns
            self._results.write(location, None, listing.rows)
            statistics.update({"DataScannedInBytes": 0, "EngineExecutionTimeInMillis": _elapsed_ms(started)})
            return
        answer = run_select(
            execution["Query"],
            database=database,
            parameters=execution.get("ExecutionParameters", []),
            reader=catalogs.reader,
            cancellation=cancellation,
        )
        self._results.write(location, [column["Name"] for column in answer.columns], answer.rows)
        cancellation.check()
        execution["_columns"] = answer.columns
        statistics.update(
            {
                "DataScannedInBytes": answer.bytes_scanned,
                "EngineExecutionTimeInMillis": round(answer.running_s * 1000),
                "QueryPlanningTimeInMillis": round(answer.planning_s * 1000),
            }
        )

    def _fail_interrupted(self) -> None:
        for execution in self._store.documents("SELECT document FROM queries"):
            if execution["Status"]["State"] not in _ENDED:
                reason = "the local Athena ended while this query was running: start it again"
                _fail(execution, QueryFailedError("INTERNAL_ERROR", reason), cancelled=False)
                execution["Status"]["CompletionDateTime"] = time.time()
                self._save(execution)


def _shown(execution: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in execution.items() if not key.startswith("_")}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)


def _elapsed_ms(started: float) -> int:
    return round((time.time() - started) * 1000)


def _fail(execution: dict[str, Any], error: QueryFailedError, *, cancelled: bool) -> None:
    status = execution["Status"]
    status["StateChangeReason"] = error.reason
    status["State"] = "CANCELLED" if cancelled else "FAILED"
    if not cancelled:
        is_internal = error.code == "INTERNAL_ERROR"
        status["AthenaError"] = {
            "ErrorCategory": 1 if is_internal else 2,
            "ErrorType": 0,
            "Retryable": is_internal,
            "ErrorMessage": error.reason,
        }


def _cancelled() -> QueryFailedError:
    return QueryFailedError("USER_CANCELED", "Query was cancelled")
