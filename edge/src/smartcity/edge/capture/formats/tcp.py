"""One direction of a TCP connection, put in order: what was seen of it, and where bytes are missing.

Not scapy's TCPSession: that one fills a gap with zeros, which MQTT would take for packets, and waits for the packets'
own layer to say where one ends. Sequence numbers are those of RFC 9293, modulo 2^32.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HELD_BYTES_MAX = 4 * 1024 * 1024
HELD_SEGMENTS_MAX = 2_000
"""More than this waiting for an earlier segment: it was never captured, and we go on behind it."""

_MODULUS = 1 << 32


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes in order. `gap` is how many are missing before them, or None where nothing before was ever seen."""

    data: bytes
    gap: int | None = 0


@dataclass(slots=True, kw_only=True)
class Direction:
    """Segments go in as captured, pieces come out in order."""

    next_sequence: int | None = None
    repeated_bytes: int = 0
    """Of retransmissions."""
    _held: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """By sequence number: what was captured, and how long it was on the wire."""
    _held_bytes: int = 0
    _gap: int | None = None

    def begin(self, sequence: int) -> None:
        """A SYN: the next byte is the connection's first. One that is repeated changes nothing."""
        if self.next_sequence is None:
            self.next_sequence = (sequence + 1) % _MODULUS
            self._gap = 0

    def add(self, sequence: int, data: bytes, wire_length: int) -> list[Piece]:
        """A segment; the pieces that are in order by it. `wire_length` is more than `len(data)` where it was cut."""
        if self.next_sequence is None:
            self.next_sequence = sequence
        self._hold(sequence, data, wire_length)
        pieces = self._in_order()
        while self._held_bytes > HELD_BYTES_MAX or len(self._held) > HELD_SEGMENTS_MAX:
            pieces += self._over_the_gap()
        return pieces

    def end(self) -> list[Piece]:
        """What still waits for bytes that never came."""
        pieces = []
        while self._held:
            pieces += self._over_the_gap()
        return pieces

    def _hold(self, sequence: int, data: bytes, wire_length: int) -> None:
        known = self._held.get(sequence)
        if known is not None and known[1] >= wire_length:
            self.repeated_bytes += len(data)
            return
        if known is not None:
            self._held_bytes -= len(known[0])
        self._held[sequence] = (data, wire_length)
        self._held_bytes += len(data)

    def _ahead(self, sequence: int) -> int:
        """How far a sequence number is ahead of the next one; negative if it is behind."""
        assert self.next_sequence is not None
        distance = (sequence - self.next_sequence) % _MODULUS
        return distance if distance < _MODULUS // 2 else distance - _MODULUS

    def _in_order(self) -> list[Piece]:
        pieces = []
        while self._held:
            sequence = min(self._held, key=self._ahead)
            behind = -self._ahead(sequence)
            if behind < 0:
                break
            data, wire_length = self._held.pop(sequence)
            self._held_bytes -= len(data)
            self.repeated_bytes += min(behind, len(data))
            fresh = data[behind:]
            missing = wire_length - max(len(data), behind)
            if fresh:
                pieces.append(Piece(fresh, self._gap))
                self._gap = 0
            if wire_length > behind:
                self.next_sequence = (sequence + wire_length) % _MODULUS
            if missing > 0:
                self._gap = missing if self._gap is None else self._gap + missing
        return pieces

    def _over_the_gap(self) -> list[Piece]:
        sequence = min(self._held, key=self._ahead)
        self._gap = (self._gap or 0) + self._ahead(sequence)
        self.next_sequence = sequence
        return self._in_order()
