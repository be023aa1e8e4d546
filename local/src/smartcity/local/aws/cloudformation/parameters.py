"""A stack's parameters: what a request gives, what the stack had, the template's defaults; checked as AWS checks them.

The words of AWS's answers are as remembered and as met in public reports of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .intrinsics import invalid, text

_LISTS = ("CommaDelimitedList", "List<Number>", "List<String>")
_TYPES = ("String", "Number", *_LISTS)
_PARAMETERS_MAX = 200
_VALUE_BYTES_MAX = 4096


def values_of(
    declared: Mapping[str, Any], given: Sequence[Mapping[str, Any]], previous: Mapping[str, str] | None
) -> dict[str, str]:
    """Every parameter's value as a string.

    Raises:
        AwsError: ValidationError: one is unknown, missing, or not allowed.
    """
    if len(declared) > _PARAMETERS_MAX:
        raise invalid(f"Template format error: Number of parameters, {len(declared)}, is greater than maximum allowed")
    unknown = [each["ParameterKey"] for each in given if each["ParameterKey"] not in declared]
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {name: text(each["Default"]) for name, each in declared.items() if "Default" in each}
    for each in given:
        name = each["ParameterKey"]
        if each.get("UsePreviousValue"):
            if previous is None or name not in previous:
                raise invalid(f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a "
                              "parameter key not in the previous template")  # fmt: skip
            values[name] = previous[name]
        elif "ParameterValue" in each:
            values[name] = each["ParameterValue"]
    missing = [name for name in declared if name not in values]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        _check(name, value, declared[name])
    return values


def typed(declared: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """What `Ref` gives: lists for list types, strings for all others."""
    return {
        name: [each.strip() for each in value.split(",")] if declared[name]["Type"] in _LISTS else value
        for name, value in values.items()
    }


def check_declarations(declared: Mapping[str, Any]) -> None:
    """Refuse types and secrets, which are not served here.

    Raises:
        AwsError: ValidationError naming parameter and type.
    """
    for name, each in declared.items():
        if not isinstance(each, dict) or "Type" not in each:
            raise invalid(f"Template format error: Every Parameters object must contain a Type member: {name}")
        if each["Type"] not in _TYPES:
            raise invalid(f"Parameter {name}: type {each['Type']} is not served by the local AWS endpoint")
        if each.get("NoEcho"):
            raise invalid(f"Parameter {name}: NoEcho is not served by the local AWS endpoint, which keeps no secrets")


def _check(name: str, value: str, declared: Mapping[str, Any]) -> None:
    if len(value.encode()) > _VALUE_BYTES_MAX:
        raise invalid(f"Parameter '{name}' must contain at most {_VALUE_BYTES_MAX} characters")
    kind = declared["Type"]
    parts = value.split(",") if kind == "List<Number>" else [value]
    if kind in ("Number", "List<Number>") and any(_number(each) is None for each in parts):
        raise invalid(f"Parameter '{name}' must be a number")
    wrong = _violation(value, declared)
    if wrong:
        described = declared.get("ConstraintDescription")
        raise invalid(
            f"Parameter {name} failed to satisfy constraint: {described}"
            if described
            else f"Parameter '{name}' {wrong}"
        )


def _violation(value: str, declared: Mapping[str, Any]) -> str | None:  # noqa: PLR0911 - a line for each constraint
    if "AllowedValues" in declared:
        allowed = [text(each) for each in declared["AllowedValues"]]
        many = value.split(",") if declared["Type"] in _LISTS else [value]
        if any(each.strip() not in allowed for each in many):
            return "must be one of AllowedValues"
    if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], value):
        return f"must match pattern {declared['AllowedPattern']}"
    if len(value) < int(declared.get("MinLength", 0)):
        return f"must contain at least {declared['MinLength']} characters"
    if "MaxLength" in declared and len(value) > int(declared["MaxLength"]):
        return f"must contain at most {declared['MaxLength']} characters"
    number = _number(value)
    if "MinValue" in declared and number is not None and number < float(declared["MinValue"]):
        return f"must be a number not less than {declared['MinValue']}"
    if "MaxValue" in declared and number is not None and number > float(declared["MaxValue"]):
        return f"must be a number not greater than {declared['MaxValue']}"
    return None


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
