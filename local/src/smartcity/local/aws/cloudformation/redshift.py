"""AWS::RedshiftServerless::Namespace and Workgroup, at the local Redshift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .kinds import Kind, Made, PropertyError, Wanted

_UPDATED = ("AdminUsername", "AdminUserPassword", "ManageAdminPassword", "DefaultIamRoleArn", "IamRoles", "LogExports")
_LISTS = ("IamRoles", "LogExports")


class _OfRedshift(Kind):
    service = "redshift-serverless"
    absent = ("ResourceNotFoundException",)


class Namespace(_OfRedshift):
    """Its rows go with it: a final snapshot is not served here."""

    name = "AWS::RedshiftServerless::Namespace"
    required = frozenset({"NamespaceName"})
    properties = frozenset({"NamespaceName", "DbName", "Tags", *_UPDATED})
    create_only = frozenset({"NamespaceName"})
    recorded = "Roles, log exports and passwords are recorded only"

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties["NamespaceName"])

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetNamespace", {"NamespaceName": physical_id})

    def create(self, wanted: Wanted) -> Made:
        return _namespace(self.call("CreateNamespace", wanted.properties)["namespace"])

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        for name in ("DbName", "Tags"):
            if wanted.properties.get(name) != before.get(name):
                raise PropertyError(f"a change of {name} is not served by the local AWS endpoint")
        given = {name: wanted.properties[name] for name in _UPDATED if name in wanted.properties}
        empty: dict[str, Any] = {name: [] for name in _LISTS if name in before and name not in given}
        return _namespace(self.call("UpdateNamespace", {"NamespaceName": physical_id, **given, **empty})["namespace"])

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteNamespace", {"NamespaceName": physical_id})


class Workgroup(_OfRedshift):
    """Capacity and networks are recorded, and mean nothing here."""

    name = "AWS::RedshiftServerless::Workgroup"
    required = frozenset({"WorkgroupName", "NamespaceName"})
    properties = frozenset(
        {
            "WorkgroupName", "NamespaceName", "BaseCapacity", "MaxCapacity", "PubliclyAccessible", "EnhancedVpcRouting",
            "ConfigParameters", "SubnetIds", "SecurityGroupIds", "Port", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"WorkgroupName", "NamespaceName"})
    recorded = "Capacity and networks are recorded only"

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties["WorkgroupName"])

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetWorkgroup", {"WorkgroupName": physical_id})

    def create(self, wanted: Wanted) -> Made:
        return _workgroup(self.call("CreateWorkgroup", wanted.properties)["workgroup"])

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        if wanted.properties.get("Tags") != before.get("Tags"):
            raise PropertyError("a change of Tags is not served by the local AWS endpoint")
        given = {key: value for key, value in wanted.properties.items() if key not in ("NamespaceName", "Tags")}
        return _workgroup(self.call("UpdateWorkgroup", given)["workgroup"])

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteWorkgroup", {"WorkgroupName": physical_id})


def _namespace(found: Mapping[str, Any]) -> Made:
    shown = ("NamespaceArn", "NamespaceId", "NamespaceName", "DbName", "Status", "DefaultIamRoleArn", "AdminUsername")
    return Made(physical_id=found["namespaceName"], attributes=_attributes("Namespace", shown, found))


def _workgroup(found: Mapping[str, Any]) -> Made:
    shown = ("WorkgroupArn", "WorkgroupId", "WorkgroupName", "NamespaceName", "Status", "BaseCapacity", "MaxCapacity")
    return Made(physical_id=found["workgroupName"], attributes=_attributes("Workgroup", shown, found))


def _attributes(prefix: str, names: tuple[str, ...], found: Mapping[str, Any]) -> dict[str, Any]:
    spelled = {name: name[0].lower() + name[1:] for name in names}
    return {f"{prefix}.{name}": found[key] for name, key in spelled.items() if key in found}
