"""Stands in for bridge and Kafka, for little CPU: takes every reading and gives its device a receipt.

    python receipts.py PORT REPORT.json

Subscribes to `devices/#` at QoS 1, and every 200 ms (the bridge's default) publishes each device's new readings to
`receipts/<device>` in coalesced ranges. Once a second it replaces the report: counts since the beginning, and the lags
of all readings of the second that has passed, from event time to reception.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from wire import Session

from smartcity.contracts.mqtt import packet, string

INTERVAL_S = 0.2
REPORT_S = 1.0
_ID = b"\x26\x00\x02id"
_TIME = b"\x26\x00\x04time"


class Giver:
    """Reads, counts, acknowledges, confirms."""

    def __init__(self, port: int, report: Path) -> None:
        session = Session(port, "receipts", receive_maximum=65_535)
        session.subscribe("devices/#")
        self.socket = session.socket
        self._report = report
        self._rest = session.leftover
        self._next: dict[bytes, tuple[bytes, int]] = {}
        self._due: dict[bytes, list[tuple[bytes, int, int]]] = {}
        self._lags: list[float] = []
        self._packet_id = 0
        self._counts = {"readings": 0, "statuses": 0, "duplicates": 0, "gaps": 0, "receipts": 0}

    def read(self) -> None:
        """One read of the socket, and one write of the PUBACKs."""
        data = self._rest + self.socket.recv(1 << 20)
        acknowledgements = bytearray()
        now = time.time()
        for first, begin, end in self._split(data):
            if first & 0xF0 != 0x30:
                continue
            topic_end = begin + 2 + int.from_bytes(data[begin : begin + 2])
            topic = data[begin + 2 : topic_end]
            if first & 0x06:
                acknowledgements += b"\x40\x02" + data[topic_end : topic_end + 2]
            if topic.endswith(b"/status"):
                self._counts["statuses"] += 1
            else:
                self._take(topic[8 : topic.rindex(b"/")], data, topic_end, end, now)
        if acknowledgements:
            self._send(acknowledgements)

    def give(self) -> None:
        """A receipt for each device that had something new."""
        due, self._due = self._due, {}
        out = bytearray()
        for device, spans in due.items():
            ranges: dict[str, list[tuple[int, int]]] = {}
            for boot, first, last in spans:
                ranges.setdefault(boot.decode(), []).append((first, last))
            self._packet_id = self._packet_id % 65_535 + 1
            payload = json.dumps(ranges, separators=(",", ":")).encode()
            head = string(f"receipts/{device.decode()}") + self._packet_id.to_bytes(2) + b"\x00"
            out += packet(0x32, head + payload)
        self._counts["receipts"] += len(due)
        if out:
            self._send(out)

    def tell(self) -> None:
        """Replaces the report."""
        lags, self._lags = sorted(self._lags), []
        lag = {"max": lags[-1], "p99": lags[len(lags) * 99 // 100], "p50": lags[len(lags) // 2]} if lags else None
        draft = self._report.with_suffix(".new")
        draft.write_text(json.dumps({"at": time.time(), **self._counts, "devices": len(self._next), "lag_s": lag}))
        draft.replace(self._report)

    def _split(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """First byte, begin and end of the body of each whole packet."""
        at, available = 0, len(data)
        while at + 2 <= available:
            length, shift, begin = 0, 0, at + 1
            while begin < available and data[begin] & 0x80:
                length |= (data[begin] & 0x7F) << shift
                shift += 7
                begin += 1
            if begin >= available:
                break
            length |= data[begin] << shift
            begin += 1
            if begin + length > available:
                break
            yield data[at], begin, begin + length
            at = begin + length
        self._rest = data[at:]

    def _take(self, device: bytes, data: bytes, begin: int, end: int, now: float) -> None:
        found = data.index(_ID, begin, end) + len(_ID)
        identity = data[found + 2 : found + 2 + int.from_bytes(data[found : found + 2])]
        boot, _, number = identity.partition(b".")
        sequence = int(number)
        known, following = self._next.get(device, (boot, 1))
        following = following if known == boot else 1
        self._counts["readings"] += 1
        self._counts["duplicates"] += sequence < following
        self._counts["gaps"] += sequence > following
        self._next[device] = (boot, max(following, sequence + 1))
        spans = self._due.setdefault(device, [])
        if spans and spans[-1][0] == boot and spans[-1][2] + 1 == sequence:
            spans[-1] = (boot, spans[-1][1], sequence)
        else:
            spans.append((boot, sequence, sequence))
        at = data.index(_TIME, begin, end) + len(_TIME) + 2
        self._lags.append(now - _seconds(data[at : at + 27]))

    def _send(self, data: bytearray) -> None:
        """The gateway reads while it writes to us; for a moment it may not."""
        view = memoryview(data)
        while view:
            with contextlib.suppress(BlockingIOError):
                view = view[self.socket.send(view) :]
                continue
            select.select([], [self.socket], [], 1.0)


def _seconds(rfc3339: bytes) -> float:
    return datetime.fromisoformat(rfc3339[:-1].decode()).replace(tzinfo=UTC).timestamp()


def main() -> None:
    giver = Giver(int(sys.argv[1]), Path(sys.argv[2]))
    giver.socket.setblocking(False)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    give_at = tell_at = time.monotonic()
    while not ended:
        now = time.monotonic()
        if now >= give_at:
            give_at = now + INTERVAL_S
            giver.give()
        if now >= tell_at:
            tell_at = now + REPORT_S
            giver.tell()
        if select.select([giver.socket], [], [], max(0.0, give_at - time.monotonic()))[0]:
            giver.read()
    giver.tell()


if __name__ == "__main__":
    main()
