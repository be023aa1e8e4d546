"""Athena's workgroups, and its view of the Glue catalog."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from typing import Any

from ..errors import AwsError
from ..glue.service import GlueCatalog
from ..protocol import Action, actions_of, page
from ..store import Store

_CATALOG = {"Name": "AwsDataCatalog", "Type": "GLUE", "Description": "The Glue catalog of the local AWS endpoint"}
_ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
_ACTIONS = (
    "CreateWorkGroup",
    "GetWorkGroup",
    "ListWorkGroups",
    "UpdateWorkGroup",
    "DeleteWorkGroup",
    "GetDataCatalog",
    "ListDataCatalogs",
    "GetDatabase",
    "ListDatabases",
    "GetTableMetadata",
    "ListTableMetadata",
)


class AthenaMetadata:
    """Every method takes a request and gives the response of its Athena action."""

    def __init__(self, store: Store, catalog: GlueCatalog) -> None:
        self._store = store
        self._glue = catalog
        with store.transaction() as connection:
            document = _workgroup("primary", {"Description": "The workgroup that is always there"})
            connection.execute("INSERT OR IGNORE INTO workgroups VALUES ('primary', ?)", (json.dumps(document),))

    def actions(self) -> dict[str, Action]:
        """Athena's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def workgroup(self, name: str) -> dict[str, Any]:
        """One workgroup, or InvalidRequestException as from Athena."""
        found = self._store.documents("SELECT document FROM workgroups WHERE name = ?", name)
        if not found:
            raise AwsError("InvalidRequestException", f"WorkGroup {name} is not found.")
        return found[0]

    def create_work_group(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        with self._store.transaction() as connection:
            try:
                row = (name, json.dumps(_workgroup(name, request)))
                connection.execute("INSERT INTO workgroups VALUES (?, ?)", row)
            except sqlite3.IntegrityError:
                raise AwsError("InvalidRequestException", f"WorkGroup {name} is already created") from None
        return {}

    def get_work_group(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"WorkGroup": self.workgroup(request["WorkGroup"])}

    def list_work_groups(self, request: dict[str, Any]) -> dict[str, Any]:
        listed = ("Name", "State", "Description", "CreationTime")
        groups = [
            {**{key: group[key] for key in listed if key in group}, "EngineVersion": _ENGINE}
            for group in self._store.documents("SELECT document FROM workgroups ORDER BY name")
        ]
        found, token = page(groups, request, at_most=50)
        return {"WorkGroups": found, **({"NextToken": token} if token else {})}

    def update_work_group(self, request: dict[str, Any]) -> dict[str, Any]:
        updates = dict(request.get("ConfigurationUpdates", {}))
        results = updates.pop("ResultConfigurationUpdates", None)
        with self._store.transaction() as connection:
            group = self.workgroup(request["WorkGroup"])
            _update(group["Configuration"], updates)
            group["Configuration"]["EngineVersion"] = _ENGINE
            _update(group["Configuration"].setdefault("ResultConfiguration", {}), results or {})
            for key in ("Description", "State"):
                if key in request:
                    group[key] = request[key]
            sql = "UPDATE workgroups SET document = ? WHERE name = ?"
            connection.execute(sql, (json.dumps(group), group["Name"]))
        return {}

    def delete_work_group(self, request: dict[str, Any]) -> dict[str, Any]:
        name = self.workgroup(request["WorkGroup"])["Name"]
        if name == "primary":
            raise AwsError("InvalidRequestException", "The primary workgroup cannot be deleted")
        with self._store.transaction() as connection:
            removed = connection.execute("DELETE FROM named_queries WHERE workgroup = ?", (name,)).rowcount
            if removed and not request.get("RecursiveDeleteOption"):
                raise AwsError("InvalidRequestException", f"WorkGroup {name} is not empty")
            connection.execute("DELETE FROM workgroups WHERE name = ?", (name,))
        return {}

    def get_data_catalog(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_catalog(request["Name"])
        return {"DataCatalog": _CATALOG}

    def list_data_catalogs(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"DataCatalogsSummary": [{"CatalogName": _CATALOG["Name"], "Type": _CATALOG["Type"]}]}

    def get_database(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_catalog(request["CatalogName"])
        try:
            return {"Database": _database(self._glue.database(request["DatabaseName"]))}
        except AwsError as error:
            raise AwsError("MetadataException", error.message) from None

    def list_databases(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_catalog(request["CatalogName"])
        found, token = page([_database(each) for each in self._glue.databases()], request, at_most=50)
        return {"DatabaseList": found, **({"NextToken": token} if token else {})}

    def get_table_metadata(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_catalog(request["CatalogName"])
        try:
            return {"TableMetadata": _table(self._glue.table(request["DatabaseName"], request["TableName"]))}
        except AwsError as error:
            raise AwsError("MetadataException", error.message) from None

    def list_table_metadata(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_catalog(request["CatalogName"])
        try:
            wanted = re.compile(request.get("Expression") or ".*", re.IGNORECASE)
            self._glue.database(request["DatabaseName"])
        except re.error as error:
            raise AwsError("InvalidRequestException", f"Expression is no regular expression: {error}") from None
        except AwsError as error:
            raise AwsError("MetadataException", error.message) from None
        tables = [_table(each) for each in self._glue.tables(request["DatabaseName"]) if wanted.search(each["Name"])]
        found, token = page(tables, request, at_most=50)
        return {"TableMetadataList": found, **({"NextToken": token} if token else {})}


def _update(kept: dict[str, Any], updates: dict[str, Any]) -> None:
    """`RemoveX` takes X away."""
    kept.update({key: value for key, value in updates.items() if not key.startswith("Remove")})
    for key, value in updates.items():
        if key.startswith("Remove") and value:
            kept.pop(key.removeprefix("Remove"), None)


def _workgroup(name: str, request: dict[str, Any]) -> dict[str, Any]:
    configuration = {
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": False,
        "RequesterPaysEnabled": False,
        "ResultConfiguration": {},
        **request.get("Configuration", {}),
        "EngineVersion": _ENGINE,
    }
    return {
        "Name": name,
        "State": "ENABLED",
        "Configuration": configuration,
        "Description": request.get("Description", ""),
        "CreationTime": time.time(),
    }


def _check_catalog(name: str) -> None:
    if name.lower() != "awsdatacatalog":
        raise AwsError("InvalidRequestException", f"Data catalog {name} is not served by the local AWS endpoint.")


def _database(document: dict[str, Any]) -> dict[str, Any]:
    shown = ("Name", "Description", "Parameters")
    return {key: value for key, value in document.items() if key in shown}


def _table(document: dict[str, Any]) -> dict[str, Any]:
    columns = document.get("StorageDescriptor", {}).get("Columns", [])
    return {
        "Name": document["Name"],
        "CreateTime": document["CreateTime"],
        "TableType": document.get("TableType", "EXTERNAL_TABLE"),
        "Columns": [_column(each) for each in columns],
        "PartitionKeys": [_column(each) for each in document.get("PartitionKeys", [])],
        "Parameters": document.get("Parameters", {}),
    }


def _column(given: dict[str, Any]) -> dict[str, Any]:
    return {key: given[key] for key in ("Name", "Type", "Comment") if given.get(key)}
