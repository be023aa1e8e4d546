"""The MQTT 5 PUBLISH packet, as far as a bridge needs it (MQTT 5.0, section 3.3).

paho decodes every property into a general object with reflection: with seven user properties more than half of the
bridge's whole time. This reads the user properties and skips the others.
"""

from __future__ import annotations

from typing import NamedTuple

_USER_PROPERTY = 0x26
_FIXED_BYTES = {0x01: 1, 0x02: 4, 0x23: 2}
"""Payload format indicator, message expiry interval, topic alias."""
_LENGTH_PREFIXED = frozenset({0x03, 0x08, 0x09})
"""Content type, response topic, correlation data."""
_SUBSCRIPTION_IDENTIFIER = 0x0B


class MalformedPublish(ValueError):  # noqa: N818 - MQTT's own name
    """The packet breaks the protocol; the connection must end."""


class Publish(NamedTuple):
    """A decoded PUBLISH. `packet_id` is 0 at QoS 0."""

    topic: str
    qos: int
    retain: bool
    packet_id: int
    properties: tuple[tuple[str, str], ...]
    payload: bytes


def parse_publish(first_byte: int, body: bytes) -> Publish:
    """Decode what follows the fixed header.

    Text that is not UTF-8 is kept with replacement characters: the gateway ought to have refused it, and ending the
    connection for it would only bring it again.

    Raises:
        MalformedPublish: lengths do not fit, or a property does not belong here.
    """
    qos = first_byte >> 1 & 3
    topic, at = _prefixed(body, 0)
    packet_id = 0
    if qos:
        packet_id = int.from_bytes(body[at : at + 2])
        at += 2
    length, at = _variable(body, at)
    end = at + length
    if qos > 2 or end > len(body):
        raise MalformedPublish("the packet is shorter than its properties, or has QoS 3")
    pairs = _user_properties(body, at, end)
    return Publish(topic.decode(errors="replace"), qos, bool(first_byte & 1), packet_id, pairs, body[end:])


def _user_properties(body: bytes, at: int, end: int) -> tuple[tuple[str, str], ...]:
    pairs = []
    while at < end:
        kind = body[at]
        at += 1
        if kind == _USER_PROPERTY:
            name, at = _prefixed(body, at)
            value, at = _prefixed(body, at)
            pairs.append((name.decode(errors="replace"), value.decode(errors="replace")))
        elif kind in _LENGTH_PREFIXED:
            at = _prefixed(body, at)[1]
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        elif kind == _SUBSCRIPTION_IDENTIFIER:
            at = _variable(body, at)[1]
        else:
            raise MalformedPublish(f"property {kind:#04x} does not belong into a PUBLISH")
    if at != end:
        raise MalformedPublish("a property reaches beyond the properties")
    return tuple(pairs)


def _prefixed(body: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their two-byte length, and where they end."""
    start = at + 2
    end = start + int.from_bytes(body[at:start])
    if end > len(body) or start > len(body):
        raise MalformedPublish("a length reaches beyond the packet")
    return body[start:end], end


def _variable(body: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer (section 1.5.5), and where it ends."""
    value = 0
    for shift in (0, 7, 14, 21):
        if at >= len(body):
            break
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise MalformedPublish("a variable byte integer does not end")
