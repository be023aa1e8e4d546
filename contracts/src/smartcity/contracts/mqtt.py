"""What is alike in every MQTT packet that this project reads and writes by itself, where a client library is too slow:
a fleet of devices, the recorder, the replayer.

Pure. Section numbers are those of the OASIS standard MQTT 5.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x80, 0x90, 0xC0, 0xD0, 0xE0
"""Packet types, in the upper half of a packet's first byte (2.1.2)."""

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"

CONTENT_TYPE, SUBSCRIPTION_ID, SERVER_KEEP_ALIVE, RECEIVE_MAX = 0x03, 0x0B, 0x13, 0x21
TOPIC_ALIAS, USER_PROPERTY, PACKET_BYTES_MAX = 0x23, 0x26, 0x27
"""Properties (2.2.2.2)."""

RECEIVE_MAX_DEFAULT = 65_535  # 3.2.2.3.3

# Properties by how their value is written.
_WIDTHS = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((SERVER_KEEP_ALIVE, RECEIVE_MAX, 0x22, TOPIC_ALIAS), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, PACKET_BYTES_MAX), 4),
}
_PREFIXED = frozenset({CONTENT_TYPE, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})
_U16 = struct.Struct("!H")


class MalformedPacketError(ValueError):
    """The bytes are not what MQTT allows here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """What a client needs of a CONNACK (3.2). `keepalive_s` is None where the broker leaves it to the client."""

    reason_code: int
    receive_max: int = RECEIVE_MAX_DEFAULT
    packet_bytes_max: int | None = None
    keepalive_s: int | None = None


def packet(first: int, body: bytes) -> bytes:
    """A whole packet with this first byte."""
    return bytes((first,)) + varint(len(body)) + body


def acknowledgement(kind: int, packet_id: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP with Success, in the short form (3.4 to 3.7)."""
    return bytes((kind | 2 if kind == PUBREL else kind, 2, packet_id >> 8, packet_id & 0xFF))


def string(text: str) -> bytes:
    """UTF-8 behind its two-byte length (1.5.4).

    Raises:
        MalformedPacketError: longer than MQTT allows.
    """
    encoded = text.encode()
    if len(encoded) > 65_535:
        raise MalformedPacketError(f"a string of {len(encoded)} bytes, more than 65535")
    return _U16.pack(len(encoded)) + encoded


def user_property(name: str, value: str) -> bytes:
    """One user property, as on the wire."""
    return b"\x26" + string(name) + string(value)


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


def find_packet(buffer: bytes | bytearray, at: int, size: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins, and where it will end; None where its length is not whole yet.

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
            return start, start + value
    raise MalformedPacketError("a length of more than four bytes")


def property_block(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the properties begin and end whose length stands at `at`.

    Raises:
        MalformedPacketError: they reach beyond `end`.
    """
    length, begin = read_varint(body, at, end)
    if begin + length > end:
        raise MalformedPacketError("properties that end early")
    return begin, begin + length


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
            at = after_prefixed(properties, after_prefixed(properties, at))
        elif kind in _PREFIXED:
            at = after_prefixed(properties, at)
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


def user_pair(value: bytes) -> tuple[str, str]:
    """Name and value of a user property. What is not UTF-8 is shown with replacement characters."""
    middle = after_prefixed(value, 0)
    return value[2:middle].decode(errors="replace"), value[middle + 2 :].decode(errors="replace")


def user_properties(properties: bytes) -> list[tuple[str, str]]:
    """Names and values in their order.

    Raises:
        MalformedPacketError: as `split_properties`.
    """
    return [user_pair(value) for kind, value in split_properties(properties) if kind == USER_PROPERTY]


def after_prefixed(data: bytes, at: int) -> int:
    """Where a value behind its two-byte length ends; beyond the data where it is cut."""
    return at + 2 + int.from_bytes(data[at : at + 2]) if at + 2 <= len(data) else len(data) + 1


def read_connack(body: bytes) -> Connack:
    """A CONNACK's body (3.2).

    Raises:
        MalformedPacketError: it ends early, or holds a property that MQTT 5 does not know.
    """
    if len(body) < 3:
        raise MalformedPacketError("a CONNACK that ends early, or of MQTT 3.1.1")
    begin, end = property_block(body, 2, len(body))
    numbers = {kind: int.from_bytes(value) for kind, value in split_properties(body[begin:end])}
    return Connack(
        reason_code=body[1],
        receive_max=numbers.get(RECEIVE_MAX, RECEIVE_MAX_DEFAULT),
        packet_bytes_max=numbers.get(PACKET_BYTES_MAX),
        keepalive_s=numbers.get(SERVER_KEEP_ALIVE),
    )


def read_suback(body: bytes) -> list[int]:
    """The reason codes of a SUBACK (3.9).

    Raises:
        MalformedPacketError: it ends early.
    """
    _, end = property_block(body, 2, len(body))
    return list(body[end:])
