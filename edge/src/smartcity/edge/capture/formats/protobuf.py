"""How an MQTT message lies in an MCAP file: as a protobuf message whose definition travels in the file.

    message MqttMessage {
      uint32 qos = 1;
      bool retain = 2;
      bytes properties = 3;  // MQTT 5 properties as on the wire, section 2.2.2.2, without their length
      bytes payload = 4;     // untouched
    }

Four fields need no library, and the recorder has no time for one. That it is protobuf is held by a test against
Google's reader. Source: protobuf's encoding guide, and descriptor.proto for the definition.
"""

from __future__ import annotations

from smartcity.contracts.mqtt import MalformedPacketError, read_varint, varint

from ..message import Message

ENCODING = "protobuf"
SCHEMA_NAME = "smartcity.MqttMessage"

_QOS, _RETAIN, _PROPERTIES, _PAYLOAD = 0x08, 0x10, 0x1A, 0x22
"""Field number and wire type."""
_HEADS = tuple(
    (bytes((_QOS, qos)) if qos else b"") + (bytes((_RETAIN, 1)) if retain else b"")
    for qos in range(3)
    for retain in (False, True)
)
_UINT32, _BOOL, _BYTES = 13, 8, 12
"""Types in descriptor.proto."""


def encode(message: Message) -> bytes:
    """The message but for its topic and time, which MCAP has a place for."""
    _, _, qos, retain, properties, payload = message
    head = _HEADS[qos << 1 | retain]
    if properties:
        head += b"\x1a" + varint(len(properties)) + properties
    return b"".join((head, b'"', varint(len(payload)), payload))


def decode(data: bytes, topic: str, time_ns: int) -> Message:
    """The message again.

    Raises:
        MalformedPacketError: it is not an MqttMessage.
    """
    qos, retain, properties, payload = 0, 0, b"", b""
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        value = data[at + 1] if at + 1 < end else 0x80
        at += 2
        if value >= 0x80:
            value, at = read_varint(data, at - 1, end)  # Lengths are below 2^28: MQTT writes them the same way.
        if tag == _PAYLOAD:
            payload = data[at : at + value]
            at += value
        elif tag == _PROPERTIES:
            properties = data[at : at + value]
            at += value
        elif tag == _QOS:
            qos = value
        elif tag == _RETAIN:
            retain = value
        elif tag & 7 == 2:
            at += value  # A later version's field.
        elif tag & 7:
            raise MalformedPacketError(f"a field of wire type {tag & 7}")
    if at > end or qos > 2:
        raise MalformedPacketError("a message that is shorter than its parts, or has QoS 3")
    return Message(time_ns, topic, qos, retain != 0, properties, payload)


def definition() -> bytes:
    """The FileDescriptorSet that makes the message readable for tools that know nothing of this project."""
    fields = (("qos", 1, _UINT32), ("retain", 2, _BOOL), ("properties", 3, _BYTES), ("payload", 4, _BYTES))
    message = _text(1, SCHEMA_NAME.rpartition(".")[2]) + b"".join(
        _nested(2, _text(1, name) + _number(3, number) + _number(4, 1) + _number(5, kind))
        for name, number, kind in fields
    )
    file = _text(1, "smartcity/mqtt.proto") + _text(2, SCHEMA_NAME.rpartition(".")[0])
    return _nested(1, file + _nested(4, message) + _text(12, "proto3"))


def _number(field: int, value: int) -> bytes:
    return bytes((field << 3, value))


def _nested(field: int, body: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + varint(len(body)) + body


def _text(field: int, value: str) -> bytes:
    return _nested(field, value.encode())
