"""A reading as an MQTT 5 PUBLISH, and the exact size of that packet (MQTT 5.0, sections 2.1.4, 2.2.2 and 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smartcity.contracts.envelope import METADATA_PROPERTY
from smartcity.contracts.topics import reading_topic, status_topic

from .reading import Reading


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
    properties = reading.envelope(sent_time).properties()
    if reading.metadata is not None:
        properties.append((METADATA_PROPERTY, reading.metadata))
    return Message(
        topic=reading_topic(reading.device_id, reading.stream),
        payload=reading.payload,
        content_type=reading.stream.content_type,
        properties=tuple(properties),
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
