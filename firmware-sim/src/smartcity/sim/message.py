"""A reading as an MQTT 5 PUBLISH, and the exact size of that packet (MQTT 5.0, sections 2.1.4, 2.2.2 and 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from smartcity.contracts.envelope import METADATA_PROPERTY, SPEC_VERSION, format_time
from smartcity.contracts.topics import reading_topic, status_topic

from .reading import Reading

_VERSION = ("specversion", SPEC_VERSION)
_format_time = lru_cache(maxsize=64)(format_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A publish at QoS 1. `properties` are MQTT 5 user properties."""

    topic: str
    payload: bytes
    content_type: str
    properties: tuple[tuple[str, str], ...] = ()
    retain: bool = False


def reading_message(reading: Reading, sent_time: datetime) -> Message:
    """The reading in its envelope (CloudEvents MQTT binding, binary content mode), stamped with the time of sending."""
    # What `Envelope.properties` gives, and a test holds it to that; but a fleet writes one time for many readings.
    stream, device_id = reading.stream, reading.device_id
    properties: tuple[tuple[str, str], ...] = (
        _VERSION,
        ("id", f"{reading.boot}.{reading.sequence}"),
        ("source", f"/devices/{device_id}"),
        ("type", stream.event_type),
        ("time", _format_time(reading.time)),
        ("senttime", _format_time(sent_time)),
    )
    if reading.metadata is not None:
        properties = (*properties, (METADATA_PROPERTY, reading.metadata))
    return Message(
        topic=reading_topic(device_id, stream),
        payload=reading.payload,
        content_type=stream.content_type,
        properties=properties,
    )


def status_message(device_id: str, payload: bytes) -> Message:
    """A device's retained status."""
    return Message(topic=status_topic(device_id), payload=payload, content_type="application/json", retain=True)


def packet_bytes(message: Message) -> int:
    """Size of the whole PUBLISH packet: what CONNACK's Maximum Packet Size limits."""
    properties = 3 + len(message.content_type.encode())
    for name, value in message.properties:
        properties += 5 + len(name.encode()) + len(value.encode())
    remaining = 2 + len(message.topic.encode()) + 2 + _varint_bytes(properties) + properties + len(message.payload)
    return 1 + _varint_bytes(remaining) + remaining


def _varint_bytes(value: int) -> int:
    """Bytes of MQTT's variable byte integer: seven bits each."""
    return max(1, (value.bit_length() + 6) // 7)
