"""Athena's named queries: recorded, and listed by workgroup. Running one is starting its text."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import AwsError
from ..protocol import Action, actions_of, page
from ..store import Store

_ACTIONS = (
    "CreateNamedQuery",
    "GetNamedQuery",
    "BatchGetNamedQuery",
    "ListNamedQueries",
    "UpdateNamedQuery",
    "DeleteNamedQuery",
)
NAMED_QUERIES_MAX = 10_000
_KEPT = ("Name", "Description", "Database", "QueryString")


class AthenaNamedQueries:
    """Every method takes a request and gives the response of its Athena action."""

    def __init__(self, store: Store, workgroup: Callable[[str], dict[str, Any]]) -> None:
        self._store = store
        self._workgroup = workgroup

    def actions(self) -> dict[str, Action]:
        """Athena's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_named_query(self, request: dict[str, Any]) -> dict[str, Any]:
        group, token = request.get("WorkGroup", "primary"), request.get("ClientRequestToken")
        self._workgroup(group)
        document = {**{key: request[key] for key in _KEPT if key in request}, "WorkGroup": group}
        with self._store.transaction() as connection:
            known = self._store.documents("SELECT document FROM named_queries WHERE token = ?", token) if token else []
            if known:
                if {key: value for key, value in known[0].items() if key != "NamedQueryId"} != document:
                    raise _invalid("Idempotent parameters do not match")
                return {"NamedQueryId": known[0]["NamedQueryId"]}
            (count,) = connection.execute("SELECT count(*) FROM named_queries").fetchone()
            if count >= NAMED_QUERIES_MAX:
                raise AwsError("TooManyRequestsException", f"There are {count} named queries.")
            identity = str(uuid.uuid4())
            row = (identity, token, group, json.dumps({**document, "NamedQueryId": identity}))
            connection.execute("INSERT INTO named_queries VALUES (?, ?, ?, ?)", row)
        return {"NamedQueryId": identity}

    def get_named_query(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"NamedQuery": self._query(request["NamedQueryId"])}

    def batch_get_named_query(self, request: dict[str, Any]) -> dict[str, Any]:
        found, unknown = [], []
        for identity in request["NamedQueryIds"]:
            try:
                found.append(self._query(identity))
            except AwsError as error:
                unknown.append({"NamedQueryId": identity, "ErrorCode": error.code, "ErrorMessage": error.message})
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": unknown}

    def list_named_queries(self, request: dict[str, Any]) -> dict[str, Any]:
        group = request.get("WorkGroup", "primary")
        self._workgroup(group)
        sql = "SELECT json_quote(id) FROM named_queries WHERE workgroup = ? ORDER BY id"
        identities: list[Any] = self._store.documents(sql, group)
        found, token = page(identities, request, at_most=50)
        return {"NamedQueryIds": found, **({"NextToken": token} if token else {})}

    def update_named_query(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            kept = self._query(request["NamedQueryId"])
            changed = {key: request[key] for key in ("Name", "Description", "QueryString") if key in request}
            row = (json.dumps({**kept, **changed}), kept["NamedQueryId"])
            connection.execute("UPDATE named_queries SET document = ? WHERE id = ?", row)
        return {}

    def delete_named_query(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            identity = self._query(request["NamedQueryId"])["NamedQueryId"]
            connection.execute("DELETE FROM named_queries WHERE id = ?", (identity,))
        return {}

    def _query(self, identity: str) -> dict[str, Any]:
        found = self._store.documents("SELECT document FROM named_queries WHERE id = ?", identity)
        if not found:
            raise _invalid(f"NamedQuery {identity} was not found")
        return found[0]


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)
