"""MQTT 5 packets as bytes: what a device sends and reads beyond `contracts.mqtt`.

Pure. Section numbers are those of the OASIS standard MQTT 5.0.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from smartcity.contracts.mqtt import (
    CONNECT,
    CONTENT_TYPE,
    PACKET_BYTES_MAX,
    SUBSCRIBE,
    MalformedPacketError,
    find_packet,
    packet,
    property_block,
    string,
    user_property,
    varint,
)

from ..message import Message

_U16 = struct.Struct("!H")
_CACHED_VALUE_CHARACTERS_MAX = 64
_PUBLISH_QOS_1 = 0x32


def connect_packet(*, client_id: str, keepalive_s: int, packet_bytes_max: int, will: Message) -> bytes:
    """CONNECT (3.1) with clean start, no session expiry, and a last will at QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | (0x20 if will.retain else 0)
    properties = bytes((PACKET_BYTES_MAX,)) + packet_bytes_max.to_bytes(4, "big")
    body = b"".join(
        (
            b"\x00\x04MQTT\x05",
            bytes((flags,)),
            _U16.pack(keepalive_s),
            varint(len(properties)),
            properties,
            string(client_id),
            _property_block(will),
            string(will.topic),
            _U16.pack(len(will.payload)),
            will.payload,
        )
    )
    return packet(CONNECT, body)


def subscribe_packet(packet_id: int, topic: str) -> bytes:
    """SUBSCRIBE (3.8) to one topic at QoS 1."""
    body = _U16.pack(packet_id) + b"\x00" + string(topic) + b"\x01"
    return packet(SUBSCRIBE | 2, body)


def publish_packet(packet_id: int, message: Message) -> bytes:
    """PUBLISH (3.3) at QoS 1."""
    body = b"".join((string(message.topic), _U16.pack(packet_id), _property_block(message), message.payload))
    return bytes((_PUBLISH_QOS_1 | message.retain,)) + varint(len(body)) + body


def split(data: bytes, *, packet_bytes_max: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets in `data` as (first byte, body), and the bytes of the one that is not whole yet.

    Raises:
        MalformedPacketError: a length that no packet can have, or one beyond `packet_bytes_max`.
    """
    packets: list[tuple[int, bytes]] = []
    at, available = 0, len(data)
    while available - at >= 2:
        begin, end = at + 2, at + 2 + data[at + 1]
        if data[at + 1] & 0x80:
            found = find_packet(data, at, available)
            if found is None:
                break
            begin, end = found
        if end - begin > packet_bytes_max:
            raise MalformedPacketError(f"a packet of {end - begin} bytes")
        if end > available:
            break
        packets.append((data[at], data[begin:end]))
        at = end
    return packets, data[at:] if at else data


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
    _, end = property_block(body, at + 2 * qos, len(body))
    return packet_id, body[2:at].decode(errors="replace"), body[end:]


def read_acknowledgement(body: bytes) -> tuple[int, int]:
    """Packet id and reason code of a PUBACK (3.4); Success where the short form leaves it out.

    Raises:
        MalformedPacketError: it ends early.
    """
    if len(body) < 2:
        raise MalformedPacketError("a PUBACK that ends early")
    return body[0] << 8 | body[1], body[2] if len(body) > 2 else 0


def _property_block(message: Message) -> bytes:
    """Content type and user properties with their length. All but the id repeat, from device to device or in time."""
    parts = [_content_type(message.content_type)]
    for name, value in message.properties:
        if name == "id" or len(value) > _CACHED_VALUE_CHARACTERS_MAX:
            parts.append(user_property(name, value))
        else:
            parts.append(_cached_pair(name, value))
    block = b"".join(parts)
    return varint(len(block)) + block


@lru_cache(maxsize=64)
def _content_type(value: str) -> bytes:
    return bytes((CONTENT_TYPE,)) + string(value)


_cached_pair = lru_cache(maxsize=32_768)(user_property)
