"""What a crawl changes in the catalog: tables and partitions that are new, differ, or are gone, by its policy.

The form is that of AWS's crawlers: parameters, formats, and a name that ends in a hash where it is taken.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import operator
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import CrawlError
from ..glue.partitions import GluePartitions
from ..glue.service import GlueCatalog
from .observe import Amount, SeenPartition, SeenTable
from .settings import Policy

log = logging.getLogger(__name__)

DEPRECATED = "DEPRECATED_BY_CRAWLER"
UPDATED_BY = "UPDATED_BY_CRAWLER"
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
_TABLE_KEYS = (
    "Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters",
)  # fmt: skip


@dataclass(slots=True)
class Changes:
    """Names of the tables that a crawl created, changed (or whose partitions it changed), and deleted."""

    created: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)


def place(location: str) -> str:
    """A location as it is compared: with one slash at its end."""
    return location.rstrip("/") + "/"


class Registrar:
    """Applies what one crawl has seen. To be used inside one transaction of the store."""

    def __init__(self, *, crawler: str, policy: Policy, catalog: GlueCatalog, partitions: GluePartitions) -> None:
        self._crawler = crawler
        self._policy = policy
        self._catalog = catalog
        self._partitions = partitions
        self._database = policy.database
        self._changes = Changes()

    def apply(self, seen: Sequence[SeenTable]) -> Changes:
        """Register what was seen.

        Raises:
            CrawlError: a registered table has other partition keys.
            AwsError: the database is missing.
        """
        self._catalog.database(self._database)
        for each in seen:
            self._table(each)
        if self._policy.everything:
            self._gone_tables({each.location for each in seen})
        return self._changes

    def _table(self, seen: SeenTable) -> None:
        table = registered(self._catalog, self._database, seen.location)
        if table is None and self._policy.tables:
            raise CrawlError(f"{seen.location} is none of the catalog targets' locations")
        if table is None:
            name = self._free_name(seen.location)
            self._catalog.create_table({"DatabaseName": self._database, "TableInput": self._new_table(name, seen)})
            self._changes.created.add(name)
            log.info("%s: table %s is new at %s", self._crawler, name, seen.location)
        else:
            self._check_keys(table, seen)
            if self._policy.everything:
                self._update_table(table, seen)
        # Read again: partitions may inherit its columns.
        table = registered(self._catalog, self._database, seen.location)
        if table is None:  # pragma: no cover - just written in this transaction
            raise CrawlError(f"the table at {seen.location} vanished")
        if seen.keys:
            self._table_partitions(table, seen)

    def _new_table(self, name: str, seen: SeenTable) -> dict[str, Any]:
        parameters = self._parameters(_total(seen.partitions))
        return {
            "Name": name,
            "Owner": "owner",
            "Retention": 0,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in seen.keys],
            "Parameters": parameters,
            "StorageDescriptor": storage(seen.location, _listed(seen.columns), parameters),
        }

    def _update_table(self, table: Mapping[str, Any], seen: SeenTable) -> None:
        kept = table["StorageDescriptor"].get("Columns", [])
        columns = _listed(seen.columns)
        if self._policy.only_new_columns:
            names = {each["Name"].lower() for each in kept}
            columns = [*kept, *(each for each in columns if each["Name"] not in names)]
        wanted = {key: table[key] for key in _TABLE_KEYS if key in table}
        own = self._parameters(_total(seen.partitions))
        wanted["Parameters"] = _without(DEPRECATED, table.get("Parameters", {})) | own
        wanted["StorageDescriptor"] = storage(table["StorageDescriptor"]["Location"], columns, own)
        if all(table.get(key) == value for key, value in wanted.items()):
            return
        if not self._policy.update:
            if [(each["Name"], each["Type"]) for each in kept] != [(each["Name"], each["Type"]) for each in columns]:
                log.info("%s: table %s has another schema now; LOG leaves it", self._crawler, table["Name"])
            return
        self._catalog.update_table({"DatabaseName": self._database, "TableInput": wanted})
        self._changes.updated.add(table["Name"])

    def _check_keys(self, table: Mapping[str, Any], seen: SeenTable) -> None:
        keys = tuple(key["Name"].lower() for key in table.get("PartitionKeys", []))
        if keys != seen.keys:
            raise CrawlError(
                f"{self._database}.{table['Name']} is partitioned by {list(keys)}, {seen.location} by "
                f"{list(seen.keys)}: drop the table, or exclude the folder"
            )

    def _table_partitions(self, table: Mapping[str, Any], seen: SeenTable) -> None:
        where = {"DatabaseName": self._database, "TableName": table["Name"]}
        kept = {tuple(each["Values"]): each for each in self._partitions.selected(dict(table))}
        for each in seen.partitions:
            wanted = self._partition(table, each)
            old = kept.get(each.values)
            if old is None:
                self._partitions.create_partition({**where, "PartitionInput": wanted})
                self._touched(table["Name"])
                continue
            wanted["Parameters"] = _without(DEPRECATED, old.get("Parameters", {})) | wanted["Parameters"]
            if self._policy.update and any(old.get(key) != value for key, value in wanted.items()):
                request = {**where, "PartitionValueList": list(each.values), "PartitionInput": wanted}
                self._partitions.update_partition(request)
                self._touched(table["Name"])
        if self._policy.everything:
            inside = place(table["StorageDescriptor"]["Location"])
            for values, old in kept.items():
                lies = place(old.get("StorageDescriptor", {}).get("Location", ""))
                if values not in seen.present and lies.startswith(inside):
                    self._gone_partition(where, values, old)

    def _partition(self, table: Mapping[str, Any], seen: SeenPartition) -> dict[str, Any]:
        columns = table["StorageDescriptor"]["Columns"] if self._policy.inherit_columns else _listed(seen.columns)
        own = self._parameters(seen.amount)
        return {
            "Values": list(seen.values),
            "Parameters": own,
            "StorageDescriptor": storage(seen.location, columns, own),
        }

    def _gone_partition(self, where: Mapping[str, Any], values: Sequence[str], old: Mapping[str, Any]) -> None:
        name = where["TableName"]
        log.info("%s: partition %s of %s is gone: %s", self._crawler, list(values), name, self._policy.gone)
        if self._policy.gone == "DELETE_FROM_DATABASE":
            self._partitions.delete_partition({**where, "PartitionValues": list(values)})
        elif self._policy.gone == "DEPRECATE_IN_DATABASE" and DEPRECATED not in old.get("Parameters", {}):
            wanted = {key: old[key] for key in ("Values", "Parameters", "StorageDescriptor") if key in old}
            wanted["Parameters"] = {**old.get("Parameters", {}), DEPRECATED: _now_ms()}
            self._partitions.update_partition({**where, "PartitionValueList": list(values), "PartitionInput": wanted})
        else:
            return
        self._touched(name)

    def _gone_tables(self, locations: Collection[str]) -> None:
        for table in self._catalog.tables(self._database):
            lies = place(table.get("StorageDescriptor", {}).get("Location", ""))
            parameters = table.get("Parameters", {})
            is_ours = parameters.get(UPDATED_BY) == self._crawler
            if not is_ours or lies in locations or not lies.startswith(tuple(self._policy.places)):
                continue
            log.info("%s: table %s is gone from %s: %s", self._crawler, table["Name"], lies, self._policy.gone)
            if self._policy.gone == "DELETE_FROM_DATABASE":
                self._catalog.delete_table({"DatabaseName": self._database, "Name": table["Name"]})
                self._changes.deleted.add(table["Name"])
            elif self._policy.gone == "DEPRECATE_IN_DATABASE" and DEPRECATED not in parameters:
                wanted = {key: table[key] for key in _TABLE_KEYS if key in table}
                wanted["Parameters"] = {**parameters, DEPRECATED: _now_ms()}
                self._catalog.update_table({"DatabaseName": self._database, "TableInput": wanted})
                self._changes.updated.add(table["Name"])

    def _touched(self, name: str) -> None:
        if name not in self._changes.created:
            self._changes.updated.add(name)

    def _free_name(self, location: str) -> str:
        folder = location.rstrip("/").rsplit("/", 1)[1]
        name = self._policy.table_prefix + re.sub(r"[^a-z0-9_]", "_", folder.lower())
        taken = {table["Name"] for table in self._catalog.tables(self._database)}
        return name if name not in taken else f"{name}_{hashlib.md5(location.encode()).hexdigest()}"

    def _parameters(self, amount: Amount) -> dict[str, str]:
        return {
            "classification": "parquet",
            "compressionType": "none",
            "typeOfData": "file",
            "CrawlerSchemaDeserializerVersion": "1.0",
            "CrawlerSchemaSerializerVersion": "1.0",
            UPDATED_BY: self._crawler,
            "objectCount": str(amount.objects),
            "recordCount": str(amount.rows),
            "sizeKey": str(amount.size),
            "averageRecordSize": str(round(amount.size / amount.rows) if amount.rows else 0),
        }


def registered(catalog: GlueCatalog, database: str, location: str) -> dict[str, Any] | None:
    """The table at a folder, or None."""
    for table in catalog.tables(database):
        if place(table.get("StorageDescriptor", {}).get("Location", "")) == place(location):
            return table
    return None


def storage(location: str, columns: Sequence[Mapping[str, Any]], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The storage descriptor of a Parquet table or partition."""
    return {
        "Columns": [dict(each) for each in columns],
        "Location": location,
        "InputFormat": f"{_PARQUET}.MapredParquetInputFormat",
        "OutputFormat": f"{_PARQUET}.MapredParquetOutputFormat",
        "Compressed": False,
        "NumberOfBuckets": -1,
        "SerdeInfo": {
            "SerializationLibrary": f"{_PARQUET}.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        },
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": dict(parameters),
        "StoredAsSubDirectories": False,
    }


def _listed(columns: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Type": kind} for name, kind in columns.items()]


def _total(partitions: Sequence[SeenPartition]) -> Amount:
    nothing = Amount(objects=0, rows=0, size=0)
    return functools.reduce(operator.add, (each.amount for each in partitions), nothing)


def _without(name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}


def _now_ms() -> str:
    return str(round(time.time() * 1000))
