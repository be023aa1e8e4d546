"""Which PUBACK may leave when. Pure: it knows packet ids and epochs, no socket and no Kafka.

PUBACKs leave in the order in which the messages came [MQTT-4.6.0-2], each only after its message is settled: Kafka
confirmed it (as a reading or as a dead letter), or it needs no record. A packet id belongs to one connection epoch: the
broker uses it again after a reconnect, so whatever an older connection received is never acknowledged on a newer one;
the gateway sends it again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """A PUBACK that is due, on the connection of that epoch and no other."""

    packet_id: int
    epoch: int


@dataclass(slots=True, eq=False)
class Ticket:
    """One received message in the ledger, by identity: two messages never share a ticket, as they may a packet id."""

    packet_id: int
    epoch: int
    settled: bool = False


class Ledger:
    """Tickets of the current epoch in receive order."""

    def __init__(self) -> None:
        self.epoch = 0
        self._open: deque[Ticket] = deque()

    def __len__(self) -> int:
        """Messages received on this connection and not yet acknowledged."""
        return len(self._open)

    def begin(self, epoch: int) -> None:
        """A new connection, or the end of one: tickets of older ones are void.

        Raises:
            ValueError: epochs only grow.
        """
        if epoch <= self.epoch:
            raise ValueError(f"epoch {epoch} does not follow {self.epoch}")
        self.epoch = epoch
        self._open.clear()

    def receive(self, packet_id: int, epoch: int) -> Ticket:
        """Note a QoS 1 message, in receive order. One of an older epoch gets a ticket that never becomes an Ack."""
        ticket = Ticket(packet_id, epoch)
        if epoch == self.epoch:
            self._open.append(ticket)
        return ticket

    def settle(self, ticket: Ticket) -> list[Ack]:
        """Mark a message as done; the PUBACKs that are due by that, in receive order."""
        ticket.settled = True
        due = []
        while self._open and self._open[0].settled:
            first = self._open.popleft()
            due.append(Ack(packet_id=first.packet_id, epoch=first.epoch))
        return due
