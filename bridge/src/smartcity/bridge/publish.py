"""The MQTT PUBLISH packet, as far as a bridge needs it (MQTT 5.0 and 3.1.1, section 3.3), read from a larger buffer.

paho decodes every property into a general object with reflection: with seven user properties more than half of the
bridge's whole time. Here the properties stay bytes; whoever needs them reads the user properties and skips the others.
"""

from __future__ import annotations

import msgspec

from smartcity.contracts.mqtt import SUBSCRIPTION_ID, USER_PROPERTY, MalformedPacketError, read_varint

_FIXED_BYTES = {0x01: 1, 0x02: 4, 0x23: 2}
"""Payload format indicator, message expiry interval, topic alias."""
_LENGTH_PREFIXED = frozenset({0x03, 0x08, 0x09})
"""Content type, response topic, correlation data."""


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH. `packet_id` is 0 at QoS 0; `properties` are as on the wire, without their length, and not yet read."""

    topic: bytes
    qos: int
    retain: bool
    packet_id: int
    properties: bytes
    payload: bytes


def parse_publish(first_byte: int, buffer: bytes, start: int, end: int, *, with_properties: bool) -> Publish:
    """Take apart what follows the fixed header, `buffer[start:end]`.

    Args:
        with_properties: True for MQTT 5, False for 3.1.1.

    Raises:
        MalformedPacketError: lengths do not fit.
    """
    qos = first_byte >> 1 & 3
    at = start + 2
    if at > end:
        raise MalformedPacketError("the packet has no topic")
    topic_at, at = at, at + (buffer[start] << 8 | buffer[start + 1])
    topic = buffer[topic_at:at]
    packet_id = 0
    if qos:
        at += 2
        if at > end:
            raise MalformedPacketError("the packet has no packet id")
        packet_id = buffer[at - 2] << 8 | buffer[at - 1]
    if not with_properties:
        properties, length = b"", 0
    elif at < end and buffer[at] < 0x80:  # Fewer than 128 bytes of properties, or none.
        length, at = buffer[at], at + 1
    elif at + 1 < end and buffer[at + 1] < 0x80:
        length, at = buffer[at] & 0x7F | buffer[at + 1] << 7, at + 2
    else:
        length, at = read_varint(buffer, at, end)
    if length or with_properties:
        properties = buffer[at : at + length]
    if qos > 2 or at + length > end:
        raise MalformedPacketError("the packet is shorter than its parts, or has QoS 3")
    return Publish(topic, qos, bool(first_byte & 1), packet_id, properties, buffer[at + length : end])


def user_properties(properties: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values in their order.

    Text that is not UTF-8 is kept with replacement characters: the gateway ought to have refused it, and ending the
    connection for it would only bring it again.

    Raises:
        MalformedPacketError: lengths do not fit, or a property does not belong into a PUBLISH.
    """
    pairs = []
    at, end = 0, len(properties)
    while at < end:
        kind = properties[at]
        at += 1
        if kind == USER_PROPERTY:
            name, at = _prefixed(properties, at)
            value, at = _prefixed(properties, at)
            pairs.append((name.decode(errors="replace"), value.decode(errors="replace")))
        elif kind in _LENGTH_PREFIXED:
            at = _prefixed(properties, at)[1]
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        elif kind == SUBSCRIPTION_ID:
            at = read_varint(properties, at, end)[1]
        else:
            raise MalformedPacketError(f"property {kind:#04x} does not belong into a PUBLISH")
    if at != end:
        raise MalformedPacketError("a property reaches beyond the properties")
    return tuple(pairs)


def _prefixed(body: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their two-byte length, and where they end."""
    start = at + 2
    end = start + int.from_bytes(body[at:start])
    if end > len(body) or start > len(body):
        raise MalformedPacketError("a length reaches beyond the packet")
    return body[start:end], end
