"""MQTT packets as bytes: what recorder, replayer and the reader of network captures need beyond `contracts.mqtt`.

Pure. Section numbers are those of the OASIS standard MQTT 5.0. Properties stay bytes as long as nobody needs them:
decoding them costs more than everything else that is done with a message.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from smartcity.contracts.mqtt import (
    CONNECT,
    PACKET_BYTES_MAX,
    PUBLISH,
    RECEIVE_MAX,
    SUBSCRIBE,
    SUBSCRIPTION_ID,
    TOPIC_ALIAS,
    USER_PROPERTY,
    MalformedPacketError,
    packet,
    read_varint,
    string,
    varint,
)

from .message import Message

_U16 = struct.Struct("!H")
_SUBSCRIBE_RETAIN_AS_PUBLISHED = 0x08  # 3.8.3.1

PUBLISH_PROPERTIES = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, SUBSCRIPTION_ID, TOPIC_ALIAS, USER_PROPERTY})


def connect_packet(*, client_id: str, keepalive_s: int, receive_max: int, packet_bytes_max: int) -> bytes:
    """CONNECT (3.1) with clean start and no session expiry: the session ends with the connection."""
    properties = b"".join(
        (
            bytes((RECEIVE_MAX,)),
            _U16.pack(receive_max),
            bytes((PACKET_BYTES_MAX,)),
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


def join_properties(properties: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes((kind,)) + value for kind, value in properties)
