"""MQTT 5 packets by hand: filling a persistent session fast, and asking whether it is empty."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence

Pairs = Sequence[tuple[str, str]]


def text(value: str) -> bytes:
    """A string with its length before it."""
    return len(value.encode()).to_bytes(2) + value.encode()


def _variable(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(first: int, body: bytes) -> bytes:
    """A control packet: first byte, length, body."""
    return bytes((first,)) + _variable(len(body)) + body


def publish(topic: str, packet_id: int, pairs: Pairs, payload: bytes) -> bytes:
    """A QoS 1 PUBLISH with user properties."""
    properties = b"".join(b"\x26" + text(name) + text(value) for name, value in pairs)
    return packet(0x32, text(topic) + packet_id.to_bytes(2) + _variable(len(properties)) + properties + payload)


class Session:
    """One MQTT 5 connection of a client id, its session kept for a day."""

    def __init__(self, port: int, client_id: str, *, receive_maximum: int = 65_535) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        properties = b"\x11" + (86_400).to_bytes(4) + b"\x21" + receive_maximum.to_bytes(2)
        body = text("MQTT") + b"\x05\x00" + (0).to_bytes(2) + _variable(len(properties)) + properties
        self.socket.sendall(packet(0x10, body + text(client_id)))
        connack = self.socket.recv(4096)
        assert connack[0] == 0x20, connack
        self.present = bool(connack[2] & 1)
        self.leftover = connack[2 + connack[1] :]

    def subscribe(self, pattern: str) -> None:
        self.socket.sendall(packet(0x82, b"\x00\x01\x00" + text(pattern) + b"\x21"))
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

        for packet in packets:
            block.append(packet)
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
