"""A statement of Redshift's Data API as it is kept and shown: DescribeStatement's answer and its way to an end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from .statement import Outcome


def new_document(
    request: dict[str, Any], statements: Sequence[str], *, database: str, namespace: str, is_batch: bool
) -> dict[str, Any]:
    """A statement that is SUBMITTED. Keys that begin with `_` are not shown."""
    identity, now = str(uuid.uuid4()), time.time()
    document: dict[str, Any] = {
        "Id": identity,
        "CreatedAt": now,
        "UpdatedAt": now,
        "Status": "SUBMITTED",
        "Database": database,
        "DbUser": "IAM:local",
        "WorkgroupName": request["WorkgroupName"],
        "HasResultSet": False,
        "Duration": -1,
        "ResultRows": -1,
        "ResultSize": -1,
        "RedshiftPid": 0,
        "RedshiftQueryId": 0,
        "ResultFormat": "JSON",
        "_sqls": list(statements),
        "_is_batch": is_batch,
        "_namespace": namespace,
        "_name": request.get("StatementName", ""),
    }
    if request.get("Parameters"):
        document["QueryParameters"] = request["Parameters"]
    if is_batch:
        shown = ("CreatedAt", "UpdatedAt", "Status", "HasResultSet", "Duration", "ResultRows", "ResultSize")
        document["SubStatements"] = [
            {**{key: document[key] for key in shown}, "Id": f"{identity}:{number}", "QueryString": sql}
            for number, sql in enumerate(statements, start=1)
        ]
    else:
        document["QueryString"] = statements[0]
    return document


def finish(document: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """A transaction was committed."""
    document["Status"] = "FINISHED"
    of_each = document.get("SubStatements") or [document]
    for each, outcome in zip(of_each, outcomes, strict=True):
        each.update({"Status": "FINISHED", "HasResultSet": outcome.columns is not None, "UpdatedAt": time.time()})
        each.update({"ResultRows": outcome.rows, "ResultSize": outcome.size})
    document["HasResultSet"] = any(each["HasResultSet"] for each in of_each)


def fail(document: dict[str, Any], message: str, *, ran: int, is_cancelled: bool) -> None:
    """What ran before the failing statement is rolled back with it, hence ABORTED."""
    status = "ABORTED" if is_cancelled else "FAILED"
    subs = document.get("SubStatements")
    where = f"Query #{ran + 1} failed with " if subs and ran < len(subs) and not is_cancelled else ""
    document.update({"Status": status, "Error": f"{where}ERROR: {message}"})
    for number, each in enumerate(subs or []):
        each.update({"Status": status if number == ran else "ABORTED", "UpdatedAt": time.time()})
        if number == ran:
            each["Error"] = f"ERROR: {message}"


def summary(document: dict[str, Any]) -> dict[str, Any]:
    """One entry of ListStatements."""
    text = {"QueryStrings": document["_sqls"]} if document["_is_batch"] else {"QueryString": document["QueryString"]}
    kept = ("Id", "Status", "CreatedAt", "UpdatedAt", "QueryParameters", "ResultFormat")
    named = {"StatementName": document["_name"]} if document["_name"] else {}
    shown = {key: document[key] for key in kept if key in document}
    return {**shown, **text, **named, "IsBatchStatement": document["_is_batch"]}


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """What ExecuteStatement and BatchExecuteStatement give."""
    return {key: document[key] for key in ("Id", "CreatedAt", "Database", "DbUser", "WorkgroupName")}
