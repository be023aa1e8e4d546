"""MQTT packets as bytes, for recorder, replayer and the reader of network captures.

Pure. Section numbers are those of the OASIS standard MQTT 5.0. Properties stay bytes as long as nobody needs them:
decoding them costs more than everything else that is done with a message.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .message import Message

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x80, 0x90, 0xC0, 0xD0, 0xE0
"""Packet types, in the upper half of a packet's first byte (2.1.2)."""

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
USER_PROPERTY, TOPIC_ALIAS, SUBSCRIPTION_ID = 0x26, 0x23, 0x0B

_RECEIVE_MAX, _PACKET_BYTES_MAX, _SERVER_KEEP_ALIVE = 0x21, 0x27, 0x13
_U16 = struct.Struct("!H")
_SUBSCRIBE_RETAIN_AS_PUBLISHED = 0x08  # 3.8.3.1

# Properties by how their value is written (2.2.2.2).
_WIDTHS = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((_SERVER_KEEP_ALIVE, _RECEIVE_MAX, 0x22, TOPIC_ALIAS), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, _PACKET_BYTES_MAX), 4),
}
_PREFIXED = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})
PUBLISH_PROPERTIES = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, SUBSCRIPTION_ID, TOPIC_ALIAS, USER_PROPERTY})


class MalformedPacketError(ValueError):
    """The bytes are not what MQTT allows here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """What a client needs of a CONNACK (3.2)."""

    reason_code: int
    receive_max: int = 65_535
    packet_bytes_max: int | None = None
    keepalive_s: int | None = None


def connect_packet(*, client_id: str, keepalive_s: int, receive_max: int, packet_bytes_max: int) -> bytes:
    """CONNECT (3.1) with clean start and no session expiry: the session ends with the connection."""
    properties = b"".join(
        (
            bytes((_RECEIVE_MAX,)),
            _U16.pack(receive_max),
            bytes((_PACKET_BYTES_MAX,)),
            packet_bytes_max.to_bytes(4, "big"),
        )
    )
    head = b"\x00\x04MQTT\x05\x02" + _U16.pack(keepalive_s) + varint(len(properties)) + properties
    return packet(CONNECT, head + string(client_id))


def subscribe_packet(packet_id: int, filters: Sequence[str], qos: int) -> bytes:
    """SUBSCRIBE (3.8); the retain flag comes as it was published."""
    options = bytes((qos | _SUBSCRIBE_RETAIN_AS_PUBLISHED,))
    return packet(SUBSCRIBE | 2, _U16.pack(packet_id) + b"\x00" + b"".join(string(name) + options for name in filters))


def publish_packet(message: Message, packet_id: int) -> bytes:
    """PUBLISH (3.3) in MQTT 5. The packet id is left out at QoS 0."""
    topic, properties = message.topic.encode(), message.properties
    qos, payload = message.qos, message.payload
    block = varint(len(properties))
    length = 2 + len(topic) + (2 if qos else 0) + len(block) + len(properties) + len(payload)
    return b"".join(
        (
            bytes((PUBLISH | qos << 1 | message.retain,)),
            varint(length),
            _U16.pack(len(topic)),
            topic,
            _U16.pack(packet_id) if qos else b"",
            block,
            properties,
            payload,
        )
    )


def acknowledgement(kind: int, packet_id: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP with Success, in the short form (3.4 to 3.7)."""
    return bytes((kind | 2 if kind == PUBREL else kind, 2, packet_id >> 8, packet_id & 0xFF))


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + varint(len(body)) + body


def find_packet(buffer: bytes | bytearray, at: int, size: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None where its end is not in the buffer yet.

    Raises:
        MalformedPacketError: a length of more than four bytes (2.1.4).
    """
    value = 0
    for i in range(1, 5):
        if at + i >= size:
            return None
        byte = buffer[at + i]
        value |= (byte & 0x7F) << 7 * (i - 1)
        if byte < 0x80:
            start = at + i + 1
            return (start, start + value) if start + value <= size else None
    raise MalformedPacketError("a length of more than four bytes")


def parse_publish(
    first: int, buffer: bytes, start: int, end: int, *, time_ns: int, with_properties: bool = True
) -> tuple[Message, int]:
    """The message in `buffer[start:end]`, which follows the fixed header, and its packet id (0 at QoS 0).

    Args:
        with_properties: True for MQTT 5, False for 3.1.1.

    Raises:
        MalformedPacketError: lengths do not fit, the topic is not UTF-8, or QoS is 3.
    """
    qos = first >> 1 & 3
    if start + 2 > end:
        raise MalformedPacketError("a PUBLISH without topic")
    at = start + 2 + (buffer[start] << 8 | buffer[start + 1])
    try:
        topic = buffer[start + 2 : at].decode()
    except UnicodeDecodeError as error:
        raise MalformedPacketError(f"a topic that is not UTF-8: {error.reason}") from error
    packet_id, properties = 0, b""
    if qos:
        at += 2
        if at > end or qos == 3:
            raise MalformedPacketError("a PUBLISH at QoS 3, or one that ends early")
        packet_id = buffer[at - 2] << 8 | buffer[at - 1]
    if with_properties:
        length, at = read_varint(buffer, at, end)
        properties = buffer[at : at + length]
        at += length
    if at > end:
        raise MalformedPacketError("a PUBLISH that is shorter than its parts")
    return Message(time_ns, topic, qos, bool(first & 1), properties, buffer[at:end]), packet_id


def parse_connack(body: bytes) -> Connack:
    """A CONNACK's body (3.2).

    Raises:
        MalformedPacketError: it ends early, or holds a property that MQTT 5 does not know.
    """
    if len(body) < 3:
        raise MalformedPacketError("a CONNACK that ends early, or of MQTT 3.1.1")
    length, at = read_varint(body, 2, len(body))
    numbers = {kind: int.from_bytes(value) for kind, value in split_properties(body[at : at + length])}
    return Connack(
        reason_code=body[1],
        receive_max=numbers.get(_RECEIVE_MAX, 65_535),
        packet_bytes_max=numbers.get(_PACKET_BYTES_MAX),
        keepalive_s=numbers.get(_SERVER_KEEP_ALIVE),
    )


def parse_suback(body: bytes) -> bytes:
    """The reason codes of a SUBACK (3.9).

    Raises:
        MalformedPacketError: it ends early.
    """
    length, at = read_varint(body, 2, len(body))
    return body[at + length :]


def split_properties(properties: bytes) -> list[tuple[int, bytes]]:
    """Identifier and value, as on the wire, of each property. A user property's value is name and value, each with its
    length.

    Raises:
        MalformedPacketError: lengths do not fit, or MQTT 5 knows no such property.
    """
    found = []
    at, end = 0, len(properties)
    while at < end:
        kind = properties[at]
        at += 1
        start = at
        if kind == USER_PROPERTY:
            at = _after_prefixed(properties, _after_prefixed(properties, at))
        elif kind in _PREFIXED:
            at = _after_prefixed(properties, at)
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        elif kind == SUBSCRIPTION_ID:
            at = read_varint(properties, at, end)[1]
        else:
            raise MalformedPacketError(f"property 0x{kind:02X}, which MQTT 5 does not know")
        if at > end:
            raise MalformedPacketError("a property that ends early")
        found.append((kind, properties[start:at]))
    return found


def join_properties(properties: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes((kind,)) + value for kind, value in properties)


def user_pair(value: bytes) -> tuple[str, str]:
    """Name and value of a user property. What is not UTF-8 is shown with replacement characters."""
    middle = _after_prefixed(value, 0)
    return value[2:middle].decode(errors="replace"), value[middle + 2 :].decode(errors="replace")


def user_properties(properties: bytes) -> list[tuple[str, str]]:
    """Names and values in their order.

    Raises:
        MalformedPacketError: as `split_properties`.
    """
    return [user_pair(value) for kind, value in split_properties(properties) if kind == USER_PROPERTY]


def user_property(name: str, value: str) -> bytes:
    """One user property, as on the wire."""
    return b"\x26" + string(name) + string(value)


def string(text: str) -> bytes:
    """UTF-8 behind its two-byte length (1.5.4).

    Raises:
        MalformedPacketError: longer than MQTT allows.
    """
    encoded = text.encode()
    if len(encoded) > 65_535:
        raise MalformedPacketError(f"a string of {len(encoded)} bytes, more than 65535")
    return _U16.pack(len(encoded)) + encoded


def varint(value: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """The value, and where it ends.

    Raises:
        MalformedPacketError: it does not end before `end`, or has more than four bytes.
    """
    value = 0
    for shift in (0, 7, 14, 21):
        if at >= end:
            break
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise MalformedPacketError("a variable byte integer that does not end")


def _after_prefixed(data: bytes, at: int) -> int:
    """Where a value behind its two-byte length ends; beyond the data where it is cut."""
    return at + 2 + int.from_bytes(data[at : at + 2]) if at + 2 <= len(data) else len(data) + 1
