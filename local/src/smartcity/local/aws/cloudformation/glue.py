"""AWS::Glue::Database, Table and Crawler, at the local Glue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .kinds import Kind, Made, PropertyError, Wanted


class _OfGlue(Kind):
    service = "glue"
    absent = ("EntityNotFoundException",)


class Database(_OfGlue):
    """Its tables go with it, as in AWS."""

    name = "AWS::Glue::Database"
    required = frozenset({"CatalogId", "DatabaseInput"})
    properties = frozenset({"CatalogId", "DatabaseName", "DatabaseInput"})
    create_only = frozenset({"DatabaseName"})
    importable = True

    def identity(self, wanted: Wanted) -> str:
        given = wanted.properties.get("DatabaseName") or wanted.properties["DatabaseInput"].get("Name")
        return str(given or wanted.name).lower()

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetDatabase", {"Name": physical_id})

    def create(self, wanted: Wanted) -> Made:
        name = self.identity(wanted)
        self.call("CreateDatabase", {"DatabaseInput": {**wanted.properties["DatabaseInput"], "Name": name}})
        return Made(physical_id=name)

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        given = {**wanted.properties["DatabaseInput"], "Name": physical_id}
        self.call("UpdateDatabase", {"Name": physical_id, "DatabaseInput": given})
        return Made(physical_id=physical_id)

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteDatabase", {"Name": physical_id})

    def found(self, physical_id: str) -> Made:
        return Made(physical_id=physical_id)


class Table(_OfGlue):
    """Physical ids are `database|table`, so that equal names in two databases differ; Ref is the table's name."""

    name = "AWS::Glue::Table"
    required = frozenset({"CatalogId", "DatabaseName", "TableInput"})
    properties = frozenset({"CatalogId", "DatabaseName", "TableInput"})
    create_only = frozenset({"CatalogId", "DatabaseName"})

    def identity(self, wanted: Wanted) -> str:
        name = wanted.properties["TableInput"].get("Name") or wanted.name
        return f"{wanted.properties['DatabaseName']}|{name}".lower()

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetTable", _table(physical_id))

    def create(self, wanted: Wanted) -> Made:
        return self._put("CreateTable", self.identity(wanted), wanted)

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        if self.identity(wanted) != physical_id:
            raise PropertyError("a change of TableInput/Name is not served by the local AWS endpoint")
        return self._put("UpdateTable", physical_id, wanted)

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteTable", _table(physical_id))

    def _put(self, operation: str, physical_id: str, wanted: Wanted) -> Made:
        place = _table(physical_id)
        given = {**wanted.properties["TableInput"], "Name": place["Name"]}
        self.call(operation, {"DatabaseName": place["DatabaseName"], "TableInput": given})
        return Made(physical_id=physical_id, attributes={"Ref": place["Name"]})


class Crawler(_OfGlue):
    """A crawler that runs cannot be changed or deleted: the local Glue says so, and the resource fails."""

    name = "AWS::Glue::Crawler"
    required = frozenset({"Role", "Targets"})
    properties = frozenset(
        {
            "Name", "Role", "DatabaseName", "Description", "Targets", "TablePrefix", "Configuration",
            "SchemaChangePolicy", "RecrawlPolicy", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"Name"})

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties.get("Name") or wanted.name)

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetCrawler", {"Name": physical_id})

    def create(self, wanted: Wanted) -> Made:
        name = self.identity(wanted)
        self.call("CreateCrawler", {**wanted.properties, "Name": name})
        return Made(physical_id=name)

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        if wanted.properties.get("Tags") != before.get("Tags"):
            raise PropertyError("a change of a crawler's Tags is not served by the local AWS endpoint")
        given = {key: value for key, value in wanted.properties.items() if key != "Tags"}
        self.call("UpdateCrawler", {**given, "Name": physical_id})
        return Made(physical_id=physical_id)

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteCrawler", {"Name": physical_id})


def _table(physical_id: str) -> dict[str, str]:
    database, name = physical_id.split("|", 1)
    return {"DatabaseName": database, "Name": name}
