"""Network captures (pcap, pcapng): MQTT 3.1.1 and 5 out of TCP connections, as tcpdump or Wireshark keep them.

scapy reads files, link layers, IP and TCP. A connection that was captured from its beginning is read packet by packet;
one that begins in mid-stream, or lost bytes, is taken up again where a TCP segment begins with whole MQTT packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from smartcity.contracts import mqtt
from smartcity.contracts.mqtt import MalformedPacketError

from .. import packets
from ..message import Findings, Message
from .frames import Key, Segment, note_cut, segments
from .tcp import Direction, Piece

Way = Literal["to-broker", "from-broker", "both"]
TO_BROKER: Way = "to-broker"
FROM_BROKER: Way = "from-broker"
BROKER_PORTS = (1883, 8883)
CONNECTIONS_MAX = 20_000
PACKET_BYTES_MAX = 16 * 1024 * 1024
"""A longer MQTT packet is taken for a sign that we are not where a packet begins."""

_FLAGS = {mqtt.PUBREL: 2, mqtt.SUBSCRIBE: 2, 0xA0: 2}
"""Lower half of the first byte where it is not 0 (2.1.3); PUBLISH has its own."""
_TLS_RECORDS = (b"\x14", b"\x15", b"\x16", b"\x17")


def read(path: Path, findings: Findings, *, way: Way = TO_BROKER) -> Iterator[Message]:
    """The PUBLISH packets, each when its last byte was captured.

    Args:
        way: a capture at the broker sees a message come and go; one way of it is enough.

    Raises:
        CaptureError: scapy is not installed, or the file's header is broken.
    """
    note_cut(path, findings)
    flows: dict[Key, _Flow] = {}
    for key, time_ns, segment in segments(path, findings):
        flow = flows.get(key)
        if flow is None or (segment.begins and flow.direction.next_sequence is not None and flow.ended):
            if len(flows) >= CONNECTIONS_MAX:
                flows.pop(next(iter(flows)))
            flow = flows[key] = _Flow(key=key, findings=findings, way=way)
        yield from flow.take(segment, time_ns)
    for flow in flows.values():
        yield from flow.finish()
    for direction in (flow.direction for flow in flows.values()):
        findings.skipped["bytes of TCP retransmissions"] += direction.repeated_bytes
    for name in [name for name, count in findings.skipped.items() if not count]:
        del findings.skipped[name]


@dataclass(slots=True, kw_only=True)
class _Flow:
    """One direction of one connection."""

    key: Key
    findings: Findings
    way: Way
    direction: Direction = field(default_factory=Direction)
    ended: bool = False
    _buffer: bytes = b""
    _synchronous: bool = False
    """Whether the buffer begins where an MQTT packet does."""
    _level: int | None = None
    """Protocol level of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5; None where it was not captured."""
    _to_broker: bool | None = None
    _aliases: dict[bytes, str] = field(default_factory=dict)
    _time_ns: int = 0

    def take(self, segment: Segment, time_ns: int) -> Iterator[Message]:
        self._time_ns = time_ns
        self.ended = self.ended or segment.ends
        if segment.begins:
            self.direction.begin(segment.sequence)
        if segment.wire_length and not segment.begins:
            for piece in self.direction.add(segment.sequence, segment.data, segment.wire_length):
                yield from self._piece(piece, segment.number)

    def finish(self) -> Iterator[Message]:
        for piece in self.direction.end():
            yield from self._piece(piece, 0)
        if self._buffer:
            self._skip(f"bytes of {_LAST}", len(self._buffer))

    def _piece(self, piece: Piece, number: int) -> Iterator[Message]:
        if piece.gap is None:
            self._skip("TCP connections whose beginning was not captured", 1)
        elif piece.gap:
            where = f"frame {number}" if number else "the end"
            self.findings.damage(where, f"{piece.gap} bytes of TCP {self._name()} were not captured")
            self._skip(f"bytes of {_LAST}", len(self._buffer))
            self._buffer, self._synchronous = b"", False
        elif not self._buffer and not self._synchronous and self._level is None and not self.ended:
            self._synchronous = self._begins_connection(piece.data)
        if not self._synchronous:
            if not self._plausible(piece.data):
                tls = piece.data[:1] in _TLS_RECORDS and piece.data[1:2] == b"\x03"
                self._skip(
                    "bytes of TLS" if tls else "bytes before an MQTT packet could be recognised", len(piece.data)
                )
                return
            self._synchronous = True
        self._buffer += piece.data
        yield from self._packets(number)

    def _begins_connection(self, data: bytes) -> bool:
        """The first bytes of a connection that was captured from its SYN on: CONNECT there, CONNACK back."""
        return data[:1] in (b"\x10", b"\x20")

    def _packets(self, number: int) -> Iterator[Message]:
        buffer, at, size = self._buffer, 0, len(self._buffer)
        try:
            while size - at >= 2:
                if not _known(buffer[at]):
                    raise MalformedPacketError(f"0x{buffer[at]:02X} begins no MQTT packet")
                found = mqtt.find_packet(buffer, at, size)
                if found is None or found[1] > size:
                    break
                first, (start, end) = buffer[at], found
                at = end
                yield from self._packet(first, buffer, start, end)
        except MalformedPacketError as error:
            self.findings.damage(f"frame {number}", f"{error} ({self._name()})")
            self._skip("bytes before an MQTT packet could be recognised", size - at)
            self._buffer, self._synchronous = b"", False
            return
        self._buffer = buffer[at:]
        if len(self._buffer) > PACKET_BYTES_MAX:
            self._skip("bytes before an MQTT packet could be recognised", len(self._buffer))
            self._buffer, self._synchronous = b"", False

    def _packet(self, first: int, buffer: bytes, start: int, end: int) -> Iterator[Message]:
        kind = first & 0xF0
        if kind == mqtt.CONNECT:
            self._to_broker = True
            name_end = start + 2 + int.from_bytes(buffer[start : start + 2])
            self._level = buffer[name_end] if name_end < end else None
            self._aliases.clear()
        elif kind in (mqtt.CONNACK, mqtt.SUBACK, mqtt.PINGRESP):
            self._to_broker = False
            if kind == mqtt.CONNACK:
                self._level = 5 if end - start > 2 else 4
        elif kind in (mqtt.SUBSCRIBE, mqtt.PINGREQ):
            self._to_broker = True
        if kind != mqtt.PUBLISH:
            return
        way = TO_BROKER if self._goes_to_broker() else FROM_BROKER
        message = self._publish(first, buffer, start, end)
        if self.way not in (way, "both"):
            self._skip(f"PUBLISH packets {way} (see --way)", 1)
        elif message is not None:
            yield message

    def _publish(self, first: int, buffer: bytes, start: int, end: int) -> Message | None:
        with_properties = self._has_properties(first, buffer, start, end)
        message, _ = packets.parse_publish(
            first, buffer, start, end, time_ns=self._time_ns, with_properties=with_properties
        )
        if not message.properties:
            return message if message.topic else None
        return self._without_connection(message)

    def _without_connection(self, message: Message) -> Message | None:
        """Without the properties that mean something on that connection only; the topic instead of its alias."""
        parts = mqtt.split_properties(message.properties)
        aliases = [value for kind, value in parts if kind == mqtt.TOPIC_ALIAS]
        if aliases and message.topic:
            self._aliases[aliases[0]] = message.topic
        topic = message.topic or (self._aliases.get(aliases[0], "") if aliases else "")
        if not topic:
            self._skip("messages whose topic alias was not captured", 1)
            return None
        kept = [part for part in parts if part[0] not in (mqtt.TOPIC_ALIAS, mqtt.SUBSCRIPTION_ID)]
        return message._replace(topic=topic, properties=packets.join_properties(kept))

    def _has_properties(self, first: int, buffer: bytes, start: int, end: int) -> bool:
        """By the level of CONNECT, or, without one, whether the packet reads as MQTT 5."""
        if self._level is not None:
            return self._level >= 5
        try:
            message, _ = packets.parse_publish(first, buffer, start, end, time_ns=0)
            parts = mqtt.split_properties(message.properties)
        except MalformedPacketError:
            self._level = 4
            return False
        if any(kind not in packets.PUBLISH_PROPERTIES for kind, _ in parts):
            self._level = 4
            return False
        if parts:
            self._level = 5
        return True

    def _plausible(self, data: bytes) -> bool:
        """Whether a segment begins with MQTT packets: known types, lengths that fit, topics that are text."""
        at, size, whole = 0, len(data), 0
        try:
            while size - at >= 2 and _known(data[at]):
                found = mqtt.find_packet(data, at, size)
                if found is None or found[1] > size:
                    return whole > 0 or (data[at] & 0xF0 == mqtt.PUBLISH and _topic_at(data, at))
                start, end = found
                if data[at] & 0xF0 == mqtt.PUBLISH:
                    if not _topic_at(data, at):
                        return False
                elif not _short(data[at], end - start):
                    return False
                whole += 1
                at = end
        except MalformedPacketError:
            return False
        return whole > 0 and at == size

    def _goes_to_broker(self) -> bool:
        if self._to_broker is not None:
            return self._to_broker
        _, source, _, target = self.key
        if source in BROKER_PORTS or target in BROKER_PORTS:
            return target in BROKER_PORTS
        return target < source

    def _skip(self, what: str, count: int) -> None:
        if count:
            self.findings.skipped[what] += count

    def _name(self) -> str:
        source, source_port, target, target_port = self.key
        return f"{source}:{source_port} → {target}:{target_port}"


_LAST = "MQTT packets whose end was not captured"


def _known(first: int) -> bool:
    kind = first & 0xF0
    if kind == mqtt.PUBLISH:
        return first & 0x06 != 0x06
    return kind not in (0x00, 0xF0) and first & 0x0F == _FLAGS.get(kind, 0)


def _short(first: int, length: int) -> bool:
    """Whether a packet other than PUBLISH has a length that its kind may have."""
    kind = first & 0xF0
    if kind in (mqtt.PINGREQ, mqtt.PINGRESP):
        return length == 0
    if kind in (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBREL, mqtt.PUBCOMP):
        return 2 <= length <= 1024
    return length <= 64 * 1024


def _topic_at(data: bytes, at: int) -> bool:
    """Whether a PUBLISH has a topic that could be one, as far as it can be seen."""
    start = at + 1
    while start < min(len(data), at + 5) and data[start] >= 0x80:
        start += 1
    start += 1
    length = int.from_bytes(data[start : start + 2])
    topic = data[start + 2 : start + 2 + length]
    if not 1 <= length <= 1024 or len(topic) < min(length, 4):
        return False
    try:
        text = topic.decode()
    except UnicodeDecodeError:
        return False
    return text.isprintable() and "+" not in text and "#" not in text
