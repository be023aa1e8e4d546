"""What a change set would do: the template with its values, compared with what the stack has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import AwsError
from .intrinsics import Unknown, invalid
from .kinds import Difference, Kind, PropertyError, Wanted, check, difference
from .resource import REMOVED
from .template import Program, Resource


class Plan:
    """Changes in the order in which they would be made. Nothing is changed by making it.

    Raises:
        AwsError: a property or an attribute that is not served.
    """

    def __init__(
        self,
        program: Program,
        *,
        kinds: Mapping[str, Kind],
        resources: Mapping[str, dict[str, Any]],
        outputs: list[dict[str, Any]],
        imports: bool,
    ) -> None:
        self._kinds = kinds
        self._here = {name: each for name, each in resources.items() if each["ResourceStatus"] not in REMOVED}
        self._new: set[str] = set()
        self._imports = imports
        self.changes: list[dict[str, Any]] = []
        for resource in program.resources:
            self._add(resource, program.properties(resource, self._reference, self._attribute))
        wanted = {each.logical_id for each in program.resources}
        for name, record in self._here.items():
            if name not in wanted:
                kept = "Delete" if record["_deletion"] == "Delete" else "Retain"
                self.changes.append(_change("Remove", name, record, PolicyAction=kept))
        self.changes_outputs = program.output_values(self._reference, self._attribute) != outputs

    @property
    def imported(self) -> list[str]:
        """Logical ids of what is taken over."""
        return [each["LogicalResourceId"] for each in self.changes if each["Action"] == "Import"]

    def _reference(self, name: str) -> Any:
        record = self._here.get(name)
        if record is None or name in self._new:
            return Unknown(f"{{{{changeSet:KNOWN_AFTER_APPLY}}}} {name}")
        return record["_attributes"].get("Ref", record["PhysicalResourceId"])

    def _attribute(self, name: str, of: str) -> Any:
        record = self._here.get(name)
        if record is None or name in self._new or of not in record["_attributes"]:
            return Unknown(f"{{{{changeSet:KNOWN_AFTER_APPLY}}}} {name}.{of}")
        return record["_attributes"][of]

    def _add(self, resource: Resource, properties: dict[str, Any]) -> None:
        name, record = resource.logical_id, self._here.get(resource.logical_id)
        kind = self._kinds[resource.kind]
        try:
            check(kind, properties)
        except PropertyError as error:
            raise invalid(f"{name} ({resource.kind}): {error}") from None
        named = {"ResourceType": resource.kind}
        if record is None:
            self._new.add(name)
            identity = self._importable(kind, resource, properties)
            action = "Import" if identity else "Add"
            self.changes.append(_change(action, name, {**named, "PhysicalResourceId": identity}))
            return
        if record["ResourceType"] != resource.kind:
            raise invalid(f"Update of resource type is not permitted. The new template modifies resource type of the "
                          f"following resources: [{name}]")  # fmt: skip
        changed = difference(kind, record["_properties"], properties)
        policies = {"DeletionPolicy": (resource.deletion_policy, record["_deletion"])}
        policies["UpdateReplacePolicy"] = (resource.replace_policy, record["_replace"])
        scope = [key for key, (new, old) in policies.items() if new != old]
        if changed.recreating:
            self._new.add(name)
        if changed.names or scope:
            details = [_detail(each, changed) for each in changed.names]
            whole = [*(["Properties"] if changed.names else []), *scope]
            more = {"Replacement": changed.replacement, "Scope": whole, "Details": details}
            self.changes.append(_change("Modify", name, record, **more))

    def _importable(self, kind: Kind, resource: Resource, properties: Mapping[str, Any]) -> str:
        """The id of what is there and would be taken over; only what would outlive the stack is."""
        if not self._imports or not kind.importable or resource.deletion_policy == "Delete":
            return ""
        try:
            identity = kind.identity(Wanted(properties=properties, name="", token=""))
        except KeyError:
            return ""
        return identity if identity and not isinstance(identity, Unknown) and kind.exists(identity) else ""


def _change(action: str, name: str, of: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    physical = {"PhysicalResourceId": of["PhysicalResourceId"]} if of.get("PhysicalResourceId") else {}
    base = {"Action": action, "LogicalResourceId": name, "ResourceType": of["ResourceType"]}
    return {**base, **physical, "Scope": [], "Details": [], **more}


def _detail(name: str, changed: Difference) -> dict[str, Any]:
    recreation = "Never" if name not in changed.recreating else "Always"
    if recreation == "Always" and changed.replacement == "Conditional":
        recreation = "Conditionally"
    return {
        "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation},
        "Evaluation": "Static" if changed.replacement != "Conditional" else "Dynamic",
        "ChangeSource": "DirectModification",
    }


def known_kinds(program: Program, kinds: Mapping[str, Kind]) -> AwsError | None:
    """The refusal of types that are not served, or None."""
    unknown = sorted({each.kind for each in program.resources} - kinds.keys())
    if not unknown:
        return None
    return invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}] "
                   "(not served by the local AWS endpoint)")  # fmt: skip


def needed_capabilities(program: Program) -> set[str]:
    """What must be acknowledged: IAM resources, those with names of their own in particular."""
    iam = [each for each in program.resources if each.kind.startswith("AWS::IAM::")]
    named = [each for each in iam if "RoleName" in each.properties]
    return {"CAPABILITY_NAMED_IAM"} if named else {"CAPABILITY_IAM"} if iam else set()
