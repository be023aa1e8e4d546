"""Glue's Data Catalog: databases and tables with versions. Partitions: `glue_partitions.py`.

A table's version is the lake's commit: Iceberg writes new metadata to S3, then UpdateTable with the VersionId it
read. Comparison and change are one transaction; who comes second gets ConcurrentModificationException.
Names are lower-cased, as Glue does. Documents are kept as clients read them back.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from typing import Any

from ..errors import AwsError
from ..protocol import Action, actions_of, page
from ..store import Store

ACCOUNT = "000000000000"
VERSIONS_PER_TABLE_MAX = 100_000
_ACTIONS = (
    "CreateDatabase",
    "GetDatabase",
    "GetDatabases",
    "UpdateDatabase",
    "DeleteDatabase",
    "CreateTable",
    "GetTable",
    "GetTables",
    "UpdateTable",
    "DeleteTable",
    "BatchDeleteTable",
    "GetTableVersion",
    "GetTableVersions",
    "DeleteTableVersion",
)
_PAGE_MAX = 100


def missing(kind: str, name: str) -> AwsError:
    """Glue's answer for what is not there."""
    return AwsError("EntityNotFoundException", f"{kind} {name} not found.")


class GlueCatalog:
    """Databases and tables over the store. Every method takes a request and gives the response of its Glue action."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def actions(self) -> dict[str, Action]:
        """Glue's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_database(self, request: dict[str, Any]) -> dict[str, Any]:
        given = request["DatabaseInput"]
        name = given["Name"].lower()
        document = {**given, "Name": name, "CatalogId": ACCOUNT, "CreateTime": time.time()}
        with self._store.transaction() as connection:
            try:
                connection.execute("INSERT INTO databases VALUES (?, ?)", (name, json.dumps(document)))
            except sqlite3.IntegrityError:
                raise AwsError("AlreadyExistsException", f"Database {name} already exists.") from None
        return {}

    def get_database(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Database": self.database(request["Name"])}

    def get_databases(self, request: dict[str, Any]) -> dict[str, Any]:
        found, token = page(self.databases(), request, at_most=_PAGE_MAX)
        return {"DatabaseList": found, **({"NextToken": token} if token else {})}

    def update_database(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"].lower()
        given = request["DatabaseInput"]
        if given["Name"].lower() != name:
            raise AwsError("InvalidInputException", "A database cannot be renamed.")
        with self._store.transaction() as connection:
            kept = self.database(name)
            document = {**given, "Name": name, "CatalogId": ACCOUNT, "CreateTime": kept["CreateTime"]}
            connection.execute("UPDATE databases SET document = ? WHERE name = ?", (json.dumps(document), name))
        return {}

    def delete_database(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"].lower()
        with self._store.transaction() as connection:
            if connection.execute("DELETE FROM databases WHERE name = ?", (name,)).rowcount == 0:
                raise missing("Database", name)
        return {}

    def create_table(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "OpenTableFormatInput", "PartitionIndexes")
        if "TableInput" not in request:
            raise AwsError("InvalidInputException", "CreateTable needs TableInput.")
        database, given = request["DatabaseName"].lower(), request["TableInput"]
        name = given["Name"].lower()
        with self._store.transaction() as connection:
            self.database(database)
            document = _table(database, given, version=0, created=time.time())
            try:
                connection.execute("INSERT INTO tables VALUES (?, ?, 0, ?)", (database, name, json.dumps(document)))
            except sqlite3.IntegrityError:
                raise AwsError("AlreadyExistsException", f"Table {name} already exists.") from None
        return {}

    def get_table(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Table": self.table(request["DatabaseName"], request["Name"])}

    def get_tables(self, request: dict[str, Any]) -> dict[str, Any]:
        self.database(request["DatabaseName"])
        try:
            wanted = re.compile(request.get("Expression") or ".*", re.IGNORECASE)
        except re.error as error:
            raise AwsError("InvalidInputException", f"Expression is no regular expression: {error}") from None
        tables = [table for table in self.tables(request["DatabaseName"]) if wanted.fullmatch(table["Name"])]
        found, token = page(tables, request, at_most=_PAGE_MAX)
        return {"TableList": found, **({"NextToken": token} if token else {})}

    def update_table(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "ViewUpdateAction", "UpdateOpenTableFormatInput")
        if "TableInput" not in request:
            raise AwsError("InvalidInputException", "UpdateTable needs TableInput.")
        database, given = request["DatabaseName"].lower(), request["TableInput"]
        name = request.get("Name", given["Name"]).lower()
        if given["Name"].lower() != name:
            raise AwsError("InvalidInputException", "A table cannot be renamed.")
        with self._store.transaction() as connection:
            kept = self.table(database, name)
            version = int(kept["VersionId"])
            expected = request.get("VersionId")
            if expected is not None and expected != str(version):
                raise AwsError(
                    "ConcurrentModificationException",
                    f"Update table failed due to concurrent modifications: {database}.{name} is at version {version}, "
                    f"the request expects {expected}.",
                )
            if not request.get("SkipArchive", False):
                _archive(connection, kept)
            document = _table(database, given, version=version + 1, created=kept["CreateTime"])
            connection.execute(
                "UPDATE tables SET version = ?, document = ? WHERE database = ? AND name = ?",
                (version + 1, json.dumps(document), database, name),
            )
        return {}

    def delete_table(self, request: dict[str, Any]) -> dict[str, Any]:
        database, name = request["DatabaseName"].lower(), request["Name"].lower()
        with self._store.transaction() as connection:
            self.database(database)
            where = (database, name)
            if connection.execute("DELETE FROM tables WHERE database = ? AND name = ?", where).rowcount == 0:
                raise missing("Table", name)
        return {}

    def batch_delete_table(self, request: dict[str, Any]) -> dict[str, Any]:
        errors = []
        for name in request["TablesToDelete"]:
            try:
                self.delete_table({"DatabaseName": request["DatabaseName"], "Name": name})
            except AwsError as error:
                detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
                errors.append({"TableName": name, "ErrorDetail": detail})
        return {"Errors": errors}

    def get_table_version(self, request: dict[str, Any]) -> dict[str, Any]:
        versions = self._versions(request)
        wanted = request.get("VersionId", versions[0]["VersionId"])
        for version in versions:
            if version["VersionId"] == wanted:
                return {"TableVersion": version}
        raise missing("Table version", wanted)

    def get_table_versions(self, request: dict[str, Any]) -> dict[str, Any]:
        found, token = page(self._versions(request), request, at_most=_PAGE_MAX)
        return {"TableVersions": found, **({"NextToken": token} if token else {})}

    def delete_table_version(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self.table(request["DatabaseName"], request["TableName"])
        with self._store.transaction() as connection:
            where = (table["DatabaseName"], table["Name"], request["VersionId"])
            sql = "DELETE FROM table_versions WHERE database = ? AND name = ? AND version = ?"
            if connection.execute(sql, where).rowcount == 0:
                raise missing("Table version", request["VersionId"])
        return {}

    def database(self, name: str) -> dict[str, Any]:
        """One database, or EntityNotFoundException."""
        found = self._store.documents("SELECT document FROM databases WHERE name = ?", name.lower())
        if not found:
            raise missing("Database", name.lower())
        return found[0]

    def databases(self) -> list[dict[str, Any]]:
        """All databases by name."""
        return self._store.documents("SELECT document FROM databases ORDER BY name")

    def table(self, database: str, name: str) -> dict[str, Any]:
        """One table as GetTable gives it, or EntityNotFoundException."""
        sql = "SELECT document FROM tables WHERE database = ? AND name = ?"
        found = self._store.documents(sql, database.lower(), name.lower())
        if not found:
            self.database(database)
            raise missing("Table", name.lower())
        return found[0]

    def tables(self, database: str) -> list[dict[str, Any]]:
        """A database's tables by name."""
        return self._store.documents("SELECT document FROM tables WHERE database = ? ORDER BY name", database.lower())

    def _versions(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """The current version and the archived ones, newest first."""
        table = self.table(request["DatabaseName"], request["TableName"])
        sql = "SELECT document FROM table_versions WHERE database = ? AND name = ? ORDER BY version DESC"
        archived = self._store.documents(sql, table["DatabaseName"], table["Name"])
        return [{"Table": each, "VersionId": each["VersionId"]} for each in (table, *archived)]


def _refuse(request: dict[str, Any], *options: str) -> None:
    for option in options:
        if request.get(option):
            raise AwsError("InvalidInputException", f"{option} is not served by the local AWS endpoint.")


def _table(database: str, given: dict[str, Any], *, version: int, created: float) -> dict[str, Any]:
    return {
        **given,
        "Name": given["Name"].lower(),
        "DatabaseName": database,
        "CatalogId": ACCOUNT,
        "CreateTime": created,
        "UpdateTime": time.time(),
        "VersionId": str(version),
        "IsRegisteredWithLakeFormation": False,
    }


def _archive(connection: sqlite3.Connection, table: dict[str, Any]) -> None:
    where = (table["DatabaseName"], table["Name"])
    (count,) = connection.execute(
        "SELECT count(*) FROM table_versions WHERE database = ? AND name = ?", where
    ).fetchone()
    if count >= VERSIONS_PER_TABLE_MAX:
        raise AwsError("ResourceNumberLimitExceededException", f"{where[0]}.{where[1]} has {count} archived versions.")
    row = (*where, int(table["VersionId"]), json.dumps(table))
    connection.execute("INSERT INTO table_versions VALUES (?, ?, ?, ?)", row)
