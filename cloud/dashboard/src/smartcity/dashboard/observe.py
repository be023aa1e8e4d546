"""From a message to what the page shows of it. Pure, lenient and light: the bridge is who judges readings."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smartcity.contracts.envelope import EnvelopeError, parse_id
from smartcity.contracts.status import Status, StatusError, decode_status
from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, STREAM_BY_LEAF, VEHICLE, WEATHER, Stream
from smartcity.contracts.topics import STATUS_LEAF, parse_device_topic

from .inbox import Message
from .nmea import read_rmc

TEXT_CHARACTERS_MAX = 200
"""Longer texts are cut: what a device says must not fill the page."""

_JPEG_START = b"\xff\xd8\xff"

_SHOWN: dict[str, tuple[str, ...]] = {
    GPS.name: ("vehicle_type",),
    VEHICLE.name: ("make", "model", "fuel_type"),
    CAMERA.name: ("camera_id", "location", "latitude", "longitude", "vehicle_count"),
    WEATHER.name: (
        "location",
        "latitude",
        "longitude",
        "temperature",
        "condition",
        "precipitation",
        "wind_speed",
        "humidity",
        "visibility",
        "air_quality_index",
    ),
    EMERGENCY.name: (
        "incident_id",
        "type",
        "status",
        "severity",
        "latitude",
        "longitude",
        "location",
        "description",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A reading, as far as the page is concerned. `shown` is None where the payload could not be read."""

    device_id: str
    stream: Stream
    boot: str | None
    """None for a foreign message, which has no sequence either."""
    sequence: int
    time: str | None
    """Event time, RFC 3339, as the device wrote it."""
    sent_ms: int | None
    """When the device published it, in milliseconds since 1970 by its clock; None where it does not say."""
    shown: dict[str, Any] | None
    frame: bytes | None = field(default=None, repr=False)
    payload: bytes | None = field(default=None, repr=False)
    """The native payload of GPS and vehicle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A device's status."""

    device_id: str
    status: Status
    retained: bool = False
    """Whether the gateway had kept it from before we came."""


def observe(message: Message) -> Sighting | Presence | None:
    """What a message tells, or None where its topic belongs to no stream, or its status cannot be read."""
    parsed = parse_device_topic(message.topic)
    if parsed is None:
        return None
    device_id, leaf = parsed
    if leaf == STATUS_LEAF:
        try:
            return Presence(device_id=device_id, status=decode_status(message.payload), retained=message.retained)
        except StatusError:
            return None
    # A retained reading is the gateway's memory of the past, and the bridge ignores it as well.
    stream = STREAM_BY_LEAF.get(leaf)
    if stream is None or message.retained:
        return None
    properties = dict(message.properties)
    try:
        boot, sequence = parse_id(properties.get("id", ""))
    except EnvelopeError:
        boot, sequence = None, 0
    return Sighting(
        device_id=device_id,
        stream=stream,
        boot=boot,
        sequence=sequence,
        time=properties.get("time", "")[:40] or None,
        sent_ms=_milliseconds(properties.get("senttime", "")),
        shown=_shown(stream, message.payload, properties.get("metadata", "{}")),
        frame=message.payload if stream is CAMERA else None,
        payload=message.payload if stream in (GPS, VEHICLE) else None,
    )


def _milliseconds(text: str) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time with a zone, or None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return round(moment.timestamp() * 1000) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _shown(stream: Stream, payload: bytes, metadata: str) -> dict[str, Any] | None:
    if stream is GPS:
        position = read_rmc(payload)
        return None if position is None else position | _members(stream, metadata)
    if stream is VEHICLE:
        return _members(stream, metadata)
    if stream is CAMERA:
        return _members(stream, metadata) if payload.startswith(_JPEG_START) else None
    return _members(stream, payload) or None


def _members(stream: Stream, document: str | bytes) -> dict[str, Any]:
    """The members of a JSON object that the page shows, texts cut, values of other kinds left out."""
    try:
        read = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(read, dict):
        return {}
    found = {name: _value(read.get(name)) for name in _SHOWN[stream.name]}
    return {name: value for name, value in found.items() if value is not None}


def _value(value: object) -> str | float | None:
    if isinstance(value, str):
        return value[:TEXT_CHARACTERS_MAX]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if abs(value) < 1e12 else None
    return None
