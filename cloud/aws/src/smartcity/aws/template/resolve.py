"""What CloudFormation makes of a template with given parameters: conditions decided, intrinsic functions replaced. For
checks, as `load.py`. What only AWS knows of a resource (its ARN, its id) is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAMES = re.compile(r"\$\{(!?)([^}]+)\}")
_NOTHING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`known` has what stands in for resources: by `Id` for Ref, by `Id.Attribute` for GetAtt."""

    account: str
    region: str
    parameters: Mapping[str, str]
    known: Mapping[str, str]
    partition: str = "aws"


def resolve(template: Mapping[str, Any], account: Account) -> dict[str, dict[str, Any]]:
    """The resources that there would be, by logical id.

    Raises:
        KeyError: a parameter without default and value, or a resource that is not `known`.
        ValueError: a function that is not known here.
    """
    resolver = _Resolver(template, account)
    return {
        name: {"Type": resource["Type"], "Properties": resolver.value(resource.get("Properties", {}))}
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }


class _Resolver:
    def __init__(self, template: Mapping[str, Any], account: Account) -> None:
        self._template = template
        self._account = account
        self._pseudo: dict[str, Any] = {
            "AWS::AccountId": account.account,
            "AWS::Region": account.region,
            "AWS::Partition": account.partition,
            "AWS::NoValue": _NOTHING,
        }

    def holds(self, condition: str) -> bool:
        return bool(self.value(self._template["Conditions"][condition]))

    def value(self, given: Any) -> Any:
        if isinstance(given, list):
            return [each for each in map(self.value, given) if each is not _NOTHING]
        if not isinstance(given, dict):
            return given
        if len(given) == 1:
            [(name, argument)] = given.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::"):
                return self._call(name.removeprefix("Fn::"), argument)
        found = {key: self.value(each) for key, each in given.items()}
        return {key: each for key, each in found.items() if each is not _NOTHING}

    def _call(self, name: str, argument: Any) -> Any:
        match name:
            case "If":
                condition, then, otherwise = argument
                return self.value(then if self.holds(condition) else otherwise)
            case "Sub":
                text, own = (argument, {}) if isinstance(argument, str) else argument
                return _NAMES.sub(lambda found: self._named(found, self.value(own)), text)
            case "GetAtt":
                return self._account.known[".".join(argument)]
            case "Not":
                return not self.value(argument)[0]
            case "Equals" | "Join" | "Split":
                first, second = self.value(argument)
                if name == "Equals":
                    return first == second
                return first.join(second) if name == "Join" else second.split(first)
            case _:
                raise ValueError(f"Fn::{name} is not known here")

    def _named(self, found: re.Match[str], own: Mapping[str, Any]) -> str:
        literal, name = found.groups()
        if literal:
            return f"${{{name}}}"
        if name in own:
            return str(own[name])
        return str(self._account.known[name] if "." in name else self._ref(name))

    def _ref(self, name: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        parameter = self._template["Parameters"].get(name)
        if parameter is None:
            return self._account.known[name]
        value = self._account.parameters[name] if name in self._account.parameters else parameter["Default"]
        return value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
