"""MQTT 5 packets as bytes: those that a device sends, and what it must read of those that a gateway sends.

Pure. Section numbers are those of the OASIS standard MQTT 5.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from ..message import Message

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xD0, 0xE0
"""Packet types, in the upper half of a packet's first byte (2.1.2)."""

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"

_RECEIVE_MAX, _PACKET_BYTES_MAX, _SERVER_KEEP_ALIVE = 0x21, 0x27, 0x13
_CONTENT_TYPE, _USER_PROPERTY = 0x03, 0x26
_RECEIVE_MAX_DEFAULT = 65_535  # 3.2.2.3.3
_U16 = struct.Struct("!H")
_CACHED_VALUE_CHARACTERS_MAX = 64
_PUBLISH_QOS_1 = 0x32

# Properties by how their value is written (2.2.2.2).
_BYTE = frozenset({0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A})
_TWO_BYTES = frozenset({_SERVER_KEEP_ALIVE, _RECEIVE_MAX, 0x22, 0x23})
_FOUR_BYTES = frozenset({0x02, 0x11, 0x18, _PACKET_BYTES_MAX})
_STRING = frozenset({_CONTENT_TYPE, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class MalformedPacketError(ValueError):
    """The gateway sent something that is not MQTT 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """What a device needs of a CONNACK (3.2). `keepalive_s` is None where the gateway leaves it to the client."""

    reason_code: int
    receive_max: int = _RECEIVE_MAX_DEFAULT
    packet_bytes_max: int | None = None
    keepalive_s: int | None = None


def connect_packet(*, client_id: str, keepalive_s: int, packet_bytes_max: int, will: Message) -> bytes:
    """CONNECT (3.1) with clean start, no session expiry, and a last will at QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | (0x20 if will.retain else 0)
    properties = bytes((_PACKET_BYTES_MAX,)) + packet_bytes_max.to_bytes(4, "big")
    body = b"".join(
        (
            b"\x00\x04MQTT\x05",
            bytes((flags,)),
            _U16.pack(keepalive_s),
            _varint(len(properties)),
            properties,
            _string(client_id),
            _property_block(will),
            _string(will.topic),
            _U16.pack(len(will.payload)),
            will.payload,
        )
    )
    return b"\x10" + _varint(len(body)) + body


def subscribe_packet(packet_id: int, topic: str) -> bytes:
    """SUBSCRIBE (3.8) to one topic at QoS 1."""
    body = _U16.pack(packet_id) + b"\x00" + _string(topic) + b"\x01"
    return b"\x82" + _varint(len(body)) + body


def publish_packet(packet_id: int, message: Message) -> bytes:
    """PUBLISH (3.3) at QoS 1."""
    body = b"".join((_string(message.topic), _U16.pack(packet_id), _property_block(message), message.payload))
    return bytes((_PUBLISH_QOS_1 | message.retain,)) + _varint(len(body)) + body


def puback_packet(packet_id: int) -> bytes:
    """PUBACK (3.4) with Success, in its short form."""
    return b"\x40\x02" + _U16.pack(packet_id)


def split(data: bytes, *, packet_bytes_max: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets in `data` as (first byte, body), and the bytes of the one that is not whole yet.

    Raises:
        MalformedPacketError: a length that no packet can have, or one beyond `packet_bytes_max`.
    """
    packets: list[tuple[int, bytes]] = []
    at, available = 0, len(data)
    while available - at >= 2:
        begin, length = at + 2, data[at + 1]
        if length & 0x80:
            found = _read_varint(data, at + 1, available)
            if found is None:
                break
            length, begin = found
        if length > packet_bytes_max:
            raise MalformedPacketError(f"a packet of {length} bytes")
        end = begin + length
        if end > available:
            break
        packets.append((data[at], data[begin:end]))
        at = end
    return packets, data[at:] if at else data


def read_connack(body: bytes) -> Connack:
    """
    Raises:
        MalformedPacketError: it ends early, or holds a property that MQTT 5 does not know.
    """
    if len(body) < 3:
        raise MalformedPacketError("a CONNACK that ends early")
    receive_max, packet_bytes_max, keepalive_s = _RECEIVE_MAX_DEFAULT, None, None
    at, end = _block(body, 2)
    while at < end:
        kind, value, at = _read_property(body, at, end)
        if kind == _RECEIVE_MAX:
            receive_max = value
        elif kind == _PACKET_BYTES_MAX:
            packet_bytes_max = value
        elif kind == _SERVER_KEEP_ALIVE:
            keepalive_s = value
    return Connack(
        reason_code=body[1], receive_max=receive_max, packet_bytes_max=packet_bytes_max, keepalive_s=keepalive_s
    )


def read_publish(first: int, body: bytes) -> tuple[int | None, str, bytes]:
    """Packet id (None at QoS 0), topic and payload.

    Raises:
        MalformedPacketError: it ends early, or comes at QoS 2, which no one subscribed to.
    """
    qos = first >> 1 & 3
    if qos > 1 or len(body) < 2:
        raise MalformedPacketError("a PUBLISH that no one can have sent")
    at = 2 + _U16.unpack_from(body)[0]
    packet_id = None
    if qos:
        packet_id = _U16.unpack(body[at : at + 2].rjust(2, b"\0"))[0] or None
        if packet_id is None:
            raise MalformedPacketError("a PUBLISH at QoS 1 without packet id")
    _, end = _block(body, at + 2 * qos)
    return packet_id, body[2:at].decode(errors="replace"), body[end:]


def read_acknowledgement(body: bytes) -> tuple[int, int]:
    """Packet id and reason code of a PUBACK (3.4); Success where the short form leaves it out.

    Raises:
        MalformedPacketError: it ends early.
    """
    if len(body) < 2:
        raise MalformedPacketError("a PUBACK that ends early")
    return body[0] << 8 | body[1], body[2] if len(body) > 2 else 0


def read_suback(body: bytes) -> list[int]:
    """The reason codes of a SUBACK (3.9).

    Raises:
        MalformedPacketError: it ends early.
    """
    _, end = _block(body, 2)
    return list(body[end:])


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _U16.pack(len(encoded)) + encoded


def _varint(value: int) -> bytes:
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


def _property_block(message: Message) -> bytes:
    """Content type and user properties with their length. All but the id repeat, from device to device or in time."""
    parts = [_content_type(message.content_type)]
    for name, value in message.properties:
        if name == "id" or len(value) > _CACHED_VALUE_CHARACTERS_MAX:
            parts.append(_encode_pair(name, value))
        else:
            parts.append(_cached_pair(name, value))
    block = b"".join(parts)
    return _varint(len(block)) + block


@lru_cache(maxsize=64)
def _content_type(value: str) -> bytes:
    return bytes((_CONTENT_TYPE,)) + _string(value)


def _encode_pair(name: str, value: str) -> bytes:
    return bytes((_USER_PROPERTY,)) + _string(name) + _string(value)


_cached_pair = lru_cache(maxsize=32_768)(_encode_pair)


def _read_varint(data: bytes, at: int, available: int) -> tuple[int, int] | None:
    """The value and where it ends; None where its end has not come yet."""
    value = 0
    for i in range(4):
        if at + i >= available:
            return None
        value |= (data[at + i] & 0x7F) << 7 * i
        if not data[at + i] & 0x80:
            return value, at + i + 1
    raise MalformedPacketError("a length of more than four bytes")


def _block(body: bytes, at: int) -> tuple[int, int]:
    """Where the properties begin and end."""
    found = _read_varint(body, at, len(body))
    if found is None or found[0] + found[1] > len(body):
        raise MalformedPacketError("properties that end early")
    length, begin = found
    return begin, begin + length


def _read_property(body: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Kind, value (0 where it is not a number) and the end of the property that begins at `at`."""
    kind = body[at]
    at += 1
    value, width = 0, 0
    if kind in _BYTE:
        width = 1
    elif kind in _TWO_BYTES:
        width = 2
    elif kind in _FOUR_BYTES:
        width = 4
    elif kind == 0x0B:
        found = _read_varint(body, at, end)
        at = end + 1 if found is None else found[1]
    elif kind in _STRING:
        at += 2 + int.from_bytes(body[at : at + 2], "big")
    elif kind == _USER_PROPERTY:
        for _ in range(2):
            at += 2 + int.from_bytes(body[at : at + 2], "big")
    else:
        raise MalformedPacketError(f"property 0x{kind:02X}")
    if width:
        value = int.from_bytes(body[at : at + width], "big")
        at += width
    if at > end:
        raise MalformedPacketError("a property that ends early")
    return kind, value, at
