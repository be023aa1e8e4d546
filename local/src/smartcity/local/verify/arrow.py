"""Arrow schemas of what the auditor compares, rendered from the contract."""

from __future__ import annotations

import functools
from typing import Any

import pyarrow as pa

from smartcity.contracts.fields import Column, Kind, columns
from smartcity.contracts.streams import Stream
from smartcity.contracts.tables import dead_letter_columns, lake_columns

_TYPES: dict[Kind, Any] = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Kind.STRINGS: pa.list_(pa.string()),
    Kind.BYTES: pa.binary(),
}

ENTRIES = pa.schema(
    [
        ("kind", pa.string()),  # log, pending, refused or dropped
        ("device_id", pa.string()),
        ("boot", pa.string()),
        ("sequence", pa.int64()),
        ("id", pa.string()),
        ("stream", pa.string()),
        ("payload_sha256", pa.string()),  # null for a dropped reading
        ("reason", pa.string()),  # of a refusal or a drop
    ]
)
SPANS = pa.schema(
    [("device_id", pa.string()), ("boot", pa.string()), ("first_sequence", pa.int64()), ("last_sequence", pa.int64())]
)
HEADS = pa.schema([("device_id", pa.string()), ("boot", pa.string()), ("last_sequence", pa.int64())])
REJECTED = pa.schema(
    [("device_id", pa.string()), ("id", pa.string()), ("stream", pa.string()), ("detail", pa.string())]
)
IDS = pa.schema([("device_id", pa.string()), ("id", pa.string())])
FRAMES = pa.schema([("snapshot", pa.string()), ("sha256", pa.string()), ("bytes", pa.int64())])
DERIVED = ("route", "route_km", "payload_sha256")
"""Lineage columns whose value follows from the payload; the others are wall clocks."""


@functools.cache
def lake_schema(stream: Stream) -> Any:
    """Schema of a stream's table in the lake."""
    return arrow_schema(lake_columns(stream))


@functools.cache
def expected_schema(stream: Stream) -> Any:
    """Schema of the rows that the devices' logs predict: the contract and the derived lineage."""
    lineage = [column for column in lake_columns(stream) if column.name in DERIVED]
    return arrow_schema((*columns(stream.contract), *lineage))


@functools.cache
def dead_letter_schema() -> Any:
    """Schema of the dead letters as read: instead of the payload, the hash of the bytes that were found."""
    found = arrow_schema(tuple(column for column in dead_letter_columns() if column.name != "payload"))
    return found.append(pa.field("found_sha256", pa.string()))


def arrow_schema(wanted: tuple[Column, ...]) -> Any:
    """Arrow schema of contract columns."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in wanted])
