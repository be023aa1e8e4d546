"""The template's language: intrinsic functions resolved over a scope, and conditions.

moto's resolver leaves what it does not know (a function, a resource's attribute) in the value as it stands, and needs
moto's own resource models. Here both fail by name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import AwsError

_SUBSTITUTED = re.compile(r"\$\{([^}]*)\}")
_DEPTH_MAX = 50
NO_VALUE: Any = object()
"""`AWS::NoValue`: what has it is left out."""


class Unknown(str):
    """A value that is known only when a resource is made. It stands for itself in a comparison with what is there."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What names mean. `reference` gives a resource's Ref, `attribute` one of its attributes; both raise AwsError."""

    parameters: Mapping[str, Any]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, bool]
    reference: Callable[[str], Any]
    attribute: Callable[[str, str], Any]


def invalid(message: str) -> AwsError:
    """CloudFormation's answer to a template or a request that is wrong."""
    return AwsError("ValidationError", message)


def resolve(value: Any, scope: Scope, depth: int = 0) -> Any:
    """A value of the template with its functions replaced by what they give; NO_VALUE for what is to be left out.

    Raises:
        AwsError: ValidationError naming the function, the name or the form that is wrong.
    """
    if depth > _DEPTH_MAX:
        raise invalid(f"Template format error: values are nested deeper than {_DEPTH_MAX}")
    if isinstance(value, dict):
        if len(value) == 1:
            ((name, argument),) = value.items()
            is_condition = name == "Condition" and isinstance(argument, str)  # Else it is a policy statement's.
            if is_condition or name == "Ref" or str(name).startswith("Fn::"):
                return _function(name, argument, scope, depth + 1)
        found = {key: resolve(each, scope, depth + 1) for key, each in value.items()}
        for key in found:
            if str(key).startswith("Fn::"):
                raise invalid(f"Template error: {key} must be the only key of its object")
        return {key: each for key, each in found.items() if each is not NO_VALUE}
    if isinstance(value, list):
        items = [resolve(each, scope, depth + 1) for each in value]
        return [each for each in items if each is not NO_VALUE]
    return value


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a string."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    raise invalid(f"Template error: {json.dumps(value, default=str)[:80]} is no string")


def _function(name: str, argument: Any, scope: Scope, depth: int) -> Any:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise invalid(f"Template error: {name} is not served by the local AWS endpoint")
    return function(argument, scope, depth)


def _ref(argument: Any, scope: Scope, depth: int) -> Any:
    if not isinstance(argument, str):
        raise invalid("Template format error: every Ref object must have a single String value")
    if argument in scope.parameters:
        return scope.parameters[argument]
    return scope.reference(argument)


def _get_att(argument: Any, scope: Scope, depth: int) -> Any:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2 or not isinstance(parts[0], str):
        raise invalid("Template error: every Fn::GetAtt object requires two non-empty parameters, "
                      "the resource name and the resource attribute")  # fmt: skip
    return scope.attribute(parts[0], text(resolve(parts[1], scope, depth)))


def _sub(argument: Any, scope: Scope, depth: int) -> Any:
    template, names = argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
    if not isinstance(template, str) or not isinstance(names, dict):
        raise invalid("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments")
    own = {key: resolve(each, scope, depth) for key, each in names.items()}
    unknown = False

    def put(match: re.Match[str]) -> str:
        nonlocal unknown
        name = match[1].strip()
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        if name in own:
            value = own[name]
        elif "." in name and name not in scope.parameters:
            value = scope.attribute(*name.split(".", 1))
        else:
            value = _ref(name, scope, depth)
        unknown = unknown or isinstance(value, Unknown)
        return text(value)

    result = _SUBSTITUTED.sub(put, template)
    return Unknown(result) if unknown else result


def _join(argument: Any, scope: Scope, depth: int) -> Any:
    separator, values = _arguments("Fn::Join", argument, 2)
    items = resolve(values, scope, depth)
    if not isinstance(separator, str) or not isinstance(items, list):
        raise invalid("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and "
                      "(2) a list of strings to be joined or a function that returns a list of strings")  # fmt: skip
    result = separator.join(text(each) for each in items)
    return Unknown(result) if any(isinstance(each, Unknown) for each in items) else result


def _split(argument: Any, scope: Scope, depth: int) -> Any:
    separator, source = _arguments("Fn::Split", argument, 2)
    value = resolve(source, scope, depth)
    if not isinstance(separator, str) or not separator or not isinstance(value, str):
        raise invalid("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and "
                      "(2) a string to be split or a function that returns a string to be split")  # fmt: skip
    return [Unknown(value)] if isinstance(value, Unknown) else value.split(separator)


def _select(argument: Any, scope: Scope, depth: int) -> Any:
    index, source = _arguments("Fn::Select", argument, 2)
    items, number = resolve(source, scope, depth), text(resolve(index, scope, depth))
    if not isinstance(items, list) or not number.isdecimal():
        raise invalid("Template error: every Fn::Select object requires an index and a list")
    if any(isinstance(each, Unknown) for each in items) and int(number) >= len(items):
        return Unknown(f"{items[0]}[{number}]")
    if int(number) >= len(items):
        raise invalid(f"Template error: Fn::Select cannot select nonexistent value at index {number}")
    return items[int(number)]


def _if(argument: Any, scope: Scope, depth: int) -> Any:
    name, then, otherwise = _arguments("Fn::If", argument, 3)
    return resolve(then if _condition(name, scope, depth) else otherwise, scope, depth)


def _condition(argument: Any, scope: Scope, depth: int) -> bool:
    if argument not in scope.conditions:
        raise invalid(f"Template format error: Unresolved condition dependency {argument}")
    return scope.conditions[argument]


def _equals(argument: Any, scope: Scope, depth: int) -> bool:
    left, right = (resolve(each, scope, depth) for each in _arguments("Fn::Equals", argument, 2))
    return text(left) == text(right)


def _not(argument: Any, scope: Scope, depth: int) -> bool:
    return not _truth(_arguments("Fn::Not", argument, 1)[0], scope, depth)


def _and(argument: Any, scope: Scope, depth: int) -> bool:
    return all(_truth(each, scope, depth) for each in _several("Fn::And", argument))


def _or(argument: Any, scope: Scope, depth: int) -> bool:
    return any(_truth(each, scope, depth) for each in _several("Fn::Or", argument))


def _truth(argument: Any, scope: Scope, depth: int) -> bool:
    value = resolve(argument, scope, depth)
    if not isinstance(value, bool):
        raise invalid(f"Template format error: {json.dumps(argument, default=str)[:80]} is no condition")
    return value


def _find_in_map(argument: Any, scope: Scope, depth: int) -> Any:
    names = [text(resolve(each, scope, depth)) for each in _arguments("Fn::FindInMap", argument, 3)]
    found: Any = scope.mappings
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise invalid(f"Template error: Unable to get mapping for {'::'.join(names)}")
        found = found[name]
    return found


def _base64(argument: Any, scope: Scope, depth: int) -> Any:
    value = resolve(argument, scope, depth)
    return value if isinstance(value, Unknown) else base64.b64encode(text(value).encode()).decode()


def _arguments(name: str, argument: Any, count: int) -> list[Any]:
    if not isinstance(argument, list) or len(argument) != count:
        raise invalid(f"Template error: {name} requires a list of {count} arguments")
    return argument


def _several(name: str, argument: Any) -> list[Any]:
    if not isinstance(argument, list) or not 2 <= len(argument) <= 10:
        raise invalid(f"Template error: every {name} object requires a list of at least 2 and at most 10 conditions")
    return argument


_FUNCTIONS: Mapping[str, Callable[[Any, Scope, int], Any]] = {
    "Ref": _ref,
    "Condition": _condition,
    "Fn::And": _and,
    "Fn::Base64": _base64,
    "Fn::Equals": _equals,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Not": _not,
    "Fn::Or": _or,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
}
