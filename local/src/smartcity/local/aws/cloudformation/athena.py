"""AWS::Athena::WorkGroup and NamedQuery, at the local Athena."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.exceptions

from .kinds import Kind, Made, Wanted, code_of

_REMOVABLE = {"BytesScannedCutoffPerQuery": "RemoveBytesScannedCutoffPerQuery"}
_RESULTS = ("OutputLocation", "EncryptionConfiguration", "ExpectedBucketOwner", "AclConfiguration")


class _OfAthena(Kind):
    service = "athena"
    absent = ()  # Athena has one code for all that is wrong with a request.

    def is_there(self, operation: str, given: Mapping[str, Any]) -> bool:
        """Athena says in words that something is not there."""
        try:
            self.call(operation, given)
        except botocore.exceptions.ClientError as error:
            if code_of(error) == "InvalidRequestException" and "not found" in error.response["Error"]["Message"]:
                return False
            raise
        return True


class WorkGroup(_OfAthena):
    """The named queries in it go with it where RecursiveDeleteOption says so."""

    name = "AWS::Athena::WorkGroup"
    required = frozenset({"Name"})
    properties = frozenset({"Name", "Description", "State", "RecursiveDeleteOption", "WorkGroupConfiguration", "Tags"})
    create_only = frozenset({"Name"})
    recorded = "Cutoff, metrics, encryption and bucket owner are recorded only"

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties["Name"])

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetWorkGroup", {"WorkGroup": physical_id})

    def create(self, wanted: Wanted) -> Made:
        given = {key: wanted.properties[key] for key in ("Name", "Description", "Tags") if key in wanted.properties}
        configuration = wanted.properties.get("WorkGroupConfiguration", {})
        self.call("CreateWorkGroup", {**given, "Configuration": configuration})
        if wanted.properties.get("State", "ENABLED") != "ENABLED":
            self.call("UpdateWorkGroup", {"WorkGroup": given["Name"], "State": wanted.properties["State"]})
        return self._made(given["Name"])

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        new, old = (each.get("WorkGroupConfiguration", {}) for each in (wanted.properties, before))
        updates = {key: value for key, value in new.items() if key != "ResultConfiguration"}
        updates |= {remove: True for key, remove in _REMOVABLE.items() if key in old and key not in new}
        results, had = new.get("ResultConfiguration", {}), old.get("ResultConfiguration", {})
        gone = {f"Remove{key}": True for key in _RESULTS if key in had and key not in results}
        self.call(
            "UpdateWorkGroup",
            {
                "WorkGroup": physical_id,
                "Description": wanted.properties.get("Description", ""),
                "State": wanted.properties.get("State", "ENABLED"),
                "ConfigurationUpdates": {**updates, "ResultConfigurationUpdates": {**results, **gone}},
            },
        )
        return self._made(physical_id)

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        if self.exists(physical_id):
            recursive = properties.get("RecursiveDeleteOption", False)
            self.call("DeleteWorkGroup", {"WorkGroup": physical_id, "RecursiveDeleteOption": recursive})

    def _made(self, name: str) -> Made:
        group = self.client.get_work_group(WorkGroup=name)["WorkGroup"]
        version = group["Configuration"]["EngineVersion"]["EffectiveEngineVersion"]
        attributes = {
            "CreationTime": str(group["CreationTime"].timestamp()),
            "WorkGroupConfiguration.EngineVersion.EffectiveEngineVersion": version,
        }
        return Made(physical_id=name, attributes=attributes)


class NamedQuery(_OfAthena):
    """Athena chooses the id; the creation's token makes a repeated creation one."""

    name = "AWS::Athena::NamedQuery"
    required = frozenset({"Database", "QueryString"})
    properties = frozenset({"Name", "Description", "Database", "QueryString", "WorkGroup"})
    create_only = properties

    def identity(self, wanted: Wanted) -> str:
        return ""

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetNamedQuery", {"NamedQueryId": physical_id})

    def create(self, wanted: Wanted) -> Made:
        given = {"Name": wanted.name, **wanted.properties, "ClientRequestToken": wanted.token}
        made = self.call("CreateNamedQuery", given)["NamedQueryId"]
        return Made(physical_id=made, attributes={"NamedQueryId": made})

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        if self.exists(physical_id):
            self.call("DeleteNamedQuery", {"NamedQueryId": physical_id})
