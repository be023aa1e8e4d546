"""Redshift Serverless: namespaces, each a DuckDB file of its own, and workgroups, by which the Data API finds them."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import AwsError
from ..glue.service import ACCOUNT
from ..protocol import Action, actions_of, page
from ..store import Store

DEFAULT_DATABASE = "dev"
_ACTIONS = (
    "CreateNamespace",
    "GetNamespace",
    "ListNamespaces",
    "UpdateNamespace",
    "DeleteNamespace",
    "CreateWorkgroup",
    "GetWorkgroup",
    "ListWorkgroups",
    "UpdateWorkgroup",
    "DeleteWorkgroup",
    "GetCredentials",
)
_NAMESPACE_KEPT = ("adminUsername", "iamRoles", "defaultIamRoleArn", "logExports")
_WORKGROUP_KEPT = (
    "baseCapacity", "maxCapacity", "enhancedVpcRouting", "publiclyAccessible", "securityGroupIds", "subnetIds",
    "configParameters", "port",
)  # fmt: skip
_RESOURCE_CODE = "ResourceNotFoundException"
_PAGE_MAX = 100


class RedshiftServerless:
    """Namespaces and workgroups over the store. They are AVAILABLE at once. Capacity, networks and roles are recorded
    and mean nothing here; passwords are not kept.
    """

    def __init__(self, store: Store, *, region: str) -> None:
        self._store = store
        self._arn = f"arn:aws:redshift-serverless:{region}:{ACCOUNT}"
        self.on_delete: Callable[[str], None] = lambda namespace_id: None

    def actions(self) -> dict[str, Action]:
        """The service's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_namespace(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "redshiftIdcApplicationArn")
        name, identity = request["namespaceName"], str(uuid.uuid4())
        document = {
            "namespaceName": name,
            "namespaceId": identity,
            "namespaceArn": f"{self._arn}:namespace/{identity}",
            "dbName": request.get("dbName", DEFAULT_DATABASE).lower(),
            "status": "AVAILABLE",
            "creationDate": _now(),
            **{key: request[key] for key in _NAMESPACE_KEPT if key in request},
        }
        self._insert("redshift_namespaces", name, document)
        return {"namespace": document}

    def get_namespace(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"namespace": self.namespace(request["namespaceName"])}

    def list_namespaces(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._listed("redshift_namespaces", "namespaces", request)

    def update_namespace(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "s3TableAction", "s3TableNames")
        return {"namespace": self._update("redshift_namespaces", request["namespaceName"], request, _NAMESPACE_KEPT)}

    def delete_namespace(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "finalSnapshotName")
        with self._store.transaction() as connection:
            document = self.namespace(request["namespaceName"])
            users = [each["workgroupName"] for each in self._all("redshift_workgroups")]
            if any(self.workgroup(name)["namespaceName"] == document["namespaceName"] for name in users):
                raise AwsError(
                    "ConflictException", f"Namespace {document['namespaceName']} has workgroups: delete them"
                )
            connection.execute("DELETE FROM redshift_namespaces WHERE name = ?", (document["namespaceName"],))
        self.on_delete(document["namespaceId"])
        return {"namespace": {**document, "status": "DELETING"}}

    def create_workgroup(self, request: dict[str, Any]) -> dict[str, Any]:
        name, identity = request["workgroupName"], str(uuid.uuid4())
        namespace = self.namespace(request["namespaceName"])
        if any(each["namespaceName"] == namespace["namespaceName"] for each in self._all("redshift_workgroups")):
            raise AwsError("ConflictException", f"Namespace {namespace['namespaceName']} has a workgroup already")
        document = {
            "workgroupName": name,
            "workgroupId": identity,
            "workgroupArn": f"{self._arn}:workgroup/{identity}",
            "namespaceName": namespace["namespaceName"],
            "status": "AVAILABLE",
            "creationDate": _now(),
            "baseCapacity": 128,
            "publiclyAccessible": False,
            **{key: request[key] for key in _WORKGROUP_KEPT if key in request},
        }
        self._insert("redshift_workgroups", name, document)
        return {"workgroup": document}

    def get_workgroup(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"workgroup": self.workgroup(request["workgroupName"])}

    def list_workgroups(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._listed("redshift_workgroups", "workgroups", request)

    def update_workgroup(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "pricePerformanceTarget", "trackName")
        return {"workgroup": self._update("redshift_workgroups", request["workgroupName"], request, _WORKGROUP_KEPT)}

    def delete_workgroup(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self.workgroup(request["workgroupName"])
            limits = "DELETE FROM redshift_usage_limits WHERE json_extract(document, '$.resourceArn') = ?"
            connection.execute(limits, (document["workgroupArn"],))
            connection.execute("DELETE FROM redshift_workgroups WHERE name = ?", (document["workgroupName"],))
        return {"workgroup": {**document, "status": "DELETING"}}

    def get_credentials(self, request: dict[str, Any]) -> dict[str, Any]:
        """A user and a password of the right form. Nothing here checks them: there is no port for SQL clients."""
        if "workgroupName" not in request:
            raise AwsError(
                "ValidationException", "GetCredentials by customDomainName is not served; give workgroupName"
            )
        self.workgroup(request["workgroupName"])
        until = _now() + request.get("durationSeconds", 900)
        return {"dbUser": "IAM:local", "dbPassword": uuid.uuid4().hex, "expiration": until, "nextRefreshTime": until}

    def namespace(self, name: str) -> dict[str, Any]:
        """One namespace, or ResourceNotFoundException."""
        return self._one("redshift_namespaces", "namespace", name)

    def workgroup(self, name: str) -> dict[str, Any]:
        """One workgroup, or ResourceNotFoundException."""
        return self._one("redshift_workgroups", "workgroup", name)

    def workgroup_arns(self) -> set[str]:
        """Those of all workgroups."""
        return {each["workgroupArn"] for each in self._all("redshift_workgroups")}

    def _one(self, table: str, kind: str, name: str) -> dict[str, Any]:
        found = self._store.documents(f"SELECT document FROM {table} WHERE name = ?", name)
        if not found:
            raise AwsError(_RESOURCE_CODE, f"The {kind} {name} does not exist.")
        return found[0]

    def _all(self, table: str) -> list[dict[str, Any]]:
        return self._store.documents(f"SELECT document FROM {table} ORDER BY name")

    def _insert(self, table: str, name: str, document: dict[str, Any]) -> None:
        with self._store.transaction() as connection:
            try:
                connection.execute(f"INSERT INTO {table} VALUES (?, ?)", (name, json.dumps(document)))
            except sqlite3.IntegrityError:
                raise AwsError("ConflictException", f"{name} already exists") from None

    def _update(self, table: str, name: str, request: dict[str, Any], kept: tuple[str, ...]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self.namespace(name) if table == "redshift_namespaces" else self.workgroup(name)
            document.update({key: request[key] for key in kept if key in request})
            connection.execute(f"UPDATE {table} SET document = ? WHERE name = ?", (json.dumps(document), name))
        return document

    def _listed(self, table: str, key: str, request: dict[str, Any]) -> dict[str, Any]:
        asked = {"NextToken": request.get("nextToken"), "MaxResults": request.get("maxResults")}
        found, token = page(self._all(table), asked, at_most=_PAGE_MAX)
        return {key: found, **({"nextToken": token} if token else {})}


def _refuse(request: dict[str, Any], *options: str) -> None:
    for option in options:
        if request.get(option):
            raise AwsError("ValidationException", f"{option} is not served by the local AWS endpoint.")


def _now() -> float:
    return round(time.time(), 3)
