"""How a contract's field says what it is: unit, range, meaning, and where on the wire it travels."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Literal

Carrier = Literal["envelope", "payload", "metadata", "gateway", "lake"]
"""Who supplies a field: the CloudEvents envelope or MQTT topic, the native payload, the JSON user property
`metadata`, the bridge at the gateway, or the lake, which derives it."""


class Kind(Enum):
    """A field's type, as every rendering has to express it."""

    STRING = "string"
    INTEGER = "integer"  # 64 bit, signed
    NUMBER = "number"  # IEEE 754 double
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # UTC, microseconds
    STRINGS = "strings"  # list of strings, never null inside
    BYTES = "bytes"


_KINDS: dict[Any, Kind] = {
    str: Kind.STRING,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    datetime: Kind.TIMESTAMP,
    tuple[str, ...]: Kind.STRINGS,
    bytes: Kind.BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a field's value must obey, beside its type. Bounds are inclusive, lengths in characters (lists: items)."""

    description: str
    unit: str = ""
    carrier: Carrier = "payload"
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    length_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One field of a contract, as renderers and checks read it."""

    name: str
    kind: Kind
    nullable: bool
    rules: Rules


def required(description: str, **rules: Any) -> Any:
    """A field that every reading carries. Keywords are those of `Rules`."""
    return dataclasses.field(metadata={"rules": Rules(description=description, **rules)})


def nullable(description: str, **rules: Any) -> Any:
    """A field that may be null. Keywords are those of `Rules`."""
    return dataclasses.field(default=None, metadata={"rules": Rules(description=description, **rules)})


def columns(contract: type) -> tuple[Column, ...]:
    """The fields of a contract dataclass in their order.

    Raises:
        TypeError: a field has no rules, or a type that no rendering could express.
    """
    hints = typing.get_type_hints(contract)
    return tuple(_column(contract, field, hints[field.name]) for field in dataclasses.fields(contract))


def _column(contract: type, field: dataclasses.Field[Any], hint: Any) -> Column:
    rules = field.metadata.get("rules")
    if rules is None:
        raise TypeError(f"{contract.__name__}.{field.name} has no rules: declare it with required() or nullable()")
    is_nullable = False
    if isinstance(hint, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        is_nullable = len(members) < len(typing.get_args(hint))
        hint = members[0] if len(members) == 1 else hint
    if hint not in _KINDS:
        raise TypeError(f"{contract.__name__}.{field.name} has the type {hint}, which no rendering expresses")
    return Column(name=field.name, kind=_KINDS[hint], nullable=is_nullable, rules=rules)
