"""AWS::QuickSight's data source, data set, theme, analysis and dashboard, which the local QuickSight records.

Their properties are those of the API's calls, by the same names, and are checked against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .kinds import Kind, Made, Wanted

_NOT_UPDATED = ("Permissions", "Tags", "Type", "FolderArns", "LinkSharingConfiguration", "LinkEntities", "UseAs")


class _OfQuickSight(Kind):
    service = "quicksight"
    absent = ("ResourceNotFoundException",)
    asset: ClassVar[str]
    recorded = "Recorded by the local AWS endpoint: nothing is drawn or read"

    def identity(self, wanted: Wanted) -> str:
        return f"{wanted.properties['AwsAccountId']}|{wanted.properties[f'{self.asset}Id']}"

    def exists(self, physical_id: str) -> bool:
        return self.is_there(f"Describe{self.asset}", self._place(physical_id))

    def create(self, wanted: Wanted) -> Made:
        made = self.call(f"Create{self.asset}", wanted.properties)
        return self._made(self.identity(wanted), made["Arn"])

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        given = {key: value for key, value in wanted.properties.items() if key not in _NOT_UPDATED}
        made = self.call(f"Update{self.asset}", given)
        new, old = (_permissions(each) for each in (wanted.properties, before))
        if new != old:
            changes = {"GrantPermissions": _lost(new, old), "RevokePermissions": _lost(old, new)}
            given = {key: value for key, value in changes.items() if value}
            self.call(f"Update{self.asset}Permissions", {**self._place(physical_id), **given})
        return self._made(physical_id, made["Arn"])

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove(f"Delete{self.asset}", self._place(physical_id))

    def _place(self, physical_id: str) -> dict[str, str]:
        account, identity = physical_id.split("|", 1)
        return {"AwsAccountId": account, f"{self.asset}Id": identity}

    def _made(self, physical_id: str, arn: str) -> Made:
        return Made(physical_id=physical_id, attributes={"Arn": arn})


class DataSource(_OfQuickSight):
    """Credentials are not kept."""

    asset = "DataSource"
    name = "AWS::QuickSight::DataSource"
    required = frozenset({"AwsAccountId", "DataSourceId", "Name", "Type"})
    properties = frozenset(
        {
            "AwsAccountId", "DataSourceId", "Name", "Type", "DataSourceParameters", "Permissions", "SslProperties",
            "VpcConnectionProperties", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"AwsAccountId", "DataSourceId", "Type"})


class DataSet(_OfQuickSight):
    """Its columns are what its definition says, not what the table has."""

    asset = "DataSet"
    name = "AWS::QuickSight::DataSet"
    required = frozenset({"AwsAccountId", "DataSetId", "Name"})
    properties = frozenset(
        {
            "AwsAccountId", "DataSetId", "Name", "PhysicalTableMap", "LogicalTableMap", "ImportMode", "ColumnGroups",
            "FieldFolders", "Permissions", "DataSetUsageConfiguration", "DatasetParameters", "PerformanceConfiguration",
            "DataPrepConfiguration", "SemanticModelConfiguration", "UseAs", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"AwsAccountId", "DataSetId"})


class Theme(_OfQuickSight):
    """Its newest version is kept."""

    asset = "Theme"
    name = "AWS::QuickSight::Theme"
    required = frozenset({"AwsAccountId", "ThemeId", "Name", "BaseThemeId", "Configuration"})
    properties = frozenset(
        {
            "AwsAccountId", "ThemeId", "Name", "BaseThemeId", "Configuration", "VersionDescription", "Permissions",
            "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"AwsAccountId", "ThemeId"})


class Analysis(_OfQuickSight):
    """Kept as defined."""

    asset = "Analysis"
    name = "AWS::QuickSight::Analysis"
    required = frozenset({"AwsAccountId", "AnalysisId", "Name"})
    properties = frozenset(
        {
            "AwsAccountId", "AnalysisId", "Name", "Definition", "Parameters", "Permissions", "ThemeArn",
            "ValidationStrategy", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"AwsAccountId", "AnalysisId"})


class Dashboard(_OfQuickSight):
    """Kept as defined, in its newest version, which is the published one."""

    asset = "Dashboard"
    name = "AWS::QuickSight::Dashboard"
    required = frozenset({"AwsAccountId", "DashboardId", "Name"})
    properties = frozenset(
        {
            "AwsAccountId", "DashboardId", "Name", "Definition", "Parameters", "Permissions", "ThemeArn",
            "DashboardPublishOptions", "ValidationStrategy", "VersionDescription", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"AwsAccountId", "DashboardId"})


def _permissions(properties: Mapping[str, Any]) -> dict[str, set[str]]:
    return {each["Principal"]: set(each["Actions"]) for each in properties.get("Permissions", [])}


def _lost(held: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> list[dict[str, Any]]:
    """What `held` has and `other` lacks."""
    left = {principal: actions - other.get(principal, set()) for principal, actions in held.items()}
    return [{"Principal": principal, "Actions": sorted(actions)} for principal, actions in left.items() if actions]
