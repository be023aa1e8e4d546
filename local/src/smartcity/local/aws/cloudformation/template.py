"""A template read: its sections checked, conditions decided, resources in the order in which they can be made."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from smartcity.aws.template.load import load_template

from ..errors import AwsError
from .intrinsics import NO_VALUE, Scope, Unknown, invalid, resolve, text
from .parameters import check_declarations, typed

BODY_BYTES_MAX = 51_200
URL_BYTES_MAX = 1_048_576
RESOURCES_MAX = 500
_SECTIONS = (
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Resources",
    "Outputs",
)  # fmt: skip
_ATTRIBUTES = (
    "Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata",
)  # fmt: skip
_POLICIES = ("Delete", "Retain", "RetainExceptOnCreate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource that the conditions let be. `needs` are the resources that its values or DependsOn name."""

    logical_id: str
    kind: str
    properties: Mapping[str, Any]
    needs: tuple[str, ...]
    deletion_policy: str
    replace_policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the pseudo parameters give."""

    account: str
    region: str
    stack_id: str
    stack_name: str


class Program:
    """A template with its parameters' values.

    Raises:
        AwsError: ValidationError: the template is wrong, or asks for what is not served here, by name.
    """

    def __init__(self, body: str, values: Mapping[str, str], place: Place) -> None:
        document = parse(body)
        self._mappings = document.get("Mappings", {})
        self._parameters = {**typed(document.get("Parameters", {}), values), **_pseudo(place)}
        self._conditions: dict[str, bool] = {}
        for name in _in_order_of_need(document.get("Conditions", {})):
            scope = self._scope(_nothing, _nothing_of)
            decided = resolve(document["Conditions"][name], scope)
            if not isinstance(decided, bool):
                raise invalid(f"Template format error: condition {name} is no condition")
            self._conditions[name] = decided
        self._declared = document["Resources"].keys()
        self._active = {
            name: each for name, each in document["Resources"].items() if self._holds(each.get("Condition"), name)
        }
        self.resources = self._ordered()
        self.outputs = {
            name: each for name, each in document.get("Outputs", {}).items() if self._holds(each.get("Condition"), name)
        }
        for name, each in self.outputs.items():
            self._needs(each, f"Outputs.{name}")

    def properties(
        self, resource: Resource, reference: Callable[[str], Any], attribute: Callable[[str, str], Any]
    ) -> dict[str, Any]:
        """A resource's properties with every function resolved."""
        resolved: dict[str, Any] = resolve(resource.properties, self._scope(reference, attribute))
        return resolved

    def output_values(
        self, reference: Callable[[str], Any], attribute: Callable[[str, str], Any]
    ) -> list[dict[str, Any]]:
        """`Outputs` of DescribeStacks."""
        scope, found = self._scope(reference, attribute), []
        for name, each in self.outputs.items():
            if "Export" in each:
                raise invalid(f"Output {name}: Export is not served by the local AWS endpoint")
            value = {"OutputKey": name, "OutputValue": text(resolve(each["Value"], scope))}
            found.append({**value, **({"Description": each["Description"]} if "Description" in each else {})})
        return found

    def _scope(self, reference: Callable[[str], Any], attribute: Callable[[str, str], Any]) -> Scope:
        return Scope(
            parameters=self._parameters,
            mappings=self._mappings,
            conditions=self._conditions,
            reference=reference,
            attribute=attribute,
        )

    def _holds(self, condition: str | None, of: str) -> bool:
        if condition is not None and condition not in self._conditions:
            raise invalid(f"Template format error: Unresolved condition dependency {condition} in {of}")
        return condition is None or self._conditions[condition]

    def _needs(self, value: Any, where: str) -> set[str]:
        """The resources that a value names, in the branches that the conditions take."""
        found: set[str] = set()

        def reference(name: str) -> Any:
            if name not in self._active:
                raise invalid(f"Template format error: Unresolved resource dependencies [{name}] in {where}")
            found.add(name)
            return Unknown(name)

        def attribute(name: str, of: str) -> Any:
            return Unknown(f"{reference(name)}.{of}")

        resolve(value, self._scope(reference, attribute))
        return found

    def _ordered(self) -> tuple[Resource, ...]:
        found = {name: self._resource(name, each) for name, each in self._active.items()}
        order = graphlib.TopologicalSorter({name: each.needs for name, each in found.items()})
        try:
            return tuple(found[name] for name in order.static_order())
        except graphlib.CycleError as error:
            names = sorted(set(error.args[1]))
            raise invalid(f"Circular dependency between resources: [{', '.join(names)}]") from None

    def _resource(self, name: str, declared: Mapping[str, Any]) -> Resource:
        where = f"the Resources block of the template ({name})"
        named = declared.get("DependsOn", [])
        explicit = [named] if isinstance(named, str) else list(named)
        for each in explicit:
            if each not in self._declared:
                raise invalid(f"Template format error: Unresolved resource dependencies [{each}] in {where}")
        properties = declared.get("Properties", {})
        return Resource(
            logical_id=name,
            kind=declared["Type"],
            properties=properties,
            needs=tuple(sorted(self._needs(properties, where) | (set(explicit) & self._active.keys()))),
            deletion_policy=declared.get("DeletionPolicy", "Delete"),
            replace_policy=declared.get("UpdateReplacePolicy", "Delete"),
        )


def parse(body: str) -> dict[str, Any]:
    """A template's sections, their form checked.

    Raises:
        AwsError: ValidationError: it is no YAML, lacks resources, or has what is not served here.
    """
    try:
        document = load_template(body)
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. {str(error).splitlines()[-1].strip()}") from None
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    unknown = [str(name) for name in document if name not in _SECTIONS]
    if unknown:
        raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
    if not document.get("Resources"):
        raise invalid("Template format error: At least one Resources member must be defined.")
    if len(document["Resources"]) > RESOURCES_MAX:
        raise invalid(f"Template format error: Number of resources, {len(document['Resources'])}, is greater than "
                      f"maximum allowed, {RESOURCES_MAX}")  # fmt: skip
    check_declarations(document.get("Parameters", {}))
    for name, each in document["Resources"].items():
        _check_resource(name, each)
    for name, each in document.get("Outputs", {}).items():
        if not isinstance(each, dict) or "Value" not in each:
            raise invalid(f"Template format error: Every Outputs member must contain a Value object: {name}")
    return document


def _check_resource(name: str, declared: Any) -> None:
    if not isinstance(declared, dict) or not isinstance(declared.get("Type"), str):
        raise invalid(f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member.")
    for key in declared:
        if key not in _ATTRIBUTES:
            raise invalid(
                f"Template format error: {key} of the resource {name} is not served by the local AWS endpoint"
            )
    for key in ("DeletionPolicy", "UpdateReplacePolicy"):
        if declared.get(key, "Delete") not in _POLICIES:
            raise invalid(f"Template error: {key} {declared[key]} of {name} is not served by the local AWS endpoint")


def _in_order_of_need(conditions: Mapping[str, Any]) -> list[str]:
    """Conditions after those that they name."""

    def named(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["Condition"]} if isinstance(value.get("Condition"), str) else set()
            return own.union(*(named(each) for each in value.values()))
        return set().union(*(named(each) for each in value)) if isinstance(value, list) else set()

    graph = {name: named(each) & conditions.keys() for name, each in conditions.items()}
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError:
        raise invalid("Template format error: conditions name each other in a circle") from None


def _pseudo(place: Place) -> dict[str, Any]:
    return {
        "AWS::AccountId": place.account,
        "AWS::NoValue": NO_VALUE,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": place.region,
        "AWS::StackId": place.stack_id,
        "AWS::StackName": place.stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _nothing(name: str) -> AwsError:
    raise invalid(f"Template format error: Unresolved dependencies [{name}]. Cannot reference resources in the "
                  "Conditions block of the template")  # fmt: skip


def _nothing_of(name: str, _: str) -> AwsError:
    return _nothing(name)
