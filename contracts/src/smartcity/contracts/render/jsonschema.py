"""Columns as JSON Schema (2020-12): a stream's Kafka value, a JSON payload, and the user property `metadata`.

Keywords of our own: `x-unit` (the field's unit) and `x-carrier` (who supplies it, see `fields.Carrier`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..fields import Carrier, Column, Kind, columns
from ..streams import Stream
from .wording import comment

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.STRING: {"type": "string"},
    Kind.INTEGER: {"type": "integer", "minimum": INTEGER_MIN, "maximum": INTEGER_MAX},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.TIMESTAMP: {"type": "string", "format": "date-time"},
    Kind.STRINGS: {"type": "array", "items": {"type": "string"}},
    Kind.BYTES: {"type": "string", "contentEncoding": "base64"},
}


def value_schema(stream: Stream) -> dict[str, Any]:
    """The JSON of a Kafka record. The bridge writes every field, null where the device said nothing; a reading from
    before a nullable field was added lacks it, so only what is never null is required."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:smartcity:{stream.event_type}",
        "title": stream.event_type,
        "description": _first_line(stream.contract),
        **object_schema(columns(stream.contract)),
    }


def carried_schema(stream: Stream, carrier: Carrier) -> dict[str, Any]:
    """What one carrier brings of a stream: a JSON payload, or `metadata`. What is null may be left out."""
    carried = (column for column in columns(stream.contract) if column.rules.carrier == carrier)
    return object_schema(carried)


def object_schema(fields: Iterable[Column]) -> dict[str, Any]:
    """An object of these fields. Members beyond them are allowed, since a contract may grow."""
    fields = tuple(fields)
    return {
        "type": "object",
        "properties": {column.name: property_schema(column) for column in fields},
        "required": [column.name for column in fields if not column.nullable],
    }


def property_schema(column: Column) -> dict[str, Any]:
    """One field with everything its rules say."""
    rules = column.rules
    schema: dict[str, Any] = {"description": comment(column), **_TYPES[column.kind]}
    if rules.minimum is not None:
        schema["minimum"] = rules.minimum
    if rules.maximum is not None:
        schema["maximum"] = rules.maximum
    if rules.pattern is not None:
        schema["pattern"] = f"^(?:{rules.pattern})$"
    if rules.length_max is not None:
        schema["maxItems" if column.kind is Kind.STRINGS else "maxLength"] = rules.length_max
    if rules.choices:
        schema["enum"] = list(rules.choices)
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
        if rules.choices:
            schema["enum"].append(None)
    if rules.unit:
        schema["x-unit"] = rules.unit
    schema["x-carrier"] = rules.carrier
    return schema


def _first_line(contract: type) -> str:
    return (contract.__doc__ or "").splitlines()[0]
