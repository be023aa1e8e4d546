"""The values that a stack gets: what is given, else what it has, else the template's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ParameterError
from .settings import Settings
from .template.text import template_parameters

_NAMES = {"BucketName": "bucket", "DatabaseName": "database", "WorkgroupName": "workgroup"}


def given_values(pairs: list[str], settings: Settings) -> dict[str, str]:
    """Values of `NAME=VALUE` pairs, and the names that the settings give otherwise than by default.

    Raises:
        ParameterError: the template has no such parameter, or one has no `=`.
    """
    known, default = template_parameters(), Settings()
    given = {
        parameter: getattr(settings, field)
        for parameter, field in _NAMES.items()
        if getattr(settings, field) != getattr(default, field)
    }
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f"--parameter {pair}: give it as NAME=VALUE")
        if name not in known:
            raise ParameterError(f"the template has no parameter {name!r}; there are: {', '.join(known)}")
        given[name] = value
    return given


def to_send(given: Mapping[str, str], previous: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """`Parameters` of a change set. `previous` are the stack's, None where there is no stack: what an update does not
    name keeps its value, so that nothing is turned off or renamed by leaving it out.
    """
    values = _first_values(given) if previous is None else dict(given)
    kept = (
        [] if previous is None else [name for name in template_parameters() if name in previous.keys() - given.keys()]
    )
    return [
        *({"ParameterKey": name, "ParameterValue": value} for name, value in values.items()),
        *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
    ]


def effective(given: Mapping[str, str], previous: Mapping[str, str] | None) -> dict[str, str]:
    """Every parameter with the value that it will have."""
    defaults = {name: value for name, value in template_parameters().items() if value is not None}
    return defaults | dict(previous or {}) | (_first_values(given) if previous is None else dict(given))


def _first_values(given: Mapping[str, str]) -> dict[str, str]:
    default = Settings()
    return {parameter: getattr(default, field) for parameter, field in _NAMES.items()} | dict(given)
