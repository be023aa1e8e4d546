"""What CloudFormation's describing calls show of a document."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

_STACK = (
    "StackId", "StackName", "ChangeSetId", "Description", "CreationTime", "LastUpdatedTime", "DeletionTime",
    "StackStatus", "StackStatusReason", "Outputs", "Capabilities", "Tags",
)  # fmt: skip
_RESOURCE = (
    "LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus", "ResourceStatusReason",
)  # fmt: skip
_CHANGE_SET = (
    "ChangeSetName", "ChangeSetId", "StackId", "StackName", "Description", "CreationTime", "ExecutionStatus", "Status",
    "StatusReason", "Capabilities", "Tags", "OnStackFailure", "ImportExistingResources", "IncludeNestedStacks",
)  # fmt: skip
_TIMES = ("CreationTime", "LastUpdatedTime", "DeletionTime", "Timestamp", "LastUpdatedTimestamp")


def stack(document: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of DescribeStacks."""
    return {
        **_chosen(document, _STACK),
        "Parameters": parameters(document["_parameters"]),
        "DisableRollback": document.get("_on_failure") == "DO_NOTHING",
        "NotificationARNs": [],
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        "EnableTerminationProtection": False,
    }


def stack_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ListStacks."""
    described = document.get("Description")
    return {
        **_chosen(document, tuple(key for key in _STACK if key not in ("Outputs", "Capabilities", "Tags"))),
        **({"TemplateDescription": described} if described else {}),
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def resource(of: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of DescribeStackResources."""
    place = {"StackId": of["StackId"], "StackName": of["StackName"]}
    return {**place, **_chosen(document, (*_RESOURCE, "Timestamp"))}


def resource_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ListStackResources."""
    return {**_chosen(document, _RESOURCE), "LastUpdatedTimestamp": _time(document["Timestamp"])}


def event(document: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of DescribeStackEvents."""
    return {key: _time(value) if key in _TIMES else value for key, value in document.items()}


def change_set(document: Mapping[str, Any]) -> dict[str, Any]:
    """DescribeChangeSet's answer without the changes."""
    return {**_chosen(document, _CHANGE_SET), "Parameters": parameters(document["_parameters"]), "NotificationARNs": []}


def change_set_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ListChangeSets."""
    return _chosen(document, tuple(key for key in _CHANGE_SET if key not in ("Capabilities", "Tags", "OnStackFailure")))


def parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Values as they are listed."""
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def _chosen(document: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    kept = {key: document[key] for key in keys if document.get(key) not in (None, "")}
    return {key: _time(value) if key in _TIMES else value for key, value in kept.items()}


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
