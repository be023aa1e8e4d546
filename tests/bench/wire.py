"""MQTT 5 packets by hand: filling a persistent session fast, and asking whether it is empty."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence

from smartcity.contracts.mqtt import packet, string, user_property, varint

Pairs = Sequence[tuple[str, str]]


def publish(topic: str, packet_id: int, pairs: Pairs, payload: bytes) -> bytes:
    """A QoS 1 PUBLISH with user properties."""
    properties = b"".join(user_property(name, value) for name, value in pairs)
    return packet(0x32, string(topic) + packet_id.to_bytes(2) + varint(len(properties)) + properties + payload)


class Session:
    """One MQTT 5 connection of a client id, its session kept for a day."""

    def __init__(self, port: int, client_id: str, *, receive_maximum: int = 65_535) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        properties = b"\x11" + (86_400).to_bytes(4) + b"\x21" + receive_maximum.to_bytes(2)
        body = string("MQTT") + b"\x05\x00" + (0).to_bytes(2) + varint(len(properties)) + properties
        self.socket.sendall(packet(0x10, body + string(client_id)))
        connack = self.socket.recv(4096)
        assert connack[0] == 0x20, connack
        self.present = bool(connack[2] & 1)
        self.leftover = connack[2 + connack[1] :]

    def subscribe(self, pattern: str) -> None:
        self.socket.sendall(packet(0x82, b"\x00\x01\x00" + string(pattern) + b"\x21"))
        assert self.socket.recv(4096)[0] == 0x90

    def silent(self, for_s: float) -> bool:
        """Whether the gateway sends nothing for so long."""
        return not self.leftover and not select.select([self.socket], [], [], for_s)[0]

    def publish_all(self, packets: Iterable[bytes], window: int) -> int:
        """Send QoS 1 packets, at most about `window` unacknowledged; how many were acknowledged."""
        sent = acknowledged = 0
        rest = b""
        block: list[bytes] = []

        def flush() -> None:
            nonlocal sent, acknowledged, rest
            self.socket.sendall(b"".join(block))
            sent += len(block)
            block.clear()
            while sent - acknowledged > window:
                acknowledged, rest = self._acknowledgements(acknowledged, rest)

        for one in packets:
            block.append(one)
            if len(block) >= 200:
                flush()
        flush()
        deadline = time.monotonic() + 60
        while acknowledged < sent and time.monotonic() < deadline:
            acknowledged, rest = self._acknowledgements(acknowledged, rest)
        return acknowledged

    def publish_paced(self, blocks: Iterator[list[bytes]], tick_s: float) -> float:
        """Send a block of QoS 1 packets every `tick_s`; in the end all are acknowledged. Worst lateness, s."""
        sent = acknowledged = 0
        rest, late_s = b"", 0.0
        started = time.monotonic()
        for number, block in enumerate(blocks):
            wait_s = started + number * tick_s - time.monotonic()
            late_s = max(late_s, -wait_s)
            time.sleep(max(0.0, wait_s))
            self.socket.sendall(b"".join(block))
            sent += len(block)
            while not self.silent(0):
                acknowledged, rest = self._acknowledgements(acknowledged, rest)
        while acknowledged < sent:
            acknowledged, rest = self._acknowledgements(acknowledged, rest)
        return late_s

    def _acknowledgements(self, count: int, rest: bytes) -> tuple[int, bytes]:
        data = rest + self.socket.recv(65_536)
        at = 0
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            assert data[at] == 0x40, data[at : at + 8]
            refused = data[at + 1] > 2 and data[at + 4] >= 0x80
            assert not refused, "the gateway refuses a message"
            count += 1
            at += 2 + data[at + 1]
        return count, data[at:]

    def close(self) -> None:
        self.socket.sendall(b"\xe0\x00")
        self.socket.close()
