"""What was sent and is not confirmed yet, and the packet ids that it holds (MQTT 5, 4.3 and 4.9)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from smartcity.contracts import mqtt

UNCONFIRMED_BYTES_MAX = 16 * 1024 * 1024
UNCONFIRMED_MAX = 4_096
"""Less where the broker's Receive Maximum is less."""


class Window:
    """At QoS 1 and 2. `refused` counts the broker's refusals by reason code."""

    def __init__(self) -> None:
        self.receive_max = UNCONFIRMED_MAX
        self.confirmed = 0
        self.refused: Counter[int] = Counter()
        self.answers: deque[bytes] = deque()
        """PUBRELs that are owed to the broker."""
        self._unconfirmed: dict[int, bytes] = {}
        self._bytes = 0
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._unconfirmed)

    def __iter__(self) -> Iterator[bytes]:
        """The packets in the order in which they were sent."""
        return iter(self._unconfirmed.values())

    @property
    def full(self) -> bool:
        return len(self._unconfirmed) >= self.receive_max or self._bytes >= UNCONFIRMED_BYTES_MAX

    def connected(self, receive_max: int) -> None:
        """A connection with a clean session began: everything unconfirmed is to be sent again, in its order."""
        self.receive_max = min(UNCONFIRMED_MAX, receive_max)
        self.answers.clear()

    def take_id(self) -> int:
        """A packet id that is free. There always is one while the window is not full."""
        packet_id = self._next_id
        while True:
            packet_id = packet_id % 65_535 + 1
            if packet_id not in self._unconfirmed:
                self._next_id = packet_id
                return packet_id

    def add(self, packet_id: int, data: bytes) -> None:
        self._unconfirmed[packet_id] = data
        self._bytes += len(data)

    def hear(self, first: int, buffer: bytes, start: int, end: int) -> None:
        """A packet from the broker. Only acknowledgements say anything here."""
        kind = first & 0xF0
        if kind not in (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP) or end - start < 2:
            return
        packet_id = buffer[start] << 8 | buffer[start + 1]
        code = buffer[start + 2] if end - start > 2 else 0
        if kind == mqtt.PUBREC and code < 0x80:
            self.answers.append(mqtt.acknowledgement(mqtt.PUBREL, packet_id))
            return
        data = self._unconfirmed.pop(packet_id, None)
        if data is None:
            return
        self._bytes -= len(data)
        if code >= 0x80:
            self.refused[code] += 1
        else:
            self.confirmed += 1
